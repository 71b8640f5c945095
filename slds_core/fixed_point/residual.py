"""How far a state is from the fixed point."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from slds_core.fixed_point.interface import FixedPoint


class Residual(eqx.Module):
    """Absolute change of a state, in the state's own units."""

    mean: Float[Array, "..."]
    maximum: Float[Array, "..."]


def fixed_point_residual(problem: FixedPoint, parameters: PyTree, state: PyTree) -> Residual:
    """Returns ``|sweep(θ, x) - x|``: how much one more sweep changes the state. Zero for a state without entries."""
    return change(problem.sweep(parameters, state), state)


def change(new: PyTree, old: PyTree) -> Residual:
    """Returns the mean and the largest absolute difference of two states."""
    pairs = zip(jax.tree.leaves(new), jax.tree.leaves(old), strict=True)
    difference = jnp.concatenate([jnp.abs(a - b).ravel() for a, b in pairs])
    if difference.size == 0:
        return Residual(jnp.zeros((), difference.dtype), jnp.zeros((), difference.dtype))
    return Residual(jnp.mean(difference), jnp.max(difference))
