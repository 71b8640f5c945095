"""The implicit gradient at a fixed point, whatever solves the adjoint system."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from slds_core.fixed_point.interface import FixedPoint
from slds_core.fixed_point.residual import change
from slds_core.gradients.certificate import certify
from slds_core.gradients.linearisation import AdjointSystem, linearise
from slds_core.gradients.result import AdjointInfo, Gradient, GradientStatus, Objective
from slds_core.trees import add, all_finite, norm, subtract
from slds_core.trees import scale as scale_by


class Solution(eqx.Module):
    """What a solver made of an adjoint system."""

    adjoint: PyTree
    products: Int[Array, ""]
    exhausted: Bool[Array, ""]  # stopped for want of products
    positive: Bool[Array, ""]  # met no direction of negative curvature


def solution(adjoint: PyTree, products: Any, *, exhausted: Any = False, positive: Any = True) -> Solution:
    """Returns a solution; plain numbers become arrays."""
    return Solution(adjoint, jnp.asarray(products), jnp.asarray(exhausted), jnp.asarray(positive))


def implicit_gradient(
    problem: FixedPoint,
    objective: Objective,
    parameters: PyTree,
    state: PyTree,
    solve: Callable[[AdjointSystem], Solution],
    *,
    tolerance: Float[Array, ""] | float | None,
    forward_tolerance: Float[Array, ""] | float,
    certified: bool = False,
) -> Gradient:
    """Returns the gradient that an adjoint solver gives, its success judged by residuals recomputed here.

    Nothing is substituted and nothing hidden: whatever the solver returns is used, and the status says what it is worth.

    Args:
        problem, objective: the model and the function of its posterior.
        parameters, state: where to differentiate; ``state`` should be a fixed point.
        solve: the solver.
        tolerance: relative residual that the solver was asked for; ``None`` for an approximation by design.
        forward_tolerance: largest change of the state in one more sweep at which it still counts as a fixed point.
        certified: whether to bound the gradient's error too (docs/theory.md, section "Adjoint"); costs some dozens of products.
    """
    system = _without_rounding(linearise(problem, objective, parameters, state))
    solved = solve(system)
    pulled = system.pull(solved.adjoint)
    gradient = add(system.explicit, pulled.parameters)
    leftover = add(subtract(system.right_hand_side, solved.adjoint), pulled.state)
    scale = norm(system.right_hand_side)
    residual = norm(leftover) / jnp.where(scale > 0, scale, 1)
    forward = change(system.image, state).maximum
    finite = all_finite((system.value, gradient, residual, forward))

    if tolerance is None:
        status = GradientStatus.approximate
    else:
        short = GradientStatus.where(solved.exhausted, GradientStatus.product_limit, GradientStatus.stagnated)
        # a recursion's own residual drifts from the true one by rounding: one decimal of grace, no more
        status = GradientStatus.where(residual <= 10 * tolerance, GradientStatus.solved, short)
        status = GradientStatus.where(solved.positive, status, GradientStatus.not_positive)
    status = GradientStatus.where(forward <= forward_tolerance, status, GradientStatus.not_a_fixed_point)
    status = GradientStatus.where(finite, status, GradientStatus.nonfinite)
    certificate = jnp.full_like(system.value, jnp.nan)
    if certified:
        certificate = certify(problem, objective, parameters, state, solved.adjoint).bound
    info = AdjointInfo(status, solved.products + 2, residual, forward, certificate)
    return Gradient(system.value, gradient, info, solved.adjoint)


def _without_rounding(system: AdjointSystem) -> AdjointSystem:
    """Returns the system with a right-hand side of zero where that is all rounding, as for the bound itself at its maximum.

    Solvers iterate on a right-hand side of noise until they break down. It is noise if its effect on the gradient, the explicit
    part beside it, is below rounding; what is dropped is then below what the sum can show.
    """
    effect = norm(system.pull(system.right_hand_side).parameters)
    visible = effect > 10 * jnp.finfo(effect.dtype).eps * norm(system.explicit)
    cleaned = scale_by(jnp.where(visible, 1.0, 0.0), system.right_hand_side)
    return eqx.tree_at(lambda s: s.right_hand_side, system, cleaned)
