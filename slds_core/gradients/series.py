"""Implicit gradients by the Neumann series: one step, truncated, Richardson's iteration."""

import jax.numpy as jnp
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, Float, Int, PyTree

from slds_core.fixed_point.interface import FixedPoint
from slds_core.fixed_point.limits import require_count
from slds_core.gradients.implicit import Solution, implicit_gradient, solution
from slds_core.gradients.linearisation import AdjointSystem
from slds_core.gradients.result import Gradient, Objective
from slds_core.trees import add, add_scaled, norm, zeros_like


def truncated(
    problem: FixedPoint,
    objective: Objective,
    parameters: PyTree,
    state: PyTree,
    *,
    sweeps: Int[Array, ""] | int,
    forward_tolerance: Float[Array, ""] | float = 1e-8,
    certified: bool = False,
) -> Gradient:
    """Returns the derivative of the last ``sweeps`` sweeps, their start held fixed: a truncated Neumann series.

    At a fixed point all sweeps are alike, so nothing is stored for each; one of the sweeps is the objective's own.

    Args:
        problem, objective, parameters, state: as for ``implicit_gradient``.
        sweeps: how many, at least 1; 1 is the one-step gradient.
        forward_tolerance, certified: as for ``implicit_gradient``.

    Raises:
        ValueError: ``sweeps`` is below 1.

    References:
        Shaban et al. (2019), "Truncated back-propagation for bilevel optimization".
    """
    require_count("sweeps", sweeps, 1)

    def solve(system: AdjointSystem) -> Solution:
        def extend(_, carry):
            total, term = carry
            return add(total, term), system.transposed(term)

        start = zeros_like(system.right_hand_side), system.right_hand_side
        adjoint, _ = lax.fori_loop(0, sweeps - 1, extend, start)
        return solution(adjoint, sweeps - 1)

    return implicit_gradient(
        problem,
        objective,
        parameters,
        state,
        solve,
        tolerance=None,
        forward_tolerance=forward_tolerance,
        certified=certified,
    )


def one_step(
    problem: FixedPoint,
    objective: Objective,
    parameters: PyTree,
    state: PyTree,
    *,
    forward_tolerance: Float[Array, ""] | float = 1e-8,
    certified: bool = False,
) -> Gradient:
    """Returns the derivative of the last sweep alone; its relative error is of the order ``λ / (1 - λ)``.

    References:
        Bolte, Pauwels and Vaiter (2023), "One-step differentiation of iterative algorithms".
    """
    return truncated(
        problem, objective, parameters, state, sweeps=1, forward_tolerance=forward_tolerance, certified=certified
    )


def richardson(
    problem: FixedPoint,
    objective: Objective,
    parameters: PyTree,
    state: PyTree,
    *,
    tolerance: Float[Array, ""] | float = 1e-10,
    max_products: Int[Array, ""] | int = 1000,
    damping: Float[Array, ""] | float = 1.0,
    forward_tolerance: Float[Array, ""] | float = 1e-8,
    certified: bool = False,
) -> Gradient:
    """Returns the implicit gradient at ``state``, the adjoint iterated as ``w ← w + damping · (u - (I - Jᵀ) w)``.

    Args:
        problem, objective, parameters, state, forward_tolerance, certified: as for ``implicit_gradient``.
        tolerance: relative residual at which to stop.
        max_products: most products with the sweep's transposed Jacobian, one an iteration.
        damping: step length in (0, 1]; 1 is the plain Neumann series.

    Raises:
        ValueError: ``max_products`` is below 1, or ``damping`` not in (0, 1].

    References:
        Saad (2003), "Iterative methods for sparse linear systems", §4.2.1.
    """
    require_count("max_products", max_products, 1)
    if not isinstance(damping, Tracer) and not 0 < damping <= 1:
        raise ValueError(f"damping: expected a number above 0, at most 1, found {damping}")

    def solve(system: AdjointSystem) -> Solution:
        scale = norm(system.right_hand_side)

        def unfinished(carry):
            _, residual, products = carry
            return (norm(residual) > tolerance * scale) & (products < max_products)

        def step(carry):
            adjoint, residual, products = carry
            adjoint = add_scaled(adjoint, damping, residual)
            return adjoint, system.residual(adjoint), products + 1

        start = zeros_like(system.right_hand_side), system.right_hand_side, jnp.array(0)
        adjoint, residual, products = lax.while_loop(unfinished, step, start)
        return solution(adjoint, products, exhausted=norm(residual) > tolerance * scale)

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
