"""A decoder with a network: the linear decoder where it begins, quadrature where it ends, finite differences through a whole step."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from few_steps import CHANNELS, LATENT, TIME, posterior_of
from problems import as_jax
from test_run import infer
from tolerances import DTYPE, EPS, assert_close

from slds_core.chains.gaussian import GaussianStatistics
from slds_core.data.synthetic_slds import synthetic_slds
from slds_core.fixed_point import coordinate_ascent
from slds_core.gradients import fisher_cg
from slds_core.learning import SVAE, Learner, MLPDecoder, full_batch, prior_factors, training_objective, warm_start
from slds_core.learning.begin import networks
from slds_core.learning.judge import converged_bound
from slds_core.learning.network_decoder import correcting
from slds_core.learning.objective import settled_objective
from slds_core.study.configuration import read_configuration
from slds_core.study.errors import StudyError
from slds_core.study.svae import SVAE as Plugin

NODES = 40
"""Of Gauss-Hermite quadrature in each latent dimension: exact to rounding for a network as smooth as these."""


@pytest.fixture
def bent(decoder):
    """A network that matters: its correction is as large as the linear part."""
    start = correcting(decoder, 6, jax.random.key(0))
    last = start.correction.layers[-1]
    weights = as_jax(np.random.default_rng(2).standard_normal(last.weight.shape))
    return eqx.tree_at(lambda own: own.correction.layers[-1].weight, start, weights)


def by_quadrature(network: MLPDecoder, statistics: GaussianStatistics):
    """Nodes' values (T, node, channel) and weights (node,) of each step's own Gaussian; differentiable."""
    points, weights = np.polynomial.hermite_e.hermegauss(NODES)
    grid = np.stack(np.meshgrid(points, points), -1).reshape(-1, 2)
    weight = np.outer(weights, weights).ravel() / (2 * np.pi)
    root = jnp.linalg.cholesky(statistics.covariance)
    places = statistics.mean[:, None] + jnp.einsum("tij,nj->tni", root, as_jax(grid))
    hidden, last = network.correction.layers
    bend = jnp.tanh(places @ hidden.weight.T + hidden.bias) @ last.weight.T + last.bias
    return places @ network.linear.loading.T + network.linear.offset + bend, as_jax(weight)


def likelihood_by_quadrature(network, values, observed, statistics):
    found, weight = by_quadrature(network, statistics)
    square = jnp.einsum("n,tnc->tc", weight, (jnp.where(observed, values, 0)[:, None] - found) ** 2)
    log_precision = network.linear.log_precision
    density = 0.5 * (log_precision - jnp.log(2 * jnp.pi) - jnp.exp(log_precision) * square)
    return jnp.sum(jnp.where(observed, density, 0))


def test_before_it_has_learnt_it_is_the_linear_decoder(decoder, batch):
    """Value and derivative by the statistics, whatever the key: no draw enters, so the warm start is the linear one's."""
    statistics = posterior_of((TIME,))
    start = correcting(decoder, 6, jax.random.key(0))

    @eqx.filter_jit
    def value(own, mean, second, key=None):
        moments = GaussianStatistics(second, statistics.cross_moment, mean)
        return own.expected_log_likelihood(batch.values[0], batch.observed[0], moments, (TIME,), key)

    both = jax.value_and_grad(value, argnums=(1, 2))
    wanted = both(decoder, statistics.mean, statistics.second_moment)
    for seed in range(3):
        found = both(start, statistics.mean, statistics.second_moment, jax.random.key(seed))
        assert_close(found, wanted, ulps=2000)
    mean, variance = eqx.filter_jit(start.predict)(statistics, jax.random.key(0))
    wanted = eqx.filter_jit(decoder.predict)(statistics)
    assert_close(mean, wanted[0], ulps=200)
    np.testing.assert_allclose(
        variance, wanted[1], rtol=0.2
    )  # the sample variance of 500 pairs: 6 percent, of 21 entries


def test_a_network_that_is_a_line_needs_no_draws(decoder, batch):
    """The correction ``B z + e``: the likelihood is that of the linear decoder ``C + B``, ``d + e``, from any one draw."""
    generator = np.random.default_rng(0)
    more = as_jax((generator.standard_normal((CHANNELS, LATENT)), generator.standard_normal(CHANNELS)))
    line = eqx.nn.MLP(LATENT, CHANNELS, 1, 0, dtype=DTYPE, key=jax.random.key(0))
    line = eqx.tree_at(lambda own: (own.layers[0].weight, own.layers[0].bias), line, more)
    together = dataclasses.replace(decoder, loading=decoder.loading + more[0], offset=decoder.offset + more[1])
    given = batch.values[0], batch.observed[0], posterior_of((TIME,)), (TIME,)
    found = MLPDecoder(decoder, line).expected_log_likelihood(*given, jax.random.key(0))
    assert_close(found, together.expected_log_likelihood(*given), ulps=2000)
    with pytest.raises(ValueError, match="expected a random key"):
        MLPDecoder(decoder, line).expected_log_likelihood(*given)
    with pytest.raises(ValueError, match="expected a random key"):
        MLPDecoder(decoder, line).predict(given[2])


def test_the_sampled_likelihood_and_its_gradient_have_no_bias(bent, batch):
    """Means over 4000 draws beside quadrature, within five standard errors; those of the value are under a hundredth of a nat."""
    statistics, values, observed = posterior_of((TIME,)), batch.values[0], batch.observed[0]
    learnt, fixed = eqx.partition(bent, eqx.is_inexact_array)

    def sampled(learnt, mean, second, key):
        moments = GaussianStatistics(second, statistics.cross_moment, mean)
        own = eqx.combine(learnt, fixed)
        return own.expected_log_likelihood(values, observed, moments, (TIME,), key)

    def exact(learnt, mean, second):
        moments = GaussianStatistics(second, statistics.cross_moment, mean)
        return likelihood_by_quadrature(eqx.combine(learnt, fixed), values, observed, moments)

    at = learnt, statistics.mean, statistics.second_moment
    truth = jax.jit(jax.value_and_grad(exact, argnums=(0, 1, 2)))(*at)
    draw = jax.jit(jax.vmap(lambda key: jax.value_and_grad(sampled, argnums=(0, 1, 2))(*at, key)))
    draws = draw(jax.random.split(jax.random.key(1), 4000))

    def symmetric(found):
        """A derivative by a symmetric matrix counts each pair of entries once, wherever it puts it."""
        value, (by_network, by_mean, by_second) = found
        return jax.tree.leaves((value, by_network, by_mean, by_second + by_second.mT))

    for own, wanted in zip(symmetric(draws), symmetric(truth), strict=True):
        own, wanted = np.asarray(own, np.float64), np.asarray(wanted, np.float64)
        error = own.std(0, ddof=1) / np.sqrt(len(own))
        rounding = 1e4 * EPS * np.max(np.abs(wanted))
        assert np.all(np.abs(own.mean(0) - wanted) <= 5 * error + rounding)
    assert draws[0].std() / np.sqrt(4000) < 0.05


def test_predictions_beside_quadrature(bent):
    """The mean to three standard errors of a thousand draws, the variance to 25 percent: draws come in pairs, and steps share them."""
    statistics = posterior_of((TIME,))
    found, weight = by_quadrature(bent, statistics)
    mean = jnp.einsum("n,tnc->tc", weight, found)
    spread = jnp.einsum("n,tnc->tc", weight, (found - mean[:, None]) ** 2)
    own_mean, own_variance = bent.predict(statistics, jax.random.key(0))
    noise = jnp.exp(-bent.linear.log_precision)
    assert np.all(np.abs(own_mean - mean) <= 3 * np.sqrt(spread / 1000))
    np.testing.assert_allclose(own_variance - noise, spread, rtol=0.25)


def test_what_is_in_a_missing_entry_is_not_read(bent, batch):
    statistics, observed = posterior_of((TIME,)), batch.observed[0]
    garbage = jnp.where(observed, batch.values[0], jnp.nan)

    def value(own, values):
        return own.expected_log_likelihood(values, observed, statistics, (TIME,), jax.random.key(0))

    clean, dirty = (eqx.filter_value_and_grad(value)(bent, values) for values in (batch.values[0], garbage))
    assert_close(dirty, clean, ulps=0)


def problem(encoder="mlp"):
    """A model whose network matters, its data, and where inference starts."""
    data = full_batch(synthetic_slds(lengths=[9, 6], missing=0.2, channels=3))
    data = type(data)(as_jax(data.values), data.observed, data.lengths)
    start = warm_start(data, prior_factors(2, 2), restarts=1, iterations=5)
    own, network = networks(encoder, "mlp", start.decoder, data, 4, jax.random.key(0))
    last = as_jax(0.3 * np.random.default_rng(0).standard_normal((3, 4)))
    network = eqx.tree_at(lambda n: n.correction.layers[-1].weight, network, last)
    return SVAE(own, network, start.factors), data, as_jax(start.marginals)


@pytest.mark.slow
@pytest.mark.skipif(jnp.float64 != DTYPE, reason="finite differences need double precision")
@pytest.mark.parametrize("encoder", ["linear", "mlp"])
def test_a_steps_gradient_beside_finite_differences_with_the_same_key(encoder):
    """Plain gradient ascent of size one tells a step's gradient; the fixed point is found anew at each shifted network."""
    model, data, start = problem(encoder)
    key, prior = jax.random.key(3), prior_factors(2, 2)
    learner = Learner(infer, lambda *a: fisher_cg(*a, tolerance=1e-12), True, prior, optax.sgd(1.0), 0.3)
    after = eqx.filter_jit(learner.step)(model, learner.begin(model), data, start, 1.0, key)[0]
    learnt, fixed = eqx.partition((model.encoder, model.decoder), eqx.is_inexact_array)
    ascent = jax.tree.map(
        jnp.subtract, eqx.filter((after.encoder, after.decoder), eqx.is_inexact_array), learnt
    )  # the gradient, per observed entry

    @jax.jit
    def objective(learnt):
        own = SVAE(*eqx.combine(learnt, fixed), model.factors)
        parameters = own.parameters(data)
        found = coordinate_ascent(data.problem, parameters, start, max_sweeps=1000, tolerance=1e-14)
        return training_objective(own.decoder, data, key)(parameters, found.posterior) / jnp.sum(data.observed)

    generator = np.random.default_rng(0)
    for _ in range(3):
        direction = jax.tree.map(lambda leaf: as_jax(generator.standard_normal(leaf.shape)), learnt)
        shifted = [jax.tree.map(lambda a, b, s=size: a + s * b, learnt, direction) for size in (1e-5, -1e-5)]
        difference = (objective(shifted[0]) - objective(shifted[1])) / 2e-5
        along = sum(jnp.vdot(a, b) for a, b in zip(*map(jax.tree.leaves, (ascent, direction)), strict=True))
        np.testing.assert_allclose(along, difference, rtol=1e-6)


@pytest.mark.slow
def test_the_judges_standard_error_is_that_of_its_draws():
    """Beside 400 other draws: the means agree, and so do the spreads, to five times what a hundred draws tell of theirs."""
    model, data, start = problem()
    parameters = model.parameters(data)
    posterior = infer(data.problem, parameters, start).posterior
    found = settled_objective(model.decoder, data, parameters, posterior)
    draw = jax.jit(jax.vmap(lambda key: training_objective(model.decoder, data, key)(parameters, posterior)))
    draws = np.asarray(draw(jax.random.split(jax.random.key(9), 400)), np.float64)
    spread = draws.std(ddof=1)
    assert found.standard_error == pytest.approx(spread / 10, rel=0.35)
    assert abs(float(found.value) - draws.mean()) < 5 * spread * np.sqrt(1 / 100 + 1 / 400)
    linear = SVAE(model.encoder, model.decoder.linear, model.factors)
    assert converged_bound(linear, data, start).standard_error == 0
    assert converged_bound(model, data, start).standard_error > 0


def test_an_exact_encoder_needs_a_linear_decoder():
    message = (
        "encoder: expected 'linear' or 'mlp' with decoder 'mlp', whose likelihood is no Gaussian in z; found 'exact'"
    )
    with pytest.raises(StudyError, match=message):
        Plugin(data="macrodata", encoder="exact", decoder="mlp")
    setting = {"plugin": "svae", "data": "macrodata", "encoder": "exact", "decoder": "mlp"}
    with pytest.raises(StudyError, match=message):
        read_configuration(
            {
                "models": {"learnt": setting},
                "objective": {"plugin": "elbo"},
                "inference": {"a": {"plugin": "newton_cg"}},
            }
        )


@pytest.mark.slow
def test_a_network_learns_what_a_line_cannot():
    """A dot on a screen lies on a curve. Same warm start; the bound on sequences that were not learnt from, in nats per entry."""
    data = {"plugin": "bouncing_dot", "sequences": 10, "time": 30}
    bounds = {}
    for kind in ("linear", "mlp"):
        built = Plugin(data=data, states=2, epochs=80, held_out_sequences=2, decoder=kind).build()
        bounds[kind] = built.extra["training_held_out_bound"][1][0], built.extra["training_bound"][1][0]
        error = built.extra["training_held_out_bound_standard_error"][1][0]
        assert error < 0.01 if kind == "mlp" else error == 0
    assert bounds["mlp"][1] == pytest.approx(bounds["linear"][1], abs=1e-9)  # where both begin
    assert bounds["mlp"][0] > bounds["linear"][0] + 0.2


@pytest.mark.parametrize(
    ("pair", "complaint"),
    [
        (("relu", "mlp"), "encoder: expected one of exact, linear, mlp, found 'relu'"),
        (("linear", "mpl"), "decoder: expected one of linear, mlp, found 'mpl'"),
        (("exact", "mlp"), "encoder: expected 'linear' or 'mlp' with decoder 'mlp', found 'exact'"),
    ],
)
def test_networks_that_are_none(pair, complaint):
    with pytest.raises(ValueError, match=f"^{complaint}$"):
        networks(*pair, None, None, 4, jax.random.key(0))  # pyright: ignore
