"""Anderson acceleration of coordinate ascent on the message, safeguarded by the bound."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PyTree

from slds_core.fixed_point.interface import MeanField
from slds_core.fixed_point.limits import require_size, require_tolerance, trace_length
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
from slds_core.full_precision import in_full_precision
from slds_core.trees import where


class _Iterate(NamedTuple):
    message: Float[Array, " entry"]  # o, the best so far
    residual: Float[Array, " entry"]  # G(o) - o
    bound: Float[Array, ""]
    messages: Float[Array, "memory entry"]  # differences of successive iterates
    residuals: Float[Array, "memory entry"]  # and of their residuals; zero where the memory is not yet full
    filled: Int[Array, ""]
    posterior: PyTree


@in_full_precision
def anderson(
    problem: MeanField,
    parameters: PyTree,
    state: PyTree,
    *,
    max_sweeps: Int[Array, ""] | int,
    capacity: int | None = None,
    tolerance: Float[Array, ""] | float = 1e-12,
    criterion: str = RESIDUAL,
    memory: int = 8,
) -> Inference:
    """Returns the posterior found by Anderson's mixing of the last messages; what lowers the bound is replaced by a plain sweep.

    Args:
        problem: a mean-field model, whose message is unconstrained.
        parameters, state, max_sweeps, capacity, tolerance, criterion: as for ``coordinate_ascent``.
        memory: how many earlier differences to mix.

    Returns:
        The inference. Its iterations are trial steps, rejected ones included; each costs one sweep.

    Raises:
        ValueError: ``max_sweeps`` or ``memory`` is below 1, ``max_sweeps`` is above the capacity, or no such criterion is known.
        TypeError: the model is no mean field.

    References:
        Walker and Ni (2011), "Anderson acceleration for fixed-point iterations".
    """
    if not isinstance(problem, MeanField):
        raise TypeError(f"anderson needs a mean-field model, found {type(problem).__name__}")
    require_size("memory", memory, 1)
    length = trace_length(max_sweeps, capacity)
    require_tolerance("tolerance", tolerance)
    nothing, progress = begin(problem, parameters, state, length=length, criterion=criterion)
    first_message, unravel = ravel_pytree(problem.response(parameters, state))

    def trial(carry: tuple[_Iterate, Progress]) -> tuple[_Iterate, Progress]:
        best, progress = carry
        first = progress.iterations == 0
        plain = best.message + best.residual
        candidate = jnp.where(best.filled > 0, _mixed(best), plain)
        message = jnp.where(first, first_message, candidate)
        state = problem.marginals(parameters, unravel(message))
        posterior = problem.posterior(parameters, state)
        residual = ravel_pytree(problem.parts(posterior)[1])[0] - message
        accepted = first | keeps_bound(problem, posterior, best.bound) | (best.filled == 0)

        step = change(problem.state(posterior), state)
        by_sequence = change_by_sequence(problem, problem.state(posterior), state)
        grown = jnp.where(first, 0, 1)
        taken = _Iterate(
            message,
            residual,
            problem.elbo(posterior),
            jnp.roll(best.messages, 1, axis=0).at[0].set(grown * (message - best.message)),
            jnp.roll(best.residuals, 1, axis=0).at[0].set(grown * (residual - best.residual)),
            jnp.minimum(best.filled + grown, memory),
            posterior,
        )
        progress = record(
            progress,
            problem,
            posterior,
            step,
            by_sequence,
            cost=1,
            tolerance=jnp.where(accepted, tolerance, 0.0),
            criterion=criterion,
            monotone=False,
        )
        return where(accepted, taken, _forgotten(best)), progress

    history = jnp.zeros((memory, first_message.size), first_message.dtype)
    zero = jnp.zeros_like(first_message)
    lowest = jnp.full((), -jnp.inf, progress.smallest.dtype)
    best = _Iterate(zero, zero, lowest, history, history, jnp.array(0), nothing)
    best, progress = lax.while_loop(lambda carry: unfinished(carry[1], max_sweeps), trial, (best, progress))
    return conclude(best.posterior, problem.state(best.posterior), progress)


def _mixed(best: _Iterate) -> Float[Array, " entry"]:
    """Returns the message that least squares over the remembered differences extrapolates to."""
    gram = best.residuals @ best.residuals.T
    identity, numbers = jnp.eye(gram.shape[0], dtype=gram.dtype), jnp.finfo(gram.dtype)
    # directions that nearly repeat each other would be weighted by noise; without any, what stands still stays finite
    damping = jnp.maximum(100 * numbers.eps * jnp.trace(gram), numbers.tiny)
    weights = jnp.linalg.solve(gram + damping * identity, best.residuals @ best.residual)
    return best.message + best.residual - weights @ (best.messages + best.residuals)


def _forgotten(best: _Iterate) -> _Iterate:
    """Returns the same iterate without memory, from which a plain sweep goes on."""
    messages, residuals = jnp.zeros_like(best.messages), jnp.zeros_like(best.residuals)
    return best._replace(messages=messages, residuals=residuals, filled=jnp.array(0))
