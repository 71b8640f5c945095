"""Where learning starts: principal components for the latent path, and a clustering of its transitions for the states.

From a cold start all states see the same average dynamics, and most of them are never used again.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.cluster.vq import kmeans2

from slds_core.chains.gaussian import GaussianStatistics
from slds_core.chains.hmm import HMMStatistics
from slds_core.chains.packing import owners, transition_starts, transitions
from slds_core.fixed_point.limits import require_size
from slds_core.full_precision import in_full_precision
from slds_core.learning.batch import Batch
from slds_core.learning.coordinate import coordinate_update
from slds_core.learning.decoder import LinearDecoder
from slds_core.learning.factors import GlobalFactors, divergence, expected_statistics, potentials
from slds_core.models.slds import RecognitionPotentials

_FILLS = 50  # passes in which missing entries are replaced by their reconstruction
_WINDOW = 5  # transitions that a feature of the clustering averages over
_SURE = 0.9  # weight of the clustering in the first marginals, the rest is spread evenly
_LEAST_NOISE = 1e-3  # share of a channel's variance that its noise has at least


class WarmStart(eqx.Module):
    """A linear decoder, global factors that fit it, and the discrete marginals that they were made with."""

    decoder: LinearDecoder
    factors: GlobalFactors
    marginals: Float[Array, "packed state"]


@in_full_precision
def warm_start(
    batch: Batch, prior: GlobalFactors, *, seed: int = 0, restarts: int = 4, iterations: int = 30
) -> WarmStart:
    """Returns where learning starts.

    The latent path is taken to be the principal components' scores, with variance one. On it an autoregressive hidden Markov model is
    learnt by coordinate ascent, from several clusterings; the best bound wins.

    Args:
        batch: all data.
        prior: of the global factors, which tells latent dimension and states.
        seed, restarts: of the clusterings.
        iterations: of coordinate ascent, from each.

    Raises:
        ValueError: ``restarts`` or ``iterations`` is below 1.
    """
    require_size("restarts", restarts, 1)
    require_size("iterations", iterations, 1)
    latent, states = prior.first_step.linear.shape[0], prior.initial.size
    values, observed = (np.asarray(batch.packed(array)) for array in (batch.values, batch.observed))
    decoder, path = principal_components(values, observed, latent, seed)
    statistics = _certain(batch, path)
    empty = jnp.zeros((*batch.values.shape[:2], latent))
    recognition = batch.as_parameters(RecognitionPotentials(jnp.zeros((*empty.shape, latent)), empty))
    problem = batch.problem

    def iterate(carry, _):
        factors, _, _ = carry
        parameters = potentials(expected_statistics(factors), recognition)
        states = problem.second_block(parameters, problem.message(parameters, statistics))
        bound = jnp.sum(states.log_partition) - divergence(factors, prior)
        return (
            coordinate_update(prior, batch, statistics, states.statistics),
            states.statistics.marginals,
            bound,
        ), None

    @jax.jit
    def learn(marginals):
        factors = coordinate_update(prior, batch, statistics, _from_marginals(batch, marginals))
        start = factors, marginals, jnp.asarray(-jnp.inf, marginals.dtype)
        return jax.lax.scan(iterate, start, None, length=iterations)[0]

    found = []
    for number in range(restarts):
        labels = cluster_transitions(path, batch.lengths, states, np.random.default_rng([seed, number]))
        marginals = _SURE * np.eye(states)[labels] + (1 - _SURE) / states
        found.append(learn(jnp.asarray(marginals, batch.values.dtype)))
    # NaN is no bound to be the best
    factors, marginals, _ = max(found, key=lambda result: np.nan_to_num(float(result[2]), nan=-np.inf))
    return WarmStart(decoder, factors, marginals)


def principal_components(
    values: Float[np.ndarray, "packed channel"], observed: np.ndarray, latent: int, seed: int = 0
) -> tuple[LinearDecoder, Float[np.ndarray, "packed latent"]]:
    """Returns the linear decoder from scores of variance one, and the scores; missing entries are filled in by iteration.

    Where there are more latent dimensions than components, the rest has small random loadings.
    """
    steps, channels = values.shape
    counts = np.maximum(observed.sum(0), 1)
    mean = np.where(observed, values, 0).sum(0) / counts
    filled = np.where(observed, values, mean)
    kept = min(latent, channels, steps)
    for _ in range(0 if observed.all() else _FILLS):
        filled = np.where(observed, values, _components(filled, kept)[-1])
    mean, left, sizes, right, rebuilt = _components(filled, kept)
    generator = np.random.default_rng([seed, 0])
    loading = 0.1 * generator.standard_normal((channels, latent))
    loading[:, :kept] = right.T * (sizes / np.sqrt(steps))
    path = 0.1 * generator.standard_normal((steps, latent))
    path[:, :kept] = left * np.sqrt(steps)
    spread = np.where(observed, (values - mean) ** 2, 0).sum(0) / counts
    noise = np.where(observed, (values - rebuilt) ** 2, 0).sum(0) / counts
    noise = np.maximum(noise, _LEAST_NOISE * np.where(spread > 0, spread, 1.0))
    return LinearDecoder(jnp.asarray(loading), jnp.asarray(mean), -jnp.log(jnp.asarray(noise))), path


def _components(filled: np.ndarray, kept: int) -> tuple[np.ndarray, ...]:
    """Returns mean, scores, sizes and directions of the leading components, and what they rebuild."""
    mean = filled.mean(0)
    left, sizes, right = np.linalg.svd(filled - mean, full_matrices=False)
    left, sizes, right = left[:, :kept], sizes[:kept], right[:kept]
    return mean, left, sizes, right, (left * sizes) @ right + mean


def cluster_transitions(
    path: Float[np.ndarray, "packed latent"], lengths: tuple[int, ...], states: int, generator: np.random.Generator
) -> Int[np.ndarray, " packed"]:
    """Returns a label for each transition, by k-means on where the path is and where it goes, averaged over a few steps."""
    features = []
    for own in np.split(path, np.cumsum(lengths)[:-1]):
        raw = np.concatenate([own[:-1], 3 * np.diff(own, axis=0)], axis=1)  # steps are smaller than places
        if len(raw):
            kernel = np.ones(min(_WINDOW, len(raw)))
            count = np.convolve(np.ones(len(raw)), kernel, "same")
            features.append(np.stack([np.convolve(column, kernel, "same") / count for column in raw.T], axis=1))
    together = np.concatenate(features or [np.zeros((0, 2 * path.shape[1]))])
    if states == 1 or len(together) < states:
        return generator.integers(states, size=len(together))
    return kmeans2(together, states, minit="++", rng=generator, missing="warn")[1]


def _certain(batch: Batch, path: np.ndarray) -> GaussianStatistics:
    """Returns the statistics of a path that is all but known: a little variance keeps one channel from explaining all."""
    latent = path.shape[1]
    mean = jnp.asarray(path, batch.values.dtype)
    joined = transition_starts(batch.lengths)
    second = mean[:, :, None] * mean[:, None, :] + 1e-2 * jnp.eye(latent, dtype=mean.dtype)
    return GaussianStatistics(second, mean[joined][:, :, None] * mean[joined + 1][:, None, :], mean)


def _from_marginals(batch: Batch, marginals: Array) -> Any:
    """Returns the statistics of a discrete chain whose steps are independent, from its marginals."""
    owner = owners(transitions(batch.lengths))
    first = np.flatnonzero(np.diff(owner, prepend=-1)) if len(owner) else np.zeros(0, int)
    joined = np.flatnonzero(owner[1:] == owner[:-1])
    transition = jnp.einsum("ti,tj->ij", marginals[joined], marginals[joined + 1])
    return HMMStatistics(jnp.sum(marginals[first], 0), transition, marginals)
