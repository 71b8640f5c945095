"""The implicit gradient by a dense solve: the reference for small problems."""

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from slds_core.fixed_point.interface import FixedPoint
from slds_core.gradients.implicit import Solution, implicit_gradient, solution
from slds_core.gradients.linearisation import AdjointSystem
from slds_core.gradients.result import Gradient, Objective
from slds_core.trees import size


def direct(
    problem: FixedPoint,
    objective: Objective,
    parameters: PyTree,
    state: PyTree,
    *,
    tolerance: float = 1e-10,
    max_unknowns: int = 4000,
    forward_tolerance: Float[Array, ""] | float = 1e-8,
    certified: bool = False,
) -> Gradient:
    """Returns the implicit gradient at ``state``, the adjoint system built as a matrix and solved by LU factorisation.

    Args:
        problem, objective, parameters, state, forward_tolerance, certified: as for ``implicit_gradient``.
        tolerance: up to ten times this relative residual counts as solved.
        max_unknowns: largest system to build; its memory is the square of it.

    Raises:
        ValueError: the state has more unknowns than that.
    """
    unknowns = size(state)
    if unknowns > max_unknowns:
        raise ValueError(f"direct: the state has {unknowns} unknowns, more than max_unknowns = {max_unknowns}")

    def solve(system: AdjointSystem) -> Solution:
        flat, unravel = ravel_pytree(system.right_hand_side)
        identity = jnp.eye(unknowns, dtype=flat.dtype)
        # one product after another: mapped over a batch they would need the batch's memory
        columns = jax.lax.map(lambda column: ravel_pytree(system.operator(unravel(column)))[0], identity)
        return solution(unravel(jnp.linalg.solve(columns.T, flat)), unknowns)

    return implicit_gradient(
        problem,
        objective,
        parameters,
        state,
        solve,
        tolerance=tolerance,
        forward_tolerance=forward_tolerance,
        certified=certified,
    )
