"""Hidden Markov model, parallel in time: the same numbers as ``scan`` in logarithmic depth. For GPUs.

Products of the matrices ``exp(A + o_t)``, each kept as a matrix of logarithms beside the logarithm of its scale, give the filtered
probabilities; the backward recursion and the Fisher product are linear recurrences in the conditionals ``W``. Memory is
``time × state²``.

References:
    Hassan, Särkkä and García-Fernández (2021), "Temporal parallelization of inference in hidden Markov models".
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from slds_core.chains.hmm.scan import conditional, log_sum_exp, pick
from slds_core.chains.hmm.types import HMMPotentials, HMMResiduals, HMMStatistics
from slds_core.chains.prefixes import prefixes
from slds_core.chains.recurrence import affine


def smooth(potentials: HMMPotentials):
    """Returns log-partition and expected statistics."""
    return linearise(potentials)[:2]


def linearise(potentials: HMMPotentials):
    """Returns log-partition, expected statistics and the residuals for ``fisher_product``."""
    unary, transition = potentials.unary, potentials.transition
    steps = unary.shape[0] - 1
    state = unary.shape[1]
    moves = jnp.broadcast_to(transition, (steps, state, state))
    first = jnp.broadcast_to(potentials.initial + unary[0], (1, state, state))
    matrices = jnp.concatenate([first, moves + unary[1:, None, :]])
    one = jnp.where(np.eye(state, dtype=bool), 0.0, -jnp.inf).astype(unary.dtype), jnp.zeros((), unary.dtype)
    log_products, scales = prefixes(_multiply, _normalise(matrices, jnp.zeros_like(unary[:, 0])), one)
    evidence = log_sum_exp(log_products[:, 0])
    filtered = log_products[:, 0] - evidence[:, None]
    predicted = log_sum_exp(filtered[:-1, :, None] + transition, axis=-2)

    weights = conditional(filtered[:-1], transition, predicted)
    last = jnp.exp(filtered[-1:])
    marginals = affine(_pad_end(weights), jnp.concatenate([jnp.zeros_like(unary[:-1]), last]), reverse=True)
    pairs = weights * marginals[1:, None, :]
    statistics = HMMStatistics(marginals[0], _like(transition, pairs), marginals)
    residuals = HMMResiduals(transition, filtered, predicted, marginals)
    return scales[-1] + evidence[-1], statistics, residuals


def fisher_product(residuals: HMMResiduals, direction: HMMPotentials) -> HMMStatistics:
    """Returns the derivative of the expected statistics along ``direction``; linear and symmetric in it."""
    marginals = residuals.marginals
    weights = conditional(residuals.filtered[:-1], residuals.transition, residuals.predicted)
    push = jnp.sum(weights * direction.transition, axis=1)
    filtered = jnp.exp(residuals.filtered)
    sources = _centre(direction.unary.at[0].add(direction.initial).at[1:].add(push), filtered)
    moves = _centre(weights.mT, filtered[1:])
    d_filtered = affine(jnp.concatenate([jnp.zeros_like(weights, shape=(1, *weights.shape[1:])), moves]), sources)
    d_predicted = jnp.sum(weights * (d_filtered[:-1, :, None] + direction.transition), axis=1)

    d_weights = weights * (d_filtered[:-1, :, None] + direction.transition - d_predicted[:, None, :])
    last = d_filtered[-1] - jnp.sum(marginals[-1] * d_filtered[-1])
    drift = jnp.sum(d_weights * marginals[1:, None, :], axis=2)
    d_marginals = affine(_pad_end(weights), jnp.concatenate([drift, (marginals[-1] * last)[None]]), reverse=True)
    d_pairs = d_weights * marginals[1:, None, :] + weights * d_marginals[1:, None, :]
    return HMMStatistics(d_marginals[0], _like(residuals.transition, d_pairs), d_marginals)


def sample(residuals: HMMResiduals, uniforms: Float[Array, "time draw"]) -> Int[Array, "time draw"]:
    """Returns the paths that uniform draws from [0, 1) lead to: maps from next to own state, composed."""
    scores = jnp.swapaxes(residuals.filtered[:-1, :, None] + residuals.transition, -1, -2)
    own = pick(scores[:, None], uniforms[:-1, :, None])  # of each step and draw, by the next state
    last = pick(residuals.filtered[-1], uniforms[-1])
    stay = jnp.broadcast_to(jnp.arange(own.shape[-1], dtype=own.dtype), own.shape[1:])
    towards_last = prefixes(lambda later, earlier: _follow(earlier, later), own, stay, reverse=True)
    states = _follow(towards_last, last[None, :, None])[..., 0]
    return jnp.concatenate([states, last[None]])


def _centre(changes, filtered):
    """Takes from changes of log-probabilities their mean: without it they grow with time, and their differences lose digits."""
    weights = filtered.reshape(*filtered.shape, *(1,) * (changes.ndim - filtered.ndim))
    return changes - jnp.sum(weights * changes, axis=1, keepdims=True)


def _follow(states: Int[Array, "*batch state"], following: Int[Array, "*batch given"]) -> Int[Array, "*batch given"]:
    """Returns ``states[following]``, -1 where that leads nowhere."""
    given = jnp.broadcast_to(following, (*states.shape[:-1], following.shape[-1]))
    found = jnp.take_along_axis(states, jnp.maximum(given, 0), axis=-1)
    return jnp.where(given < 0, -1, found)


def _multiply(first, second):
    (left, left_scale), (right, right_scale) = first, second
    product = log_sum_exp(left[..., :, :, None] + right[..., None, :, :], axis=-2)
    return _normalise(product, left_scale + right_scale)


def _normalise(matrices, scales):
    """Moves each matrix's largest entry into its scale, so that long products lose no digits."""
    largest = jnp.max(matrices, axis=(-2, -1))
    largest = jnp.where(jnp.isneginf(largest), 0.0, largest)
    return matrices - largest[..., None, None], scales + largest


def _like(transition, pairs):
    """Returns the pair statistics in the shape of the log-potentials: summed over time where those are shared."""
    return pairs if transition.ndim == 3 else jnp.sum(pairs, axis=0)


def _pad_end(matrices):
    return jnp.concatenate([matrices, jnp.zeros_like(matrices, shape=(1, *matrices.shape[1:]))])
