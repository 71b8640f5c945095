"""Implicit gradients by Krylov solvers: BiCGStab, GMRES, and conjugate gradients in the Fisher inner product."""

from typing import cast

import jax
import jax.numpy as jnp
import lineax as lx
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PyTree

from slds_core.fixed_point.conjugate_gradients import fisher_conjugate_gradients
from slds_core.fixed_point.interface import FixedPoint, MeanField
from slds_core.fixed_point.limits import require_count, require_size
from slds_core.gradients.implicit import GRACE, Solution, implicit_gradient, solution
from slds_core.gradients.linearisation import AdjointSystem
from slds_core.gradients.result import Gradient, Objective
from slds_core.trees import add, all_finite, norm, scale, size, where, zeros_like

_LEAST_UNITS = 10  # of rounding; BiCGStab's smallest relative residual
_BICGSTAB_LEAST = 4  # products of a single iteration: one to begin, its two, and one for the true residual
_GAIN = 0.5  # of the residual, which a run has to reach for another to be worth while


def bicgstab(
    problem: FixedPoint,
    objective: Objective,
    parameters: PyTree,
    state: PyTree,
    *,
    tolerance: Float[Array, ""] | float = 1e-10,
    max_products: Int[Array, ""] | int = 1000,
    forward_tolerance: Float[Array, ""] | float = 1e-8,
    certified: bool = False,
) -> Gradient:
    """Returns the implicit gradient at ``state``, the adjoint system solved by BiCGStab.

    Args:
        problem, objective: the model and the function of its posterior.
        parameters, state: where to differentiate; ``state`` should be a fixed point.
        tolerance: relative residual at which to stop.
        max_products: most products with the sweep's transposed Jacobian: two an iteration, one to begin and one for the true
            residual, from which iterations start anew where they broke down, or where rounding has kept them from the tolerance.
        forward_tolerance, certified: as for ``implicit_gradient``.

    Raises:
        ValueError: ``max_products`` allows not one iteration.

    References:
        van der Vorst (1992), "Bi-CGSTAB".
    """
    require_count("max_products", max_products, _BICGSTAB_LEAST)

    def solve(system: AdjointSystem) -> Solution:
        return _solve_bicgstab(system, tolerance, max_products)

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


def gmres(
    problem: FixedPoint,
    objective: Objective,
    parameters: PyTree,
    state: PyTree,
    *,
    tolerance: Float[Array, ""] | float = 1e-10,
    max_products: Int[Array, ""] | int = 1000,
    restart: int = 10,
    forward_tolerance: Float[Array, ""] | float = 1e-8,
    certified: bool = False,
) -> Gradient:
    """Returns the implicit gradient at ``state``, the adjoint system solved by restarted GMRES.

    Args:
        problem, objective, parameters, state, tolerance, forward_tolerance, certified: as for ``bicgstab``.
        max_products: most products with the sweep's transposed Jacobian: one to begin, then ``restart + 1`` a cycle, or one more
            than there are unknowns where these are fewer. A cycle whose Krylov space ends early counts as a whole one.
        restart: dimension of the Krylov space of one cycle; the tolerance is looked at between cycles only.

    Raises:
        ValueError: ``restart`` is below 1, or ``max_products`` allows not one cycle.

    References:
        Saad and Schultz (1986), "GMRES".
    """
    require_size("restart", restart, 1)
    cycle = min(restart, size(state)) + 1  # products: one for each dimension, and one for the residual
    require_count("max_products", max_products, 1 + cycle)
    # Lineax's first step is no cycle: it forms the residual to begin from, by a single product
    steps = cast(int, (max_products - 1) // cycle + 1)

    def solve(system: AdjointSystem) -> Solution:
        solver = lx.GMRES(
            rtol=0.0, atol=cast(float, tolerance), norm=norm, max_steps=steps, restart=restart, stagnation_iters=steps
        )
        found, taken = _lineax(system, system.right_hand_side, solver)
        products = jnp.where(taken > 0, 1 + cycle * (taken - 1), 0)
        return solution(found, products, exhausted=taken >= steps)

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


def fisher_cg(
    problem: MeanField,
    objective: Objective,
    parameters: PyTree,
    state: PyTree,
    *,
    tolerance: Float[Array, ""] | float = 1e-10,
    max_products: Int[Array, ""] | int = 1000,
    forward_tolerance: Float[Array, ""] | float = 1e-8,
    certified: bool = False,
) -> Gradient:
    """Returns the implicit gradient at ``state``, the adjoint system solved by conjugate gradients in the Fisher inner product.

    Args:
        problem: a mean-field model, whose two Fisher products the method needs.
        objective, parameters, state, forward_tolerance, certified: as for ``bicgstab``.
        tolerance: residual at which to stop, relative to the right-hand side, in the Fisher norm and then, by the true
            residual, in the Euclidean one.
        max_products: most products with the sweep's transposed Jacobian: one an iteration, and one for the true residual, from
            which iterations start anew where rounding has kept them from the tolerance.

    Raises:
        ValueError: ``max_products`` is below 1.
        TypeError: the model is no mean field.

    References:
        Hestenes and Stiefel (1952), with the inner product of the Fisher metric; docs/theory.md, section "Adjoint".
    """
    require_count("max_products", max_products, 1)
    if not isinstance(problem, MeanField):
        raise TypeError(f"fisher_cg needs a mean-field model with Fisher products, found {type(problem).__name__}")

    def solve(system: AdjointSystem) -> Solution:
        return solve_fisher_cg(system, tolerance, max_products)

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


def solve_fisher_cg(
    system: AdjointSystem, tolerance: Float[Array, ""] | float, max_products: Int[Array, ""] | int
) -> Solution:
    """Returns the adjoint of a mean-field model's system, to a true residual of ``tolerance`` relative to the right-hand side.

    Conjugate gradients, started anew on the true residual where rounding in their recursions has kept them from the tolerance.
    """
    response, fisher = system.response, system.fisher
    assert response is not None
    assert fisher is not None
    target = tolerance * norm(system.right_hand_side)

    def unfinished(carry):
        _, residual, products, gained, positive = carry
        return _missed(residual, target, products) & (products < max_products) & gained & positive

    def correct(carry):
        # Recursions keep the rounding of their first values: solving anew for what the true residual leaves removes it.
        adjoint, residual, products, _, _ = carry
        length = norm(residual)
        left_over = max_products - products - 1  # one is the true residual's
        found = fisher_conjugate_gradients(
            response, fisher, residual, tolerance=target / length, max_products=left_over
        )
        # What F maps to zero, the Fisher norm does not see: u + S F y, which is y and its residual, has none of it left.
        corrected = add(adjoint, add(found.solution, found.residual))
        left = system.residual(corrected)
        best, gained = _better((adjoint, residual), (corrected, left), products)
        # of a residual that is all rounding, a negative curvature proves nothing
        positive = found.positive | (products > 0)
        return *best, products + found.products + 1, gained, positive

    yes = jnp.array(True)
    start = zeros_like(system.right_hand_side), system.right_hand_side, jnp.array(0), yes, yes
    adjoint, residual, products, _, positive = lax.while_loop(unfinished, correct, start)
    exhausted = (norm(residual) > GRACE * target) & (products >= max_products)
    return solution(adjoint, products, exhausted=exhausted, positive=positive)


def _solve_bicgstab(
    system: AdjointSystem, tolerance: Float[Array, ""] | float, max_products: Int[Array, ""] | int
) -> Solution:
    """Returns the adjoint of any system, to a true residual of ``tolerance`` relative to the right-hand side.

    BiCGStab, started anew on the true residual while that helps. Iterations can break down; and in single precision Lineax takes
    coefficients that are merely negative, as a Jacobian that is not symmetric allows, for a breakdown.
    """
    # iterations past what rounding resolves end in zero divided by zero
    length = norm(system.right_hand_side)
    target = jnp.maximum(tolerance, _LEAST_UNITS * jnp.finfo(length.dtype).eps) * length

    def unfinished(carry):
        _, residual, products, gained = carry
        return _missed(residual, target, products) & (products + _BICGSTAB_LEAST <= max_products) & gained

    def correct(carry):
        adjoint, residual, products, _ = carry
        length = norm(residual)
        steps = (max_products - products - 2) // 2
        solver = lx.BiCGStab(rtol=0.0, atol=cast(float, target / length), norm=norm, max_steps=cast(int, steps))
        found, taken = _lineax(system, residual, solver)
        # zero is divided by zero where the first half step ends at the solution, as where the right-hand side is it already
        found = where(all_finite(found), found, residual)
        corrected = add(adjoint, found)
        left = system.residual(corrected)
        best, gained = _better((adjoint, residual), (corrected, left), products)
        return *best, products + 2 * taken + 2, gained

    start = zeros_like(system.right_hand_side), system.right_hand_side, jnp.array(0), jnp.array(True)
    adjoint, residual, products, _ = lax.while_loop(unfinished, correct, start)
    exhausted = (norm(residual) > GRACE * target) & (products + _BICGSTAB_LEAST > max_products)
    return solution(adjoint, products, exhausted=exhausted)


def _missed(residual: PyTree, target: Float[Array, ""], products: Int[Array, ""]) -> Bool[Array, ""]:
    """Returns whether a true residual asks for a run; grace is for one whose recursion met the target, not for none at all."""
    return norm(residual) > jnp.where(products > 0, GRACE, 1) * target


def _better(
    last: tuple[PyTree, PyTree], corrected: tuple[PyTree, PyTree], products: Int[Array, ""]
) -> tuple[tuple[PyTree, PyTree], Bool[Array, ""]]:
    """Returns the better of two adjoints, each with its true residual, and whether the second gained enough for another run."""
    before, after = norm(last[1]), norm(corrected[1])
    worse = (after >= before) & (products > 0)  # a NaN is not worse: it must come out
    return where(worse, last, corrected), after <= _GAIN * before


def _lineax(system: AdjointSystem, right_hand_side: PyTree, solver: lx.BiCGStab | lx.GMRES) -> tuple[PyTree, Array]:
    """Returns the solver's answer and its number of steps; a right-hand side of zero, or of no entries, has the answer zero in no steps.

    Lineax compares its relative tolerance entry by entry, which no entry of zero ever meets. So the solvers get a right-hand side
    of length one, and an absolute tolerance in the Euclidean norm.
    """
    length = norm(right_hand_side)
    vanishes = length == 0
    unit = scale(1 / jnp.where(vanishes, 1, length), right_hand_side)
    operator = lx.FunctionLinearOperator(system.operator, jax.eval_shape(lambda: unit))
    if not operator.in_size():
        return unit, jnp.array(0)
    found = lx.linear_solve(operator, unit, solver, throw=False)
    answer = where(vanishes, zeros_like(unit), scale(length, found.value))
    return answer, jnp.where(vanishes, 0, found.stats["num_steps"])
