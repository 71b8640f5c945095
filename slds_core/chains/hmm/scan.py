"""Hidden Markov model, sequential in time, in logarithms.

Forward, ``f_t = log P(k_t | o_0 … o_t)`` follows from the predictions ``p_{t+1,j} = log Σ_i exp(f_{t,i} + A_ij)``. Backward, the
conditionals ``W_ij = P(k_t = i | k_{t+1} = j) = exp(f_{t,i} + A_ij - p_{t+1,j})`` carry the marginals: ``γ_t = W γ_{t+1}``. The
conditionals are recomputed where they are needed, never stored: memory is ``time × state``. The Fisher product is the
directional derivative of these two recursions.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from slds_core.chains.hmm.types import HMMPotentials, HMMResiduals, HMMStatistics


def smooth(potentials: HMMPotentials):
    """Returns log-partition and expected statistics."""
    return linearise(potentials)[:2]


def linearise(potentials: HMMPotentials):
    """Returns log-partition, expected statistics and the residuals for ``fisher_product``."""
    varying = potentials.transition.ndim == 3

    def predict(filtered, step):
        unary, *own = step
        transition = own[0] if varying else potentials.transition
        predicted = log_sum_exp(filtered[:, None] + transition, axis=0)
        evidence = log_sum_exp(predicted + unary)
        filtered = predicted + unary - evidence
        return filtered, (filtered, predicted, evidence)

    def substitute(carry, step):
        marginals, total = carry
        filtered, predicted, *own = step
        pair = conditional(filtered, own[0] if varying else potentials.transition, predicted) * marginals
        marginals = jnp.sum(pair, axis=1)
        return (marginals, total + pair), (marginals, pair if varying else None)

    own = (potentials.transition,) if varying else ()
    first = potentials.initial + potentials.unary[0]
    evidence = log_sum_exp(first)
    _, (filtered, predicted, increments) = lax.scan(predict, first - evidence, (potentials.unary[1:], *own))
    filtered = jnp.concatenate([(first - evidence)[None], filtered])

    last = jnp.exp(filtered[-1])
    start = last, jnp.zeros_like(last, shape=(last.size, last.size))
    (_, total), (marginals, pairs) = lax.scan(substitute, start, (filtered[:-1], predicted, *own), reverse=True)
    marginals = jnp.concatenate([marginals, last[None]])
    statistics = HMMStatistics(marginals[0], total if pairs is None else pairs, marginals)
    residuals = HMMResiduals(potentials.transition, filtered, predicted, marginals)
    return evidence + jnp.sum(increments), statistics, residuals


def fisher_product(residuals: HMMResiduals, direction: HMMPotentials) -> HMMStatistics:
    """Returns the derivative of the expected statistics along ``direction``; linear and symmetric in it."""
    varying = residuals.transition.ndim == 3
    shared = residuals.transition, direction.transition

    def predict(d_filtered, step):
        filtered, predicted, next_filtered, d_unary, *own = step
        transition, d_transition = own if varying else shared
        weights = conditional(filtered, transition, predicted)
        d_predicted = jnp.sum(weights * (d_filtered[:, None] + d_transition), axis=0)
        d_filtered = _centre(d_predicted + d_unary, next_filtered)
        return d_filtered, (d_filtered, d_predicted)

    def substitute(carry, step):
        d_marginals, d_total = carry
        filtered, predicted, next_marginals, d_filtered, d_predicted, *own = step
        transition, d_transition = own if varying else shared
        weights = conditional(filtered, transition, predicted)
        d_weights = weights * (d_filtered[:, None] + d_transition - d_predicted)
        d_pair = d_weights * next_marginals + weights * d_marginals
        d_marginals = jnp.sum(d_pair, axis=1)
        return (d_marginals, d_total + d_pair), (d_marginals, d_pair if varying else None)

    filtered, predicted, marginals = residuals.filtered, residuals.predicted, residuals.marginals
    own = shared if varying else ()
    first = _centre(direction.initial + direction.unary[0], filtered[0])
    steps = (filtered[:-1], predicted, filtered[1:], direction.unary[1:], *own)
    _, (d_filtered, d_predicted) = lax.scan(predict, first, steps)
    d_filtered = jnp.concatenate([first[None], d_filtered])

    last = marginals[-1] * d_filtered[-1]
    start = last, jnp.zeros_like(last, shape=(last.size, last.size))
    steps = (filtered[:-1], predicted, marginals[1:], d_filtered[:-1], d_predicted, *own)
    (_, d_total), (d_marginals, d_pairs) = lax.scan(substitute, start, steps, reverse=True)
    d_marginals = jnp.concatenate([d_marginals, last[None]])
    return HMMStatistics(d_marginals[0], d_total if d_pairs is None else d_pairs, d_marginals)


def sample(residuals: HMMResiduals, uniforms: Float[Array, "time draw"]) -> Int[Array, "time draw"]:
    """Returns the paths that uniform draws from [0, 1) lead to."""
    varying = residuals.transition.ndim == 3

    def substitute(following, step):
        filtered, uniforms, *own = step
        moves = (own[0] if varying else residuals.transition).T[following]
        states = jnp.where(following < 0, -1, pick(filtered + moves, uniforms))
        return states, states

    own = (residuals.transition,) if varying else ()
    last = pick(
        jnp.broadcast_to(residuals.filtered[-1], (uniforms.shape[1], residuals.filtered.shape[1])), uniforms[-1]
    )
    _, states = lax.scan(substitute, last, (residuals.filtered[:-1], uniforms[:-1], *own), reverse=True)
    return jnp.concatenate([states, last[None]])


def pick(scores: Float[Array, "*batch state"], uniforms: Float[Array, "*batch"]) -> Int[Array, "*batch"]:
    """Returns the first state at which the sum of probabilities, ``exp`` of the scores, exceeds that share of the total.

    Args:
        scores: logarithms of probabilities, up to a constant.
        uniforms: from zero to below one.

    Returns:
        The states; -1 where all probabilities are zero, or one is NaN.
    """
    weights = jnp.exp(scores - jnp.max(scores, axis=-1, keepdims=True))
    sums = jnp.cumsum(weights, axis=-1)
    total = sums[..., -1]
    # a share that rounding took to the whole has the last state that is possible at all
    reached = (uniforms * total)[..., None] < jnp.where(weights > 0, sums, -1)
    whole = jnp.argmax(sums == total[..., None], axis=-1)
    state = jnp.where(jnp.any(reached, axis=-1), jnp.argmax(reached, axis=-1), whole)
    return jnp.where(total > 0, state, -1).astype(jnp.int32)


def log_sum_exp(x, axis=-1):
    """Returns ``log Σ exp x`` along an axis, ``-inf`` where all entries are; for one short axis of a loop's body."""
    largest = jnp.max(x, axis=axis, keepdims=True)
    largest = jnp.where(jnp.isneginf(largest), 0.0, largest)
    return jnp.log(jnp.sum(jnp.exp(x - largest), axis=axis)) + jnp.squeeze(largest, axis)


def conditional(filtered, transition, predicted):
    """Returns ``W_ij = P(k_t = i | k_{t+1} = j)``, zero where ``j`` cannot be reached."""
    reachable = jnp.where(jnp.isneginf(predicted), 0.0, predicted)
    return jnp.exp(filtered[..., :, None] + transition - reachable[..., None, :])


def _centre(change, log_probabilities):
    """Returns the change of normalised log-probabilities, given that of the unnormalised ones."""
    return change - jnp.sum(jnp.exp(log_probabilities) * change)
