"""Coordinate ascent: sweep until the state stands still."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, PyTree

from slds_core.fixed_point.interface import FixedPoint
from slds_core.fixed_point.residual import Residual, change
from slds_core.fixed_point.status import InferenceStatus

RESIDUAL = "residual"


class Trace(eqx.Module):
    """What each sweep did; NaN after the last."""

    residual: Residual  # change of the state in each sweep, the residual of the state that it started from
    monitors: dict[str, Float[Array, " sweep"]]  # nats; "elbo" is always there


class Inference(eqx.Module):
    """Where inference stopped, why, and how it got there."""

    posterior: PyTree
    state: PyTree
    status: InferenceStatus
    sweeps: Int[Array, ""]
    trace: Trace


def coordinate_ascent(
    problem: FixedPoint,
    parameters: PyTree,
    state: PyTree,
    *,
    max_sweeps: int,
    tolerance: Float[Array, ""] | float = 0.0,
    criterion: str = RESIDUAL,
) -> Inference:
    """Returns the posterior after sweeping until the criterion falls below the tolerance.

    Args:
        problem: the model.
        parameters, state: its parameters and where to start.
        max_sweeps: most sweeps to take, at least 1. Sets the length of the trace, so another limit compiles anew.
        tolerance: strict: zero takes ``max_sweeps`` sweeps. A traced argument, so another tolerance does not.
        criterion: ``"residual"``, the largest absolute change of the state in one sweep; or the name of a monitor (``"elbo"``
            or one of the problem's), whose relative change in one sweep is compared.

    Returns:
        The inference. It never raises for want of convergence: ask its status.

    Raises:
        ValueError: ``max_sweeps`` is below 1, or no such criterion is known.

    References:
        Blei, Kucukelbir and McAuliffe (2017), "Variational inference: a review for statisticians", algorithm 1.
    """
    if max_sweeps < 1:
        raise ValueError(f"max_sweeps: expected at least 1, found {max_sweeps}")
    shapes = jax.eval_shape(problem.posterior, parameters, state)
    names = ["elbo", *jax.eval_shape(problem.monitors, shapes)]
    if criterion not in (RESIDUAL, *names):
        raise ValueError(f"criterion: expected one of {', '.join([RESIDUAL, *names])}, found {criterion!r}")
    elbo = jax.eval_shape(problem.elbo, shapes)
    empty = jnp.full(max_sweeps, jnp.nan, elbo.dtype)

    def unfinished(carry):
        _, _, status, sweeps, _ = carry
        return (status == InferenceStatus.sweep_limit) & (sweeps < max_sweeps)

    def sweep(carry):
        state, _, _, sweeps, trace = carry
        posterior = problem.posterior(parameters, state)
        new = problem.state(posterior)
        step = change(new, state)
        values = {"elbo": problem.elbo(posterior), **problem.monitors(posterior)}
        moved = step.maximum if criterion == RESIDUAL else _relative_change(trace, values, criterion, sweeps)
        finite = jnp.isfinite(step.maximum) & jnp.isfinite(values["elbo"])
        status = InferenceStatus.where(moved < tolerance, InferenceStatus.converged, InferenceStatus.sweep_limit)
        status = InferenceStatus.where(finite, status, InferenceStatus.nonfinite)
        trace = jax.tree.map(lambda series, value: series.at[sweeps].set(value), trace, Trace(step, values))
        return new, posterior, status, sweeps + 1, trace

    nothing = jax.tree.map(lambda leaf: jnp.full(leaf.shape, jnp.nan, leaf.dtype), shapes)
    trace = Trace(Residual(empty, empty), dict.fromkeys(names, empty))
    start = state, nothing, InferenceStatus.sweep_limit, jnp.array(0), trace
    state, posterior, status, sweeps, trace = lax.while_loop(unfinished, sweep, start)
    return Inference(posterior, state, status, sweeps, trace)


def _relative_change(trace: Trace, values: dict, criterion: str, sweeps) -> Float[Array, ""]:
    before = trace.monitors[criterion][
        sweeps - 1
    ]  # at the first sweep the last entry, still NaN: never below a tolerance
    return jnp.abs((values[criterion] - before) / before)
