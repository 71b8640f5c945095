"""How far a state is from the fixed point."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from slds_core.fixed_point.interface import FixedPoint, require_enabled_precision
from slds_core.trees import largest

_ROUNDING_UNITS = 100


class Residual(eqx.Module):
    """Absolute change of a state, in the state's own units."""

    mean: Float[Array, "..."]
    maximum: Float[Array, "..."]


def fixed_point_residual(problem: FixedPoint, parameters: PyTree, state: PyTree) -> Residual:
    """Returns ``|sweep(θ, x) - x|``: how much one more sweep changes the state. Zero for a state without entries.

    Raises:
        ValueError: there are arrays of double precision while JAX is set to single precision.
    """
    require_enabled_precision(parameters, state)
    return change(problem.sweep(parameters, state), state)


def resolvable(tolerance: Float[Array, ""] | float, residual: Float[Array, "..."]) -> Float[Array, ""]:
    """Returns the tolerance that a residual is judged by: as asked, but no less than its rounding can resolve, 1e-5 in float32."""
    return jnp.maximum(tolerance, _ROUNDING_UNITS * jnp.finfo(residual.dtype).eps)


def change(new: PyTree, old: PyTree) -> Residual:
    """Returns the mean and the largest absolute difference of two states."""
    pairs = zip(jax.tree.leaves(new), jax.tree.leaves(old), strict=True)
    difference = jnp.concatenate([jnp.abs(a - b).ravel() for a, b in pairs])
    if difference.size == 0:
        return Residual(jnp.zeros((), difference.dtype), jnp.zeros((), difference.dtype))
    return Residual(jnp.mean(difference), largest(difference))


def change_by_sequence(problem: FixedPoint, new: PyTree, old: PyTree) -> Residual | None:
    """Returns ``change`` for each sequence alone; ``None`` where the model is one sequence."""
    sequences = problem.sequences()
    if sequences is None:
        return None
    owners, count = sequences.owners, sequences.count
    pairs = zip(jax.tree.leaves(new), jax.tree.leaves(old), strict=True)
    difference = jnp.concatenate(
        [jnp.abs(a - b).reshape(owners.size, a.size // max(owners.size, 1)) for a, b in pairs], axis=1
    )
    entries = np.maximum(np.bincount(owners, minlength=count) * difference.shape[1], 1).astype(difference.dtype)
    totals = jax.ops.segment_sum(jnp.sum(difference, axis=1), owners, count, indices_are_sorted=True)
    maxima = jax.ops.segment_max(jnp.max(difference, axis=1, initial=0), owners, count, indices_are_sorted=True)
    maxima = jnp.maximum(maxima, 0)  # the largest of no entries is -inf
    # sums pass NaN on, maxima need not (see `largest`)
    return Residual(totals / entries, jnp.where(jnp.isnan(totals), totals, maxima))
