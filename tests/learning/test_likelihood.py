"""Decoder and encoders: the bound beside a dense Gaussian's evidence, and entries that are missing beside entries that are gone."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from few_steps import CHANNELS, LATENT, TIME, posterior_of
from problems import slds
from scipy import stats
from tolerances import DTYPE, EPS, assert_close

from slds_core.fixed_point import coordinate_ascent
from slds_core.learning import Batch, ExactEncoder, LinearDecoder, MLPEncoder, training_objective
from slds_core.learning.encoder import imitating
from slds_core.learning.sampling import sample_path
from slds_core.models.slds import RecognitionPotentials


def bound(encoder, decoder, batch, states, seed=0):
    """The bound at a fixed point of an SLDS, and that SLDS's potentials."""
    potentials, start = slds(TIME, LATENT, states, seed)
    recognition = batch.as_parameters(encoder(decoder, batch.values, batch.observed))
    potentials = eqx.tree_at(lambda p: p.recognition, potentials, recognition)
    inference = coordinate_ascent(batch.problem, potentials, start, max_sweeps=200)
    return training_objective(decoder, batch)(potentials, inference.posterior), potentials


def test_bound_of_a_linear_system_is_its_evidence(decoder, batch):
    """One state: mean field is exact. The evidence of the observed entries alone, from the prior's dense moments."""
    found, potentials = bound(ExactEncoder(), decoder, batch, states=1)
    silent = jax.tree.map(jnp.zeros_like, potentials.recognition)
    prior = eqx.tree_at(lambda p: p.recognition, potentials, silent)
    from slds_core.models.slds.messages import to_gaussian

    moments = oracles.joint_gaussian(to_gaussian(prior, jnp.ones((TIME - 1, 1), DTYPE)))
    loading = np.kron(np.eye(TIME), np.asarray(decoder.loading, np.float64))
    seen = np.asarray(batch.observed[0]).ravel()
    noise = np.diag(np.tile(np.exp(-np.asarray(decoder.log_precision, np.float64)), TIME))
    mean = loading @ moments.mean.ravel() + np.tile(np.asarray(decoder.offset, np.float64), TIME)
    size = TIME * LATENT
    covariance = loading @ np.asarray(moments.covariance).reshape(size, size) @ loading.T + noise
    values = np.asarray(batch.values[0], np.float64).ravel()
    evidence = stats.multivariate_normal(mean[seen], covariance[np.ix_(seen, seen)]).logpdf(values[seen])
    # expected log-densities integrate to less than one: how much less is the evidence without any observation
    unobserved = oracles.slds_log_evidence(prior)
    assert_close(found, evidence + unobserved, ulps=2e4, scale=abs(evidence) + abs(unobserved) + 10)


@pytest.mark.parametrize("kind", ["exact", "linear", "mlp"])
def test_what_is_in_a_missing_entry_is_not_read(decoder, batch, kind):
    network = eqx.nn.MLP(2 * CHANNELS, 2 * LATENT, 8, 1, dtype=DTYPE, key=jax.random.key(0))
    encoder = {"exact": ExactEncoder(), "linear": imitating(decoder), "mlp": MLPEncoder(network)}[kind]
    garbage = jnp.where(batch.observed, batch.values, jnp.nan)

    def value(decoder, values):
        other = Batch(values, batch.observed, batch.lengths)
        return bound(encoder, decoder, other, states=2)[0]

    assert float(value(decoder, garbage)) == float(value(decoder, batch.values))
    statistics = posterior_of((TIME,))

    def differentiable(networks, values):
        encoder, decoder = networks
        recognition = encoder(decoder, values, batch.observed)
        likelihood = decoder.expected_log_likelihood(values[0], batch.observed[0], statistics, (TIME,))
        return likelihood + jnp.sum(recognition.quadratic) + jnp.sum(recognition.linear**2)

    gradient = eqx.filter_grad(differentiable)
    clean, dirty = (gradient((encoder, decoder), values) for values in (batch.values, garbage))
    assert_close(dirty, clean, ulps=0)
    recognition = encoder(decoder, garbage, batch.observed)
    assert not np.any(recognition.quadratic[0, 3])
    assert not np.any(recognition.linear[0, 3])


@pytest.mark.parametrize("linear", [False, True])
def test_a_channel_that_is_masked_is_a_channel_that_is_dropped(decoder, batch, linear):
    masked = Batch(batch.values, batch.observed.at[..., 1].set(False), batch.lengths)
    kept = np.array([0, 2])
    smaller = LinearDecoder(decoder.loading[kept], decoder.offset[kept], decoder.log_precision[kept])
    dropped = Batch(batch.values[..., kept], batch.observed[..., kept], batch.lengths)
    encoders = (imitating(decoder), imitating(smaller)) if linear else (ExactEncoder(), ExactEncoder())
    with_mask = bound(encoders[0], decoder, masked, states=2)[0]
    without = bound(encoders[1], smaller, dropped, states=2)[0]
    np.testing.assert_allclose(with_mask, without, rtol=0, atol=max(1e-10, 1e4 * EPS))


def test_potentials_entry_by_entry(decoder, batch):
    found = ExactEncoder()(decoder, batch.values, batch.observed)
    loading, offset = np.asarray(decoder.loading, np.float64), np.asarray(decoder.offset, np.float64)
    for t in range(TIME):
        seen = np.asarray(batch.observed[0, t])
        weight = np.diag(np.exp(np.asarray(decoder.log_precision, np.float64)[seen]))
        gap = np.asarray(batch.values[0, t], np.float64)[seen] - offset[seen]
        assert_close(found.quadratic[0, t], -0.5 * loading[seen].T @ weight @ loading[seen], ulps=50, scale=10)
        assert_close(found.linear[0, t], loading[seen].T @ weight @ gap, ulps=50, scale=10)


def test_the_imitating_encoder_is_exact(decoder, batch):
    exact, linear = (e(decoder, batch.values, batch.observed) for e in (ExactEncoder(), imitating(decoder)))
    assert_close(linear, exact, ulps=50)


@pytest.mark.parametrize("lengths", [(4,), (3, 2)])
def test_samples_have_the_statistics_that_they_are_drawn_from(lengths):
    statistics = posterior_of(lengths)
    draws = jax.jit(jax.vmap(lambda key: sample_path(key, statistics, lengths)))(
        jax.random.split(jax.random.key(0), 40000)
    )
    draws = np.asarray(draws, np.float64)
    second = np.einsum("nti,ntj->tij", draws, draws) / len(draws)
    tied = np.delete(np.arange(sum(lengths)), np.cumsum(lengths) - 1)
    cross = np.einsum("nti,ntj->tij", draws[:, tied], draws[:, tied + 1]) / len(draws)
    size = 1 + np.max(np.abs(statistics.second_moment))
    # a moment of 40000 draws is good to half a percent; the largest of some forty, to two
    for found, expected in (
        (draws.mean(0), statistics.mean),
        (second, statistics.second_moment),
        (cross, statistics.cross_moment),
    ):
        np.testing.assert_allclose(found, expected, rtol=0, atol=0.02 * size)
    if len(lengths) > 1:
        between = np.cov(draws[:, lengths[0] - 1, 0], draws[:, lengths[0], 0])[0, 1]
        assert abs(between) < 0.02 * size


def test_no_library_is_called_for_a_batch_of_steps():
    """Two such calls at once wait for each other for ever, on a CPU with two threads; see ``sampling``."""
    statistics = posterior_of((4,))

    def both(statistics):
        return jax.value_and_grad(lambda own: jnp.sum(sample_path(jax.random.key(0), own, (4,)) ** 2))(statistics)

    assert "lapack" not in jax.jit(both).lower(statistics).compile().as_text().lower()
    solve = jax.jit(jnp.linalg.solve).lower(statistics.covariance, statistics.covariance)
    assert "lapack" in solve.compile().as_text().lower()  # which is how such a call would show


def test_recognition_as_the_problem_takes_it(batch):
    padded = RecognitionPotentials(jnp.zeros((1, TIME, 2, 2)), jnp.zeros((1, TIME, 2)))
    assert batch.as_parameters(padded).linear.shape == (TIME, 2)
