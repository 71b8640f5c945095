"""Finite differences of the whole converged map: the witness that knows nothing of derivatives."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, PyTree

from slds_core.directions import random_directions
from slds_core.fixed_point.coordinate_ascent import coordinate_ascent
from slds_core.fixed_point.interface import FixedPoint, MeanField
from slds_core.fixed_point.limits import require_positive, require_size
from slds_core.fixed_point.newton_cg import newton_cg
from slds_core.gradients.result import Objective
from slds_core.trees import add_scaled, norm


class DirectionalDerivatives(eqx.Module):
    """Derivatives of an objective along seeded random directions, one parameter group at a time."""

    value: Float[Array, ""]
    derivative: Float[Array, "group direction"]  # per unit length along ``random_directions``
    error: Float[Array, "group direction"]  # estimate of what is wrong with it
    forward_residual: Float[Array, ""]  # largest over all evaluations
    evaluations: Int[Array, ""]


def finite_difference(
    problem: FixedPoint,
    objective: Objective,
    parameters: PyTree,
    state: PyTree,
    *,
    count: int = 2,
    seed: int = 0,
    step: float | None = None,
    max_sweeps: int = 2000,
    tolerance: float | None = None,
) -> DirectionalDerivatives:
    """Returns central differences of the objective, inference converged anew at every point from ``state``.

    Three step lengths ``h, 2h, 4h`` give two Richardson extrapolations; their difference, and rounding over ``h``, estimate the error.
    An infinite parameter, as that of a forbidden transition, stays where it is: directions are zero there, the other entries as drawn.

    Args:
        problem, objective: the model and the function of its posterior.
        parameters, state: where to differentiate; ``state`` should be a fixed point, which all evaluations stay near.
        count, seed: of the directions in each parameter group.
        step: smallest step ``h`` relative to the norm of the group's finite entries; by default the fourth root of rounding.
        max_sweeps: limit on sweeps and Jacobian products of each evaluation.
        tolerance: largest change in a sweep at which an evaluation counts as converged; by default ten units of rounding.

    Raises:
        ValueError: ``count`` is below 1, or ``step`` is no number above 0.

    References:
        Ridders (1982), "Accurate computation of F'(x) and F'(x)F''(x)".
    """
    require_size("count", count, 1)
    if step is not None:
        require_positive("step", step)
    # in the precision that is computed in, whatever NumPy's arrays have
    parameters = jax.tree.map(jnp.asarray, parameters)
    leaves, structure = jax.tree.flatten(parameters)
    dtype = leaves[0].dtype
    epsilon = float(jnp.finfo(dtype).eps)
    smallest = epsilon ** (1 / 4) if step is None else step
    tolerance = 10 * epsilon if tolerance is None else tolerance
    drawn = random_directions([leaf.shape for leaf in leaves], count=count, seed=seed)

    def evaluate(point):
        solver: Callable = newton_cg if isinstance(problem, MeanField) else coordinate_ascent
        inference = solver(problem, point, state, max_sweeps=max_sweeps, tolerance=tolerance)
        last = inference.trace.residual.maximum[inference.iterations - 1]
        return objective(point, inference.posterior), last

    def differentiate(group_and_number):
        group, number = group_and_number
        direction = jax.tree.unflatten(
            structure,
            [
                jnp.where((group == g) & ~jnp.isinf(leaf), jnp.asarray(array, dtype)[number], 0)
                for g, (leaf, array) in enumerate(zip(leaves, drawn, strict=True))
            ],
        )
        # no step is long beside an infinity, and a NaN must come out
        sizes = jnp.stack([norm(jnp.where(jnp.isinf(leaf), 0, leaf)) for leaf in leaves])
        length = smallest * jnp.where(sizes[group] > 0, sizes[group], 1)
        offsets = length * jnp.array([-4, -2, -1, 0, 1, 2, 4], dtype)
        values, residuals = lax.map(lambda offset: evaluate(add_scaled(parameters, offset, direction)), offsets)
        widest, wide, narrow = ((values[6 - i] - values[i]) / (offsets[6 - i] - offsets[i]) for i in range(3))
        best, second = (4 * narrow - wide) / 3, (4 * wide - widest) / 3
        # the second best has the same error at twice the length, 16 times as much, so their difference is 15 times the best one's:
        # divided by 5, thrice the error is allowed for
        rounding = 10 * epsilon * jnp.max(jnp.abs(values)) / length
        return best, jnp.abs(best - second) / 5 + rounding, jnp.max(residuals), values[3]

    grid = np.stack(np.meshgrid(np.arange(len(leaves)), np.arange(count), indexing="ij"), -1).reshape(-1, 2)
    derivative, error, residual, values = lax.map(differentiate, (jnp.asarray(grid[:, 0]), jnp.asarray(grid[:, 1])))
    shape = len(leaves), count
    evaluations = jnp.array(7 * len(grid))
    return DirectionalDerivatives(
        values[0], derivative.reshape(shape), error.reshape(shape), jnp.max(residual), evaluations
    )
