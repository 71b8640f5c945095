"""Inference of many sequences in rounds: each round has those that have not converged, so that none pays for a slower one.

A solver sweeps all sequences of its problem until the last has converged. Between rounds those that have are left out, which needs a look
at the numbers and a program for the sequences that are left: it pays for large sets, and cannot be part of a larger compiled program.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int

from slds_core.fixed_point import Inference, InferenceStatus, coordinate_ascent
from slds_core.fixed_point.residual import change_by_sequence, resolvable
from slds_core.models.slds.potentials import SLDSPotentials
from slds_core.models.slds.sequences import SLDSSequences

Solver = Callable[..., Inference]


class Settled(NamedTuple):
    """Where inference of each sequence stopped."""

    state: Float[Array, "packed state"]
    residual: Float[
        np.ndarray, " sequence"
    ]  # largest change of its state in one more sweep; NaN where inference broke down
    sweeps: Int[np.ndarray, " sequence"]  # sweeps and Jacobian products of the rounds that it took part in
    status: InferenceStatus  # a batch: converged, sweep_limit or nonfinite

    @property
    def converged(self) -> Bool[np.ndarray, " sequence"]:
        """Whether each sequence is at its fixed point."""
        return np.asarray(self.status == InferenceStatus.converged)


def infer_in_rounds(
    problem: SLDSSequences,
    parameters: SLDSPotentials,
    state: Float[Array, "packed state"],
    *,
    tolerance: float = 1e-10,
    rounds: Sequence[int] = (30, 100, 300, 1000),
    solver: Solver = coordinate_ascent,
) -> Settled:
    """Returns the state of all sequences, each swept until it, or its rounds, have ended. ``problem.posterior`` yields all else.

    Args:
        problem, parameters, state: the sequences, their potentials and where to start.
        tolerance: largest change in one more sweep at which a sequence counts as converged; no less than rounding can resolve.
        rounds: most sweeps of each round; what has not converged after the last is said to have not.
        solver: ``coordinate_ascent``, ``newton_cg`` or ``anderson``, or any with their arguments.

    Raises:
        ValueError: there is no round, or one without sweeps.
        TypeError: inside ``jit`` or another transformation, where no sequence can be left out.
    """
    rounds = tuple(rounds)
    if not rounds or min(rounds) < 1:
        raise ValueError(f"rounds: expected one number of sweeps or more, each at least 1, found {rounds}")
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((parameters, state))):
        raise TypeError("infer_in_rounds looks at numbers between rounds: call it outside jit, grad and vmap")
    enough = float(resolvable(tolerance, jnp.asarray(state)))
    count, owner = len(problem.lengths), problem.sequences().owners
    left, residual, sweeps = np.arange(count), np.full(count, np.inf), np.zeros(count, int)
    waiting = list(rounds)
    while waiting and left.size:
        most = waiting.pop(0)
        own, own_parameters, own_state = problem.select(left, parameters, state)
        own_state, own_residual, taken = _round(solver, own, most, own_parameters, own_state, tolerance)
        state = jnp.asarray(state).at[np.flatnonzero(np.isin(owner, left))].set(own_state)
        residual[left], sweeps[left] = np.asarray(own_residual), sweeps[left] + int(taken)
        finite = np.isfinite(residual[left])
        if not finite.all():  # the solver stopped for all when it met these: the others have their round again
            waiting.insert(0, most)
        left = left[finite & (residual[left] > enough)]
    return Settled(state, residual, sweeps, jax.vmap(partial(_status, enough=enough))(jnp.asarray(residual)))


def _status(residual: Float[Array, ""], enough: float) -> InferenceStatus:
    ended = InferenceStatus.where(jnp.isfinite(residual), InferenceStatus.sweep_limit, InferenceStatus.nonfinite)
    return InferenceStatus.where(residual <= enough, InferenceStatus.converged, ended)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _round(solver: Solver, problem: SLDSSequences, most: int, parameters, state, tolerance):
    found = solver(problem, parameters, state, max_sweeps=most, tolerance=tolerance)
    posterior = problem.posterior(parameters, found.state)
    more = change_by_sequence(problem, problem.state(posterior), found.state)
    assert more is not None
    # what breaks down need not reach the state: a single step has none
    return found.state, jnp.where(jnp.isfinite(posterior.elbo), more.maximum, jnp.nan), found.sweeps
