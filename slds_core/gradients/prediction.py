"""How many products with the sweep's Jacobian theory predicts for a solver of the adjoint system.

In the Fisher inner product ``I - A`` is self-adjoint with eigenvalues in ``[1 - λ, 1]``, so its condition number is ``1 / (1 - λ)``.
Conjugate gradients then contract the error by at least ``ρ = (1 - √(1 - λ)) / (1 + √(1 - λ))`` a product, up to a factor of two;
Richardson's iteration contracts it by ``λ``. These are bounds on the error in the Fisher norm; solvers stop on the residual in the
Euclidean norm, and eigenvalues that cluster at zero let Krylov methods end far sooner. docs/theory.md, section "Adjoint".
"""

import math


def conjugate_gradients(rate: float, tolerance: float) -> float:
    """Returns the products that ``2 ρᵏ ≤ tolerance`` needs.

    Args:
        rate: the sweep's contraction rate ``λ``, in (0, 1).
        tolerance: relative, in (0, 1).

    References:
        Saad (2003), "Iterative methods for sparse linear systems", equation 6.128.
    """
    kept = _chebyshev_rate(rate)
    return 1.0 if 2 * kept <= tolerance else math.log(2 / tolerance) / -math.log(kept)


def bicgstab(rate: float, tolerance: float) -> float:
    """Returns twice the products of conjugate gradients: two are spent for one degree of the Krylov space that counts."""
    return 2 * conjugate_gradients(rate, tolerance)


def gmres(rate: float, tolerance: float, restart: int) -> float | None:
    """Returns the products of as many cycles as contract by ``2 ρᵐ`` each; ``None`` where that bound is no contraction.

    Args:
        rate, tolerance: as for ``conjugate_gradients``.
        restart: products ``m`` of one cycle, which spends one more on its residual.
    """
    contraction = 2 * _chebyshev_rate(rate) ** restart
    if contraction >= 1:
        return None
    cycles = 1 if contraction <= tolerance else math.ceil(math.log(tolerance) / math.log(contraction))
    return (restart + 1) * cycles


def richardson(rate: float, tolerance: float, damping: float) -> float:
    """Returns the products that ``(1 - damping (1 - λ))ᵏ ≤ tolerance`` needs."""
    kept = 1 - damping * (1 - rate)
    return 1.0 if kept <= tolerance else math.log(tolerance) / math.log1p(-damping * (1 - rate))


def _chebyshev_rate(rate: float) -> float:
    # (1 - r) / (1 + r) with r = √(1 - λ), without cancellation for small λ
    root = math.sqrt(1 - rate)
    return rate / (1 + root) ** 2
