"""A hidden Markov model with Gaussian emissions, fitted by expectation-maximisation: what there is without dynamics.

Entries that are missing take no part, exactly. With ``m`` the indicator of what is observed of a step, ``Σ̃ = m Σ m + (1 - m)`` has the
observed block's inverse and determinant, and ones elsewhere: so all steps are computed alike, whatever is missing of them.
"""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from scipy.cluster.vq import kmeans2

from slds_core.chains import hmm
from slds_core.chains.hmm import HMMPotentials
from slds_core.full_precision import in_full_precision
from slds_core.learning.batch import Batch
from slds_core.one_by_one import one_by_one

_GAIN = 1e-9  # relative, of the density in a step: less is standing still


class GaussianHMM(eqx.Module):
    """Initial and transition probabilities, and each state's Gaussian."""

    initial: Float[Array, " state"]
    transition: Float[Array, "state state_next"]
    mean: Float[Array, "state channel"]
    covariance: Float[Array, "state channel channel"]


class HMMPrior(NamedTuple):
    """What is added to the counts; with zeros, estimates are those of maximum likelihood."""

    initial: float = 1.0
    transition: float = 1.0
    stickiness: float = 10.0  # further transitions of each state to itself
    strength: float = 1.0  # steps with the data's own variances, in each state's covariance


class Expectations(NamedTuple):
    """Expected statistics of sequences under a hidden Markov model: the E-step."""

    log_likelihood: Float[Array, ""]  # of what is observed (nats)
    weights: Float[Array, "sequence time state"]  # probability of each state; of padding, forecast from the last step
    moves: Float[Array, "state state_next"]  # expected transitions
    mean: Float[Array, "sequence time state channel"]  # of each entry, given its step's observed ones and the state
    covariance: Float[Array, "sequence time state channel channel"]


@in_full_precision
def expectations(model: GaussianHMM, batch: Batch) -> Expectations:
    """Returns log-likelihood and expectations, exactly, by the forward-backward recursion."""
    length = np.array(batch.lengths)
    real = jnp.asarray(np.arange(1, batch.values.shape[1]) < length[:, None])
    scores, mean, covariance = _emissions(model, batch.values, batch.observed)

    def smooth(unary, real):
        shared = jnp.log(model.transition)
        found = hmm.smooth(
            HMMPotentials(jnp.log(model.initial), jnp.broadcast_to(shared, (len(unary) - 1, *shared.shape)), unary)
        )
        moves = jnp.sum(jnp.where(real[:, None, None], found.statistics.transition, 0), 0)
        return found.log_partition, found.statistics.marginals, moves

    # steps of padding are missing ones: they add nothing to the likelihood
    likelihood, weights, moves = jax.vmap(smooth)(scores, real)
    return Expectations(jnp.sum(likelihood), weights, jnp.sum(moves, 0), mean, covariance)


@in_full_precision
def predict(model: GaussianHMM, batch: Batch) -> tuple[Array, Array]:
    """Returns mean and variance (sequence, time, channel) of each entry, given all that is observed."""
    found = expectations(model, batch)
    mean = jnp.einsum("stk,stkc->stc", found.weights, found.mean)
    square = jnp.diagonal(found.covariance, axis1=-2, axis2=-1) + found.mean**2
    return mean, jnp.einsum("stk,stkc->stc", found.weights, square) - mean**2


@in_full_precision
def fit_hmm(
    batch: Batch, states: int, *, prior: HMMPrior | None = None, seed: int = 0, restarts: int = 4, iterations: int = 500
) -> GaussianHMM:
    """Returns the hidden Markov model with the highest posterior density, of several begun at k-means clusterings.

    Args:
        batch: all data.
        states: how many.
        prior: of all parameters; the default's stickiness is that of ``prior_factors``.
        seed, restarts: of the clusterings.
        iterations: most of expectation-maximisation, from each; it ends where the density stands still.

    Raises:
        ValueError: there is no state, or no clustering to begin at.

    References:
        Bishop (2006), "Pattern Recognition and Machine Learning", §13.2.1; for missing entries Ghahramani and Jordan (1994),
        "Supervised learning from incomplete data via an EM approach", §3.
    """
    for name, value in (("states", states), ("restarts", restarts)):
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, found {value}")
    chosen = HMMPrior() if prior is None else prior
    spread = _variances(batch)

    @jax.jit
    def learn(model):
        def unfinished(carry):
            _, density, before, steps = carry
            return (steps < iterations) & ~(density - before <= _GAIN * abs(density))

        def iterate(carry):
            model, density, _, steps = carry
            found = expectations(model, batch)
            return (
                maximise(found, batch, chosen, spread),
                found.log_likelihood + log_prior(model, chosen, spread),
                density,
                steps + 1,
            )

        least = jnp.asarray(-jnp.inf, batch.values.dtype)
        return jax.lax.while_loop(unfinished, iterate, (model, least, least, 0))[:2]

    found = [learn(_begin(batch, states, np.random.default_rng([seed, number]))) for number in range(restarts)]
    return max(found, key=lambda result: float(np.nan_to_num(result[1], nan=-np.inf)))[0]


@in_full_precision
def maximise(found: Expectations, batch: Batch, prior: HMMPrior, spread: Float[Array, " channel"]) -> GaussianHMM:
    """Returns the parameters that maximise the expected log-density, prior included."""
    states = found.weights.shape[2]
    real = jnp.any(batch.observed, 2, keepdims=True)  # a step without observations says nothing of any Gaussian
    weights = jnp.where(real, found.weights, 0)
    total = jnp.sum(weights, (0, 1))
    mean = jnp.einsum("stk,stkc->kc", weights, found.mean) / jnp.maximum(total, 1e-10)[:, None]
    gap = found.mean - mean
    scatter = jnp.einsum("stk,stkij->kij", weights, gap[..., :, None] * gap[..., None, :] + found.covariance)
    covariance = (scatter + prior.strength * jnp.diag(spread)) / jnp.maximum(total + prior.strength, 1e-10)[
        :, None, None
    ]
    initial = jnp.sum(found.weights[:, 0], 0) + prior.initial
    moves = found.moves + prior.transition + prior.stickiness * jnp.eye(states)
    return GaussianHMM(initial / jnp.sum(initial), moves / jnp.sum(moves, 1, keepdims=True), mean, covariance)


def log_prior(model: GaussianHMM, prior: HMMPrior, spread: Float[Array, " channel"]) -> Float[Array, ""]:
    """Returns the log-density that ``maximise`` adds to the expected one, up to a constant (nats)."""
    states = model.initial.size
    counts = prior.transition + prior.stickiness * jnp.eye(states)

    def penalty(covariance):
        return jnp.linalg.slogdet(covariance)[1] + jnp.trace(jnp.linalg.solve(covariance, jnp.diag(spread)))

    gaussians = -0.5 * prior.strength * jnp.sum(one_by_one(penalty, model.covariance))
    return gaussians + prior.initial * jnp.sum(jnp.log(model.initial)) + jnp.sum(counts * jnp.log(model.transition))


def _emissions(
    model: GaussianHMM, values: Float[Array, "sequence time channel"], observed: Bool[Array, "sequence time channel"]
) -> tuple[Array, Array, Array]:
    """Returns log-densities (sequence, time, state) of what is observed, and the moments of all entries given that."""
    seen = observed.astype(model.mean.dtype)[:, :, None]  # (sequence, time, 1, channel)
    gap = jnp.where(observed[:, :, None], values[:, :, None] - model.mean, 0)
    inside = seen[..., :, None] * model.covariance * seen[..., None, :]
    factor = jnp.linalg.cholesky(inside + (1 - seen[..., None]) * jnp.eye(values.shape[2], dtype=values.dtype))
    shared = jnp.broadcast_to(seen[..., None] * model.covariance, factor.shape)
    # in one call: two that are under way at once may wait for each other's threads for ever (slds_core/one_by_one.py)
    both = jax.scipy.linalg.solve_triangular(factor, jnp.concatenate([gap[..., None], shared], -1), lower=True)
    whitened, whitened_shared = both[..., :1], both[..., 1:]
    log_determinant = 2 * jnp.sum(jnp.log(jnp.diagonal(factor, axis1=-2, axis2=-1)), -1)
    count = jnp.sum(seen, -1)
    scores = -0.5 * (jnp.sum(whitened[..., 0] ** 2, -1) + log_determinant + count * math.log(2 * math.pi))
    mean = model.mean + (whitened_shared.mT @ whitened)[..., 0]
    return scores, mean, model.covariance - whitened_shared.mT @ whitened_shared


def _variances(batch: Batch) -> Float[Array, " channel"]:
    values = np.where(np.asarray(batch.observed), np.asarray(batch.values), np.nan)
    spread = np.nanvar(values, axis=(0, 1))
    return jnp.asarray(np.where(spread > 0, spread, 1.0), batch.values.dtype)


def _begin(batch: Batch, states: int, generator: np.random.Generator) -> GaussianHMM:
    """Returns the clusters of k-means as a model; missing entries are taken to be at their channel's mean."""
    values, observed = np.asarray(batch.packed(batch.values)), np.asarray(batch.packed(batch.observed))
    counts = np.maximum(observed.sum(0), 1)
    filled = np.where(observed, values, np.where(observed, values, 0).sum(0) / counts)
    centres = (
        kmeans2(filled, states, minit="++", rng=generator, missing="warn")[0] if states > 1 else filled.mean(0)[None]
    )
    spread = jnp.diag(_variances(batch))
    stay = np.full((states, states), 0.1 / states) + 0.9 * np.eye(states)
    dtype = batch.values.dtype
    return GaussianHMM(
        jnp.full(states, 1 / states, dtype),
        jnp.asarray(stay / stay.sum(1, keepdims=True), dtype),
        jnp.asarray(centres, dtype),
        jnp.tile(spread, (states, 1, 1)),
    )
