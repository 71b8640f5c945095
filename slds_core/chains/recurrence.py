"""Linear recurrences, parallel in time."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from slds_core.chains.prefixes import prefixes
from slds_core.chains.small_matrices import apply, matmul


def affine(
    factors: Float[Array, "time size size"], sources: Float[Array, "time size"], *, reverse: bool = False
) -> Float[Array, "time size"]:
    """Returns ``x`` with ``x_t = F_t x_{t-1} + u_t``; the factor at the first step has no bearing, but must be finite.

    With ``reverse`` the predecessor of ``t`` is ``t + 1``.

    References:
        Blelloch (1990), "Prefix sums and their applications", §1.4 (first-order recurrences).
    """

    def compose(first, second):
        return matmul(second[0], first[0]), apply(second[0], first[1]) + second[1]

    size = sources.shape[-1]
    neutral = jnp.eye(size, dtype=factors.dtype), jnp.zeros(size, sources.dtype)
    return prefixes(compose, (factors, sources), neutral, reverse=reverse)[1]


def congruence(
    factors: Float[Array, "time size size"],
    sources: tuple[Float[Array, "time size size"], Float[Array, "time size"]],
    coupling: Float[Array, "time size"],
    *,
    reverse: bool = False,
) -> tuple[Float[Array, "time size size"], Float[Array, "time size"]]:
    """Returns ``X`` and ``x`` with ``X_t = F_t X_{t-1} F_tᵀ + U_t`` and ``x_t = F_t (x_{t-1} + X_{t-1} v_t) + u_t``, else as ``affine``.

    Args:
        factors: ``F``.
        sources: ``U``, symmetric, and ``u``.
        coupling: ``v``.
    """

    def compose(first, second):
        factor, pull, matrix, vector = first
        next_factor, next_pull, next_matrix, next_vector = second
        return (
            matmul(next_factor, factor),
            pull + apply(factor.mT, next_pull),
            matmul(matmul(next_factor, matrix), next_factor.mT) + next_matrix,
            apply(next_factor, vector + apply(matrix, next_pull)) + next_vector,
        )

    size = coupling.shape[-1]
    zero = jnp.zeros(size, coupling.dtype)
    neutral = jnp.eye(size, dtype=factors.dtype), zero, jnp.zeros((size, size), factors.dtype), zero
    return prefixes(compose, (factors, coupling, *sources), neutral, reverse=reverse)[2:]
