"""Exact inference in a hidden Markov model, as an exponential family.

    p(k) ∝ exp( π_{k_0} + Σ_t A_{k_t k_{t+1}} + Σ_t o_{t k_t} )

with log-potentials ``(π, A, o)``. The gradient of the log-partition is the expected statistics; their derivative is the
Fisher information matrix, the covariance of the indicators: symmetric and positive semidefinite. ``smooth`` carries these
facts as its derivative rule, whatever back end computes it.
"""

from types import ModuleType

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from slds_core.chains.backend import Backend, choose, promote
from slds_core.chains.exponential_family import kernels_of, smooth_with_fisher_rule
from slds_core.chains.hmm import associative, native, scan
from slds_core.chains.hmm.types import HMMPotentials, HMMStatistics

BACKENDS: dict[str, ModuleType] = {"native": native, "scan": scan, "associative": associative}


class HMMPosterior(eqx.Module):
    """What exact inference in a hidden Markov model yields."""

    log_partition: Float[Array, "*chain"]  # nats
    statistics: HMMStatistics


def smooth(potentials: HMMPotentials, *, backend: Backend | None = None) -> HMMPosterior:
    """Returns the log-partition and the expected statistics of a hidden Markov model.

    Args:
        potentials: log-potentials over ``time ≥ 0`` steps; a chain of no steps has log-partition zero.
        backend: ``"native"`` (sequential in time, compiled C++), ``"scan"`` (sequential in time), both with memory ``time × state``;
            ``"associative"`` (parallel in time, memory ``time × state²``); or ``None`` to choose by platform and availability.

    Returns:
        The log-partition (nats) and the expected statistics (probabilities). Where no path is possible, the log-partition is NaN or
        ``-inf``, by the back end, and ``initial`` and ``marginals`` are NaN, as is ``transition`` where there is one.

    Raises:
        ValueError: shapes do not fit each other, there is no state, or the back end is unknown or not available.

    References:
        Rabiner (1989), "A tutorial on hidden Markov models", §III, in logarithms; docs/theory.md, section "Hidden
        Markov model".
    """
    check_shapes(potentials)
    potentials = promote(potentials)
    chosen = choose(backend, BACKENDS, potentials.unary.dtype)
    if potentials.unary.shape[0] == 0:
        return HMMPosterior(jnp.zeros((), potentials.unary.dtype), _nothing(potentials))
    return HMMPosterior(*smooth_with_fisher_rule(kernels_of(BACKENDS[chosen], _slope), potentials))


def inner(potentials: HMMPotentials, statistics: HMMStatistics) -> Float[Array, ""]:
    """Returns ``⟨η, μ⟩``, the inner product of log-potentials with expected statistics (nats); forbidden events count zero."""

    def product(potential, statistic):
        return jnp.sum(jnp.where(statistic == 0, 0.0, potential) * statistic)

    return (
        product(potentials.initial, statistics.initial)
        + product(potentials.transition, statistics.transition)
        + product(potentials.unary, statistics.marginals)
    )


def _slope(direction: HMMPotentials, statistics: HMMStatistics) -> Float[Array, ""]:
    """Returns ``inner`` of a direction, whose entries are finite even where the log-potential is not."""
    return (
        jnp.vdot(direction.initial, statistics.initial)
        + jnp.vdot(direction.transition, statistics.transition)
        + jnp.vdot(direction.unary, statistics.marginals)
    )


def _nothing(potentials: HMMPotentials) -> HMMStatistics:
    return HMMStatistics(
        jnp.zeros_like(potentials.initial), jnp.zeros_like(potentials.transition), jnp.zeros_like(potentials.unary)
    )


def check_shapes(potentials: HMMPotentials) -> None:
    """Raises where shapes do not fit each other, or there is no state.

    Raises:
        ValueError: names the array, what was expected and what was found.
    """
    shape = jnp.shape(potentials.unary)
    if len(shape) != 2 or shape[1] < 1:
        raise ValueError(f"unary: expected shape (time, state ≥ 1), found {shape}")
    time, state = shape
    if jnp.shape(potentials.initial) != (state,):
        raise ValueError(f"initial: expected shape {(state,)}, found {jnp.shape(potentials.initial)}")
    shared, varying = (state, state), (max(time - 1, 0), state, state)
    if jnp.shape(potentials.transition) not in (shared, varying):
        found = jnp.shape(potentials.transition)
        raise ValueError(f"transition: expected shape {shared} or {varying}, found {found}")
