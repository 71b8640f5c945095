"""Solve the adjoint system by stabilised bi-conjugate gradients."""

import jax
import lineax as lx
from jaxtyping import PyTree

from slds_core.fixed_point.interface import FixedPoint
from slds_core.gradients.implicit import conclude, linearise
from slds_core.gradients.result import Gradient, Objective


def bicgstab(
    problem: FixedPoint,
    objective: Objective,
    parameters: PyTree,
    state: PyTree,
    *,
    tolerance: float = 1e-10,
    max_products: int = 1000,
) -> Gradient:
    """Returns the implicit gradient at ``state``, the adjoint system solved by BiCGStab.

    Args:
        problem, objective: the model and the function of its posterior.
        parameters, state: where to differentiate; ``state`` should be a fixed point.
        tolerance: relative residual at which to stop.
        max_products: most products with the sweep's transposed Jacobian, two an iteration.

    Raises:
        ValueError: ``max_products`` allows not one iteration.

    References:
        van der Vorst (1992), "Bi-CGSTAB".
    """
    if max_products < 2:
        raise ValueError(f"max_products: expected at least 2, found {max_products}")
    system = linearise(problem, objective, parameters, state)
    structure = jax.eval_shape(lambda: system.right_hand_side)
    solution = lx.linear_solve(
        lx.FunctionLinearOperator(system.operator, structure),
        system.right_hand_side,
        lx.BiCGStab(rtol=tolerance, atol=0.0, max_steps=max_products // 2),
        throw=False,
    )
    steps = solution.stats["num_steps"]
    return conclude(
        system, solution.value, products=2 * steps, tolerance=tolerance, exhausted=steps >= max_products // 2
    )
