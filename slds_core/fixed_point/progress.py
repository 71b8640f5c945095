"""What all forward solvers record of each iteration, and when they stop."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from slds_core.fixed_point.interface import FixedPoint, require_enabled_precision
from slds_core.fixed_point.residual import Residual
from slds_core.fixed_point.status import InferenceStatus

RESIDUAL = "residual"

# Iterations without a new smallest residual after which the residual counts as stuck, and how near rounding it must be for
# that: residuals wander at 10 to 500 units of rounding (docs/theory.md, section "Precision floor").
_PATIENCE = 25
_FLOOR_UNITS = 1000

# The bound is a difference of sums over time; a fall within this many units of rounding of them is no fall.
_BOUND_UNITS = 1000
_SAFEGUARD_UNITS = 100  # the same, where a step may still be taken back


class Trace(eqx.Module):
    """What each iteration did; NaN after the last."""

    residual: Residual  # change of the state in the iteration's sweep, the residual of the state that it started from
    monitors: dict[str, Float[Array, " iteration"]]  # nats; "elbo" is always there
    sweeps: Float[Array, " iteration"]  # sweeps and Jacobian products spent so far, each counted as one
    by_sequence: Residual | None = None  # of each sequence alone, (iteration, sequence), where a model holds many


class Inference(eqx.Module):
    """Where inference stopped, why, and how it got there."""

    posterior: PyTree
    state: PyTree
    status: InferenceStatus
    iterations: Int[Array, ""]
    sweeps: Int[Array, ""]  # sweeps and Jacobian products together, each counted as one
    trace: Trace


class Progress(eqx.Module):
    """What a solver carries along to know when to stop."""

    status: InferenceStatus
    iterations: Int[Array, ""]
    sweeps: Int[Array, ""]
    smallest: Float[Array, ""]  # residual so far
    best_at: Int[Array, ""]  # iteration of it
    trace: Trace


def begin(
    problem: FixedPoint, parameters: PyTree, state: PyTree, *, length: int, criterion: str
) -> tuple[Any, Progress]:
    """Returns an empty posterior and the progress before the first iteration, with room for ``length`` of them.

    Raises:
        ValueError: no such criterion is known, or there are arrays of double precision while JAX is set to single precision.
    """
    require_enabled_precision(parameters, state)
    shapes = jax.eval_shape(problem.posterior, parameters, state)
    names = ["elbo", *jax.eval_shape(problem.monitors, shapes)]
    if criterion not in (RESIDUAL, *names):
        raise ValueError(f"criterion: expected one of {', '.join([RESIDUAL, *names])}, found {criterion!r}")
    empty = jnp.full(length, jnp.nan, jax.eval_shape(problem.elbo, shapes).dtype)
    posterior = jax.tree.map(lambda leaf: jnp.full(leaf.shape, jnp.nan, leaf.dtype), shapes)
    sequences = problem.sequences()
    each = None if sequences is None else jnp.full((length, sequences.count), jnp.nan, empty.dtype)
    by_sequence = None if each is None else Residual(each, each)
    trace = Trace(Residual(empty, empty), dict.fromkeys(names, empty), empty, by_sequence)
    zero = jnp.array(0)
    infinite = jnp.full((), jnp.inf, empty.dtype)
    return posterior, Progress(InferenceStatus.sweep_limit, zero, zero, infinite, zero, trace)


def record(
    progress: Progress,
    problem: FixedPoint,
    posterior: PyTree,
    step: Residual,
    by_sequence: Residual | None = None,
    *,
    cost: Any,
    tolerance: Float[Array, ""] | float,
    criterion: str,
    monotone: bool = True,
) -> Progress:
    """Returns the progress after one more iteration.

    Args:
        progress: that before it.
        problem, posterior: the model and what the iteration's sweep computed.
        step: how much that sweep changed the state.
        by_sequence: the same for each sequence, where a model holds many.
        cost: sweeps and Jacobian products that the iteration took.
        tolerance, criterion: when to stop.
        monotone: whether the solver promises that the bound never falls.
    """
    here = progress.iterations
    sweeps = progress.sweeps + cost
    values = {"elbo": problem.elbo(posterior), **problem.monitors(posterior)}
    before = {name: series[here - 1] for name, series in progress.trace.monitors.items()}  # at the first still NaN
    moved = step.maximum if criterion == RESIDUAL else _relative_change(values[criterion], before[criterion])

    better = step.maximum < progress.smallest
    best_at = jnp.where(better, here, progress.best_at)
    epsilon = jnp.finfo(step.maximum.dtype).eps
    stuck = (here - best_at >= _PATIENCE) & (progress.smallest <= _FLOOR_UNITS * epsilon)
    fallen = values["elbo"] < before["elbo"] - _BOUND_UNITS * epsilon * (1 + problem.magnitude(posterior))

    status = InferenceStatus.where(
        stuck & (tolerance > 0), InferenceStatus.precision_floor, InferenceStatus.sweep_limit
    )
    status = InferenceStatus.where(fallen & monotone, InferenceStatus.diverged, status)
    status = InferenceStatus.where(moved < tolerance, InferenceStatus.converged, status)
    finite = jnp.isfinite(step.maximum) & jnp.isfinite(values["elbo"])
    status = InferenceStatus.where(finite, status, InferenceStatus.nonfinite)

    entry = Trace(step, values, sweeps.astype(step.maximum.dtype), by_sequence)
    trace = jax.tree.map(lambda series, value: series.at[here].set(value), progress.trace, entry)
    smallest = jnp.where(better, step.maximum, progress.smallest)
    return Progress(status, here + 1, sweeps, smallest, best_at, trace)


def _relative_change(value: Float[Array, ""], before: Float[Array, ""]) -> Float[Array, ""]:
    change = value - before
    return jnp.where(change == 0, 0, jnp.abs(change / before))  # zero that stays zero as well


def keeps_bound(problem: FixedPoint, posterior: PyTree, bound: Float[Array, ""]) -> Bool[Array, ""]:
    """Returns whether a posterior's bound is no lower than ``bound``, as far as rounding lets tell: the safeguard of bold steps."""
    reached = problem.elbo(posterior)
    return reached >= bound - _SAFEGUARD_UNITS * jnp.finfo(reached.dtype).eps * problem.magnitude(posterior)


def unfinished(progress: Progress, limit: Int[Array, ""] | int) -> Array:
    """Returns whether to go on: no verdict yet, sweeps left, and room in the trace."""
    room = progress.iterations < progress.trace.sweeps.shape[0]
    return (progress.status == InferenceStatus.sweep_limit) & (progress.sweeps < limit) & room


def conclude(posterior: PyTree, state: PyTree, progress: Progress) -> Inference:
    """Returns what a solver found."""
    return Inference(posterior, state, progress.status, progress.iterations, progress.sweeps, progress.trace)
