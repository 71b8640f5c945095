"""Coordinate ascent: sweep until the state stands still."""

from jax import lax
from jaxtyping import Array, Float, Int, PyTree

from slds_core.fixed_point.interface import FixedPoint, as_swept
from slds_core.fixed_point.limits import require_tolerance, trace_length
from slds_core.fixed_point.progress import RESIDUAL, Inference, begin, conclude, record, unfinished
from slds_core.fixed_point.residual import change, change_by_sequence


def coordinate_ascent(
    problem: FixedPoint,
    parameters: PyTree,
    state: PyTree,
    *,
    max_sweeps: Int[Array, ""] | int,
    capacity: int | None = None,
    tolerance: Float[Array, ""] | float = 0.0,
    criterion: str = RESIDUAL,
) -> Inference:
    """Returns the posterior after sweeping until the criterion falls below the tolerance.

    Args:
        problem: the model.
        parameters, state: its parameters and where to start.
        max_sweeps: most sweeps to take, at least 1. May be traced, as the tolerance may: another value then compiles nothing anew.
        capacity: iterations that the trace has room for, and most to take; ``max_sweeps`` if left out, which then sets the
            length of an array, and cannot be traced.
        tolerance: strict: zero takes ``max_sweeps`` sweeps.
        criterion: ``"residual"``, the largest absolute change of the state in one sweep; or the name of a monitor (``"elbo"``
            or one of the problem's), whose relative change in one sweep is compared.

    Returns:
        The inference. It never raises for want of convergence: ask its status.

    Raises:
        ValueError: ``max_sweeps`` is below 1 or above the capacity, or no such criterion is known.

    References:
        Blei, Kucukelbir and McAuliffe (2017), "Variational inference: a review for statisticians", algorithm 1.
    """
    length = trace_length(max_sweeps, capacity)
    require_tolerance("tolerance", tolerance)

    def sweep(carry):
        state, _, progress = carry
        posterior = problem.posterior(parameters, state)
        new = problem.state(posterior)
        step = change(new, state)
        by_sequence = change_by_sequence(problem, new, state)
        progress = record(
            progress, problem, posterior, step, by_sequence, cost=1, tolerance=tolerance, criterion=criterion
        )
        return new, posterior, progress

    nothing, progress = begin(problem, parameters, state, length=length, criterion=criterion)
    start = as_swept(problem, parameters, state), nothing, progress
    state, posterior, progress = lax.while_loop(lambda carry: unfinished(carry[2], max_sweeps), sweep, start)
    return conclude(posterior, state, progress)
