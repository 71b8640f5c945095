"""The implicit gradient at a fixed point, whatever solves the adjoint system."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PyTree

from slds_core.fixed_point.interface import FixedPoint
from slds_core.fixed_point.limits import require_tolerance
from slds_core.fixed_point.residual import change, resolvable
from slds_core.gradients.certificate import certify
from slds_core.gradients.linearisation import AdjointSystem, linearise
from slds_core.gradients.result import AdjointInfo, Gradient, GradientStatus, Objective
from slds_core.trees import all_finite, norm, subtract

GRACE = 10  # times the tolerance that a true residual may be: recursions drift from it by rounding
_ROUNDING = 100  # units of rounding, relative to the gradient, below which a residual's effect on it counts as none


class Solution(eqx.Module):
    """What a solver made of an adjoint system. All but the adjoint is its word, which nothing checks."""

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
        forward_tolerance: largest change of the state in one more sweep at which it still counts as a fixed point;
            no less than rounding can resolve.
        certified: whether to bound the gradient's error too (docs/theory.md, section "Adjoint"); costs some dozens of products.

    Raises:
        ValueError: a tolerance is negative or NaN.
        TypeError: the objective is no scalar in floating point.
    """
    require_tolerance("forward_tolerance", forward_tolerance)
    if tolerance is not None:
        require_tolerance("tolerance", tolerance)
    system = linearise(problem, objective, parameters, state)
    solved = solve(system)

    pulled = system.pull(solved.adjoint, 1.0)
    gradient, leftover = pulled.parameters, subtract(pulled.state, solved.adjoint)
    scale = norm(system.right_hand_side)
    residual = norm(leftover) / jnp.where(scale > 0, scale, 1)
    enough = jnp.inf if tolerance is None else GRACE * tolerance  # an approximation's residual is not judged
    doubtful = ~(residual <= enough)  # a traced tolerance may be NaN, and is never met then

    def below_rounding() -> Bool[Array, ""]:
        # what the residual does to the gradient. A right-hand side that is all rounding, as the bound's own at its maximum, has
        # no solution to a relative tolerance
        effect = norm(system.pull(leftover).parameters)
        return effect <= _ROUNDING * jnp.finfo(residual.dtype).eps * norm(gradient)

    # one more backward pass, where it matters
    invisible = lax.cond(doubtful, below_rounding, lambda: jnp.array(False))
    forward = change(system.image, state).maximum
    finite = all_finite((system.value, gradient, residual, forward))

    if tolerance is None:
        status = GradientStatus.approximate
    else:
        short = GradientStatus.where(solved.exhausted, GradientStatus.product_limit, GradientStatus.stagnated)
        status = GradientStatus.where(~doubtful | invisible, GradientStatus.solved, short)  # a NaN is judged below
        status = GradientStatus.where(solved.positive, status, GradientStatus.not_positive)
    status = GradientStatus.where(
        forward <= resolvable(forward_tolerance, forward), status, GradientStatus.not_a_fixed_point
    )
    status = GradientStatus.where(finite, status, GradientStatus.nonfinite)
    certificate = jnp.full_like(system.value, jnp.nan)
    if certified:
        certificate = certify(problem, objective, parameters, state, solved.adjoint).bound
    products = solved.products + 1 + doubtful.astype(solved.products.dtype)
    info = AdjointInfo(status, products, residual, forward, certificate)
    return Gradient(system.value, gradient, info, solved.adjoint)
