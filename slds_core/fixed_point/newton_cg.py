"""Newton's method on the message: ``o - G(o) = 0``, ``G(o) = response(marginals(o))``, each step by conjugate gradients.

The message (the unary log-potentials, in an SLDS) is unconstrained, so every iterate is a valid posterior. The Jacobian of ``G`` is
``S F``, and ``(I - S F) d = G(o) - o`` is what the adjoint solves too. A step is taken only if the bound does not fall; else it is
shortened, and in the end replaced by a plain sweep ``d = G(o) - o``, which never lowers the bound.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, PyTree

from slds_core.fixed_point.conjugate_gradients import fisher_conjugate_gradients
from slds_core.fixed_point.interface import MeanField
from slds_core.fixed_point.limits import require_count, require_tolerance, trace_length
from slds_core.fixed_point.progress import (
    RESIDUAL,
    Inference,
    Progress,
    begin,
    conclude,
    keeps_bound,
    record,
    unfinished,
)
from slds_core.fixed_point.residual import change, change_by_sequence
from slds_core.trees import add_scaled, largest, scale, subtract, where, zeros_like

_SHORTEN = 0.25
_REJECTIONS = 2  # shortened steps to try before a plain sweep
_LIMIT = 1.0  # nats: how far a Newton step may move a log-potential


class _Iterate(NamedTuple):
    message: PyTree  # o, the best so far
    direction: PyTree  # from it
    plain: PyTree  # G(o) - o, where a plain sweep leads
    length: Float[Array, ""]
    rejections: Int[Array, ""]
    bound: Float[Array, ""]
    posterior: PyTree


def newton_cg(
    problem: MeanField,
    parameters: PyTree,
    state: PyTree,
    *,
    max_sweeps: Int[Array, ""] | int,
    capacity: int | None = None,
    tolerance: Float[Array, ""] | float = 1e-12,
    criterion: str = RESIDUAL,
    switch: Float[Array, ""] | float = 0.01,
    forcing: Float[Array, ""] | float = 0.1,
    products_per_step: Int[Array, ""] | int = 60,
) -> Inference:
    """Returns the posterior found by Newton's method with conjugate gradients, safeguarded by the bound.

    Args:
        problem: a mean-field model, whose two Fisher products the method needs.
        parameters, state: its parameters and where to start.
        max_sweeps: limit on sweeps and Jacobian products together, each counted as one.
        capacity, tolerance, criterion: as for ``coordinate_ascent``.
        switch: largest change of the state in a sweep below which Newton's steps begin; far from the fixed point plain sweeps gain
            more for their price.
        forcing: relative residual of the first linear solves; it falls with the residual, for quadratic convergence in the end.
        products_per_step: most products in one linear solve.

    Returns:
        The inference. Its iterations are trial steps, rejected ones included; the bound of the iterates that were accepted
        never falls.

    Raises:
        ValueError: ``max_sweeps`` is below 1 or above the capacity, no such criterion is known, or a setting is out of bounds.
        TypeError: the model is no mean field.

    References:
        Dembo, Eisenstat and Steihaug (1982), "Inexact Newton methods"; docs/theory.md, section "Newton".
    """
    if not isinstance(problem, MeanField):
        raise TypeError(f"newton_cg needs a mean-field model with Fisher products, found {type(problem).__name__}")
    length = trace_length(max_sweeps, capacity)
    for name, value in (("tolerance", tolerance), ("switch", switch), ("forcing", forcing)):
        require_tolerance(name, value)
    require_count("products_per_step", products_per_step, 1)

    def trial(carry: tuple[_Iterate, Progress]) -> tuple[_Iterate, Progress]:
        best, progress = carry
        message = add_scaled(best.message, best.length, best.direction)

        def respond(state):
            posterior = problem.posterior(parameters, state)
            return problem.parts(posterior)[1], posterior

        state, pull_fisher = jax.vjp(lambda o: problem.marginals(parameters, o), message)
        answer, pull_response, posterior = jax.vjp(respond, state, has_aux=True)
        plain = subtract(answer, message)
        bound = problem.elbo(posterior)
        accepted = (progress.iterations == 0) | keeps_bound(problem, posterior, best.bound)
        step = change(problem.state(posterior), state)
        by_sequence = change_by_sequence(problem, problem.state(posterior), state)

        # this sweep is not counted yet, and one more judges where the step leads
        room = jnp.minimum(products_per_step, max_sweeps - progress.sweeps - 2)

        def newton():
            # as exact as quadratic convergence asks for, but no more than the last step needs
            enough = jnp.maximum(jnp.minimum(forcing, step.maximum), 0.1 * tolerance / step.maximum)
            return _newton_direction(pull_response, pull_fisher, plain, tolerance=enough, max_products=room)

        near = (step.maximum < switch) & (step.maximum >= tolerance)
        direction, products = lax.cond(near & accepted & (room > 0), newton, lambda: (plain, jnp.array(0)))
        taken = _Iterate(message, direction, plain, jnp.ones_like(bound), jnp.array(0), bound, posterior)
        progress = record(
            progress,
            problem,
            posterior,
            step,
            by_sequence,
            cost=1 + products,
            tolerance=jnp.where(accepted, tolerance, 0.0),
            criterion=criterion,
            monotone=False,
        )
        return where(accepted, taken, _after_rejection(best)), progress

    nothing, progress = begin(problem, parameters, state, length=length, criterion=criterion)
    message = problem.response(parameters, state)
    still, zero = zeros_like(message), jnp.zeros((), progress.smallest.dtype)
    best = _Iterate(message, still, still, zero + 1, jnp.array(0), zero - jnp.inf, nothing)
    best, progress = lax.while_loop(lambda carry: unfinished(carry[1], max_sweeps), trial, (best, progress))
    return conclude(best.posterior, problem.state(best.posterior), progress)


def _newton_direction(
    pull_response: Callable[[PyTree], tuple[PyTree]],
    pull_fisher: Callable[[PyTree], tuple[PyTree]],
    plain: PyTree,
    *,
    tolerance: Float[Array, ""],
    max_products: Int[Array, ""],
) -> tuple[PyTree, Int[Array, ""]]:
    """Returns the ``d`` of ``(I - S F) d = G(o) - o``, as far as it goes up, and how many products it took.

    Args:
        pull_response, pull_fisher: products with ``S`` and ``F``, which are symmetric.
        plain: ``G(o) - o``.
        tolerance, max_products: as for ``fisher_conjugate_gradients``.
    """
    found = fisher_conjugate_gradients(
        lambda direction: pull_response(direction)[0],
        lambda direction: pull_fisher(direction)[0],
        plain,
        tolerance=tolerance,
        max_products=max_products,
    )
    # Where conjugate gradients meet negative curvature (the bound curves upwards), their solution so far still is an ascent direction. If
    # they meet it in the first product there is none: the plain sweep's direction, lengthened so that its largest entry is at the limit,
    # leaves the saddle quickly.
    began = found.positive | (found.products > 1)
    stride = jnp.maximum(_LIMIT / largest(plain), 1)
    return where(began, _limited(found.solution), scale(stride, plain)), found.products


def _after_rejection(best: _Iterate) -> _Iterate:
    """Returns the iterate with another way to go on from it: the same, but shorter; in the end a plain sweep."""
    patience = best.rejections < _REJECTIONS
    return best._replace(
        direction=where(patience, best.direction, best.plain),
        length=jnp.where(patience, _SHORTEN * best.length, 1.0),
        rejections=jnp.where(patience, best.rejections + 1, 0),
    )


def _limited(direction: PyTree) -> PyTree:
    """Returns the direction, shortened wherever a log-potential would move too far: there alone, so that one step of a long series
    that is near a saddle, where Newton's step has no end, does not hold up all others."""

    def shortened(leaf):
        furthest = jnp.max(jnp.abs(leaf), axis=tuple(range(1, leaf.ndim)), keepdims=True)
        return leaf * (_LIMIT / jnp.maximum(furthest, _LIMIT))

    return jax.tree.map(shortened, direction)
