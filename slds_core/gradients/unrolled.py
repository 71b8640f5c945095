"""Differentiate the sweeps themselves."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int, PyTree

from slds_core.fixed_point.interface import FixedPoint, as_swept
from slds_core.fixed_point.limits import require_count, require_size, require_tolerance
from slds_core.gradients.result import AdjointInfo, Gradient, GradientStatus, Objective
from slds_core.trees import add, all_finite, norm, subtract, zeros_like

_ROUNDING = 1000  # units of rounding, relative to the gradient, below which no change can be told


def unrolled(problem: FixedPoint, objective: Objective, parameters: PyTree, state: PyTree, *, sweeps: int) -> Gradient:
    """Returns the derivative of the objective after ``sweeps`` sweeps from ``state``, which is held fixed.

    It is exact for that finite computation and tends to the fixed point's gradient as the sweeps go on, more slowly than
    the state does. Memory grows with the number of sweeps.

    Args:
        problem, objective: the model and the function of its posterior.
        parameters, state: where to differentiate, and where the sweeps start.
        sweeps: how many, at least 1.

    Raises:
        ValueError: ``sweeps`` is below 1.

    References:
        Scieur, Gidel, Bertrand and Pedregosa (2022), "The curse of unrolling".
    """
    require_count("sweeps", sweeps, 1)
    state = as_swept(problem, parameters, state)

    def composition(parameters):
        def sweep(state, _):
            return problem.sweep(parameters, state), None

        last, _ = lax.scan(sweep, state, None, length=sweeps - 1)
        return objective(parameters, problem.posterior(parameters, last))

    value, gradient = jax.value_and_grad(composition)(parameters)
    finite = all_finite((value, gradient))
    status = GradientStatus.where(finite, GradientStatus.exact_derivative, GradientStatus.nonfinite)
    unknown = jnp.full_like(value, jnp.nan)
    return Gradient(value, gradient, AdjointInfo(status, jnp.array(sweeps), unknown, unknown, unknown))


def unrolled_converged(
    problem: FixedPoint,
    objective: Objective,
    parameters: PyTree,
    state: PyTree,
    *,
    sweeps: Int[Array, ""] | int = 100,
    max_sweeps: int = 6400,
    tolerance: Float[Array, ""] | float = 1e-10,
) -> Gradient:
    """Returns the unrolled gradient, its number of sweeps doubled until the gradient stops changing: a witness of its own.

    The derivative is that of ``unrolled``, but the states are stored and each sweep is linearised anew on the way back. So one
    compiled program serves every number of sweeps, and memory is ``max_sweeps`` states and one sweep.

    Args:
        problem, objective, parameters, state: as for ``unrolled``.
        sweeps: how many to begin with, at least 1; a traced number below counts as 1, one above ``max_sweeps`` as that.
        max_sweeps: most to differentiate; the doubling ends there.
        tolerance: Euclidean norm of the gradient's change from half the sweeps, relative to the gradient's, at which to stop;
            no less than rounding can resolve.

    Returns:
        The gradient after the last doubling. Its status is ``still_changing`` where ``max_sweeps`` was too few; its ``products``
        are the sweeps that all doublings differentiated.

    Raises:
        ValueError: ``sweeps`` is below 1, ``max_sweeps`` leaves no doubling, or the tolerance is negative or NaN.

    References:
        Scieur, Gidel, Bertrand and Pedregosa (2022), "The curse of unrolling", on how late its derivative converges.
    """
    require_count("sweeps", sweeps, 1)
    require_size("max_sweeps", max_sweeps, 1)
    require_tolerance("tolerance", tolerance)
    if not isinstance(sweeps, Tracer) and max_sweeps < 2 * sweeps:
        raise ValueError(f"max_sweeps: expected at least 2 · sweeps = {2 * sweeps}, found {max_sweeps}")

    state = as_swept(problem, parameters, state)
    # a traced number cannot be refused, and none doubled would be none for ever
    sweeps = jnp.clip(sweeps, 1, max_sweeps)
    _, states = lax.scan(lambda state, _: (problem.sweep(parameters, state), state), state, None, length=max_sweeps)

    def unfinished(last: _Doubling) -> Bool[Array, ""]:
        return ~last.settled & last.finite & ((last.sweeps == 0) | (2 * last.sweeps <= max_sweeps))

    def double(last: _Doubling) -> _Doubling:
        longer = jnp.where(last.sweeps == 0, sweeps, 2 * last.sweeps)
        value, gradient = _derivative(problem, objective, parameters, states, longer)
        target = jnp.maximum(tolerance, _ROUNDING * jnp.finfo(value.dtype).eps) * norm(gradient)
        settled = (last.sweeps > 0) & (norm(subtract(gradient, last.gradient)) <= target)
        return _Doubling(longer, last.total + longer, value, gradient, settled, all_finite((value, gradient)))

    value = jax.eval_shape(lambda: jnp.asarray(objective(parameters, problem.posterior(parameters, state))))
    none = _Doubling(
        sweeps=jnp.array(0),
        total=jnp.array(0),
        value=jnp.zeros((), value.dtype),
        gradient=zeros_like(parameters),
        settled=jnp.array(False),
        finite=jnp.array(True),
    )
    found = lax.while_loop(unfinished, double, none)
    status = GradientStatus.where(found.settled, GradientStatus.exact_derivative, GradientStatus.still_changing)
    status = GradientStatus.where(found.finite, status, GradientStatus.nonfinite)
    unknown = jnp.full_like(found.value, jnp.nan)
    return Gradient(found.value, found.gradient, AdjointInfo(status, found.total, unknown, unknown, unknown))


class _Doubling(NamedTuple):
    sweeps: Int[Array, ""]  # of the last gradient; none before the first
    total: Int[Array, ""]  # that all gradients so far differentiated
    value: Float[Array, ""]
    gradient: PyTree
    settled: Bool[Array, ""]  # whether it changed no more
    finite: Bool[Array, ""]


def _derivative(
    problem: FixedPoint, objective: Objective, parameters: PyTree, states: PyTree, sweeps: Int[Array, ""]
) -> tuple[Float[Array, ""], PyTree]:
    """Returns the objective after so many sweeps and its gradient, given the states that each sweep starts from."""

    def before(sweep):
        return jax.tree.map(lambda leaf: leaf[sweep], states)

    def last(parameters, state):
        return jnp.asarray(objective(parameters, problem.posterior(parameters, state)))

    def sweep_back(carry):
        sweep, gradient, cotangent = carry
        _, pull = jax.vjp(problem.sweep, parameters, before(sweep - 1))
        in_parameters, in_state = pull(cotangent)
        return sweep - 1, add(gradient, in_parameters), in_state

    value, (gradient, cotangent) = jax.value_and_grad(last, argnums=(0, 1))(parameters, before(sweeps - 1))
    start = sweeps - 1, gradient, cotangent
    _, gradient, _ = lax.while_loop(lambda carry: carry[0] > 0, sweep_back, start)
    return value, gradient
