"""Linear recurrences, parallel in time."""

from jax import lax
from jaxtyping import Array, Float

from slds_core.chains.small_matrices import apply


def affine(
    factors: Float[Array, "time size size"], sources: Float[Array, "time size"], *, reverse: bool = False
) -> Float[Array, "time size"]:
    """Returns ``x`` with ``x_t = F_t x_{t-1} + u_t``; the factor at the first step is not used.

    With ``reverse`` the predecessor of ``t`` is ``t + 1``.

    References:
        Blelloch (1990), "Prefix sums and their applications", §1.4 (first-order recurrences).
    """

    def compose(first, second):
        return second[0] @ first[0], apply(second[0], first[1]) + second[1]

    return lax.associative_scan(compose, (factors, sources), reverse=reverse)[1]


def congruence(
    factors: Float[Array, "time size size"], sources: Float[Array, "time size size"], *, reverse: bool = False
) -> Float[Array, "time size size"]:
    """Returns ``X`` with ``X_t = F_t X_{t-1} F_tᵀ + U_t``, else as ``affine``."""

    def compose(first, second):
        return second[0] @ first[0], second[0] @ first[1] @ second[0].mT + second[1]

    return lax.associative_scan(compose, (factors, sources), reverse=reverse)[1]
