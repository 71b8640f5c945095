"""Hidden Markov model, sequential in time, in C++: the recursions of ``scan``, compiled once for all programs.

It takes one chain, or many end to end, each with an initial and a transition potential of its own. Derivatives beyond the Fisher product
are those of ``scan``, run over the one chain that chains end to end are: a NaN in one reaches the others.
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from slds_core.chains.hmm import scan
from slds_core.chains.hmm.types import HMMPotentials, HMMResiduals, HMMStatistics
from slds_core.chains.native import call
from slds_core.chains.packing import Lengths, owners, starts, total


class NativeResiduals(eqx.Module):
    """What the Fisher product needs: the logarithms, and what would cost exponentials in each product."""

    logs: HMMResiduals
    probability: Float[Array, "time state"]  # of the filtered states, φ
    reciprocal: Float[Array, "transition state"]  # 1 / s; -1 first in steps that need the logarithms (hmm.hpp)


def smooth(potentials: HMMPotentials, lengths: Lengths = ()):
    """Returns log-partition and expected statistics; stores nothing for the Fisher product."""
    log_partition, *moments = _call("slds_hmm_smooth", lengths, _moments(potentials, lengths), *_arrays(potentials))
    return log_partition, HMMStatistics(*moments)


def linearise(potentials: HMMPotentials, lengths: Lengths = ()):
    """Returns log-partition, expected statistics and the residuals for ``fisher_product``."""
    log_partition, statistics, logs, probabilities = _linearise(lengths, potentials)
    return log_partition, statistics, NativeResiduals(logs, *jax.lax.stop_gradient(probabilities))


def fisher_product(residuals: NativeResiduals, direction: HMMPotentials, lengths: Lengths = ()) -> HMMStatistics:
    """Returns the derivative of the expected statistics along ``direction``; linear and symmetric in it."""
    return _fisher_product(lengths, residuals, direction)


def sample(residuals: NativeResiduals, uniforms: Float[Array, "time draw"]) -> Int[Array, "time draw"]:
    """Returns the paths that uniform draws from [0, 1) lead to."""
    logs = residuals.logs
    varying = logs.transition.ndim == 3
    shape = jax.ShapeDtypeStruct(uniforms.shape, jnp.int32)
    arguments = jax.lax.stop_gradient((logs.transition, logs.filtered, uniforms))
    (paths,) = call("slds_hmm_sample", [shape], *arguments, varying=varying)
    return paths


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _linearise(lengths: Lengths, potentials: HMMPotentials):
    time, state = potentials.unary.shape
    moments = _moments(potentials, lengths)
    transitions = sum(max(length - 1, 0) for length in lengths or (time,))
    kept = moments[-1], jax.ShapeDtypeStruct((transitions, state), potentials.unary.dtype)
    log_partition, first, pairs, marginals, filtered, predicted, *probabilities = _call(
        "slds_hmm_linearise", lengths, (*moments, *kept, *kept), *_arrays(potentials)
    )
    statistics = HMMStatistics(first, pairs, marginals)
    logs = HMMResiduals(potentials.transition, filtered, predicted, marginals)
    return log_partition, statistics, logs, tuple(probabilities)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _fisher_product(lengths: Lengths, residuals: NativeResiduals, direction: HMMPotentials):
    logs = residuals.logs
    kept = logs.transition, logs.filtered, logs.predicted, logs.marginals, residuals.probability, residuals.reciprocal
    return HMMStatistics(
        *_call("slds_hmm_fisher", lengths, _moments(direction, lengths)[1:], *kept, *_arrays(direction))
    )


@_linearise.defjvp
def _linearise_jvp(lengths, primals, tangents):
    def linearise(potentials):
        if not lengths:
            return scan.linearise(potentials)
        _, statistics, residuals = scan.linearise(_as_one(lengths, potentials))
        own = HMMResiduals(
            potentials.transition, residuals.filtered, residuals.predicted[_within(lengths)], residuals.marginals
        )
        return total(lengths, _by_step(lengths, potentials, own)), _apart(lengths, statistics), own

    def with_probabilities(potentials):
        log_partition, statistics, logs = linearise(potentials)
        # a derivative is taken from the logarithms alone, so every step may be marked as needing them
        return log_partition, statistics, logs, (jnp.exp(logs.filtered), jnp.full_like(logs.predicted, -1))

    return jax.jvp(with_probabilities, primals, tangents)


@_fisher_product.defjvp
def _fisher_product_jvp(lengths, primals, tangents):
    def product(residuals, direction):
        logs = residuals.logs
        if not lengths:
            return scan.fisher_product(logs, direction)
        # between chains the next state depends on nothing: any potential of it alone, and its own prediction
        free = jnp.zeros_like(direction.initial)
        one = HMMResiduals(
            _moves(lengths, free, logs.transition),
            logs.filtered,
            jnp.zeros_like(logs.filtered[1:]).at[_within(lengths)].set(logs.predicted),
            logs.marginals,
        )
        return _apart(lengths, scan.fisher_product(one, _as_one(lengths, direction)))

    return jax.jvp(product, primals, tangents)


def _as_one(lengths: Lengths, potentials: HMMPotentials) -> HMMPotentials:
    """Returns the one chain that chains end to end are: the step to the next one's first state has that one's initial potential."""
    return HMMPotentials(
        potentials.initial[owners(lengths)[0]],
        _moves(lengths, potentials.initial, potentials.transition),
        potentials.unary,
    )


def _moves(lengths: Lengths, initial: Array, transition: Array) -> Array:
    owner = owners(lengths)[1:]
    first = np.isin(np.arange(1, sum(lengths)), starts(lengths))
    return jnp.where(first[:, None, None], initial[owner][:, None, :], transition[owner])


def _apart(lengths: Lengths, statistics: HMMStatistics) -> HMMStatistics:
    """Returns that chain's statistics by chain: its own first state, its own pairs; zero for a chain of no steps."""
    chains, within = len(lengths), _within(lengths)
    pairs = jax.ops.segment_sum(statistics.transition[within], owners(lengths)[1:][within], chains)
    some = np.flatnonzero(lengths)
    first = jnp.zeros((chains, statistics.initial.size), statistics.initial.dtype)
    first = first.at[some].set(statistics.marginals[starts(lengths)[some]])
    return HMMStatistics(first, pairs, statistics.marginals)


def _within(lengths: Lengths) -> np.ndarray:
    """Returns which of that chain's transitions do not lead from one chain to the next."""
    owner = owners(lengths)
    return np.flatnonzero(owner[1:] == owner[:-1])


def _by_step(lengths: Lengths, potentials: HMMPotentials, residuals: HMMResiduals) -> Array:
    """Returns what each step adds to the log-partition (nats)."""
    predicted = potentials.initial[owners(lengths)].at[1 + _within(lengths)].set(residuals.predicted)
    return scan.log_sum_exp(predicted + potentials.unary, axis=1)


def _call(target: str, lengths: Lengths, shapes, *arguments: Array):
    varying = arguments[-2].ndim == 3 and not lengths
    return call(target, shapes, *arguments, lengths=lengths, varying=varying)


def _arrays(potentials: HMMPotentials):
    return potentials.initial, potentials.transition, potentials.unary


def _moments(potentials: HMMPotentials, lengths: Lengths):
    """Returns the shapes of log-partition, first step, pairs and marginals."""
    dtype, chains = potentials.unary.dtype, (len(lengths),) if lengths else ()
    return [jax.ShapeDtypeStruct(shape, dtype) for shape in (chains, *(array.shape for array in _arrays(potentials)))]
