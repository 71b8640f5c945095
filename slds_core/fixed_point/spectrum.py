"""The leading eigenvalues of a sweep's Jacobian: how fast coordinate ascent contracts."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from slds_core.fixed_point.interface import MeanField, as_swept
from slds_core.fixed_point.lanczos import Spectrum, lanczos, random_direction
from slds_core.fixed_point.limits import require_size


def sweep_spectrum(problem: MeanField, parameters: PyTree, state: PyTree, *, products: int = 40) -> Spectrum:
    """Returns the leading eigenvalues of the sweep's Jacobian at ``state``.

    They are real and non-negative, because the Jacobian is the product ``F S`` of two covariances; the largest is the
    asymptotic contraction rate ``λ`` of coordinate ascent, below 1 at a strict local maximum of the bound.

    Args:
        problem: a mean-field model.
        parameters, state: where to linearise; ``state`` should be a fixed point.
        products: most products with the Jacobian, at least 1; the Krylov space may be exhausted sooner.

    Raises:
        ValueError: ``products`` is below 1, or the state has not the shapes of a sweep's.
        TypeError: the model is no mean field.

    References:
        docs/theory.md, section "Fisher structure"; Parlett (1998), §13.
    """
    require_size("products", products, 1)
    if not isinstance(problem, MeanField):
        raise TypeError(f"sweep_spectrum needs a mean-field model, found {type(problem).__name__}")

    state = as_swept(problem, parameters, state)

    def halves(state, shift):
        message = problem.response(parameters, state)
        return message, problem.marginals(parameters, jax.tree.map(jnp.add, message, shift))

    zero = jax.tree.map(jnp.zeros_like, state)
    _, pull_back = jax.vjp(halves, state, zero)

    def product(direction):  # S F v, self-adjoint in ⟨a, F b⟩, and F v
        return pull_back((zero, direction))

    return lanczos(product, random_direction(state), steps=products)


def predicted_sweeps(
    rate: Float[Array, ""] | float, first: Float[Array, ""] | float, tolerance: Float[Array, ""] | float
) -> Float[Array, ""]:
    """Returns the sweeps that a residual needs to fall from ``first`` to ``tolerance`` at a contraction rate.

    Args:
        rate: by which a sweep multiplies the residual, 0 or more.
        first, tolerance: residuals, above 0.

    Returns:
        How many, not rounded; infinitely many at a rate of 1 or more, where the residual does not fall.
    """
    needed = jnp.log(tolerance / first) / jnp.log(jnp.minimum(rate, 1))
    return jnp.where(jnp.less_equal(first, tolerance), 0, jnp.where(jnp.less(rate, 1), needed, jnp.inf))
