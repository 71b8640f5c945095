"""The hidden Markov model beside all paths enumerated with SciPy's densities, and its estimates beside derivatives."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import as_jax, positive_definite
from scipy import stats
from scipy.special import logsumexp
from tolerances import DTYPE, assert_close

from slds_core.evaluation.gaussian_hmm import GaussianHMM, HMMPrior, expectations, fit_hmm, log_prior, maximise, predict
from slds_core.learning import Batch

LENGTHS, CHANNELS, STATES = (4, 2, 1), 3, 2


@pytest.fixture
def model():
    generator = np.random.default_rng(0)
    return GaussianHMM(
        generator.dirichlet(np.ones(STATES)),
        generator.dirichlet(np.ones(STATES), STATES),
        2 * generator.standard_normal((STATES, CHANNELS)),
        positive_definite(generator, CHANNELS, (STATES,)),
    )


@pytest.fixture
def batch():
    return _batch(LENGTHS, 0)


def _batch(lengths, seed, channels=CHANNELS):
    generator = np.random.default_rng(seed)
    shape = (len(lengths), max(lengths), channels)
    observed = generator.random(shape) > 0.3
    observed[0, 1] = False  # a step without any observation
    observed &= (np.arange(max(lengths)) < np.array(lengths)[:, None])[:, :, None]
    values = np.where(observed, 2 * generator.standard_normal(shape), np.nan)
    return Batch(jnp.asarray(values, DTYPE), jnp.asarray(observed), lengths)


def by_hand(model, values, observed):
    """Log-likelihood of a sequence, and mean and second moment of each of its entries, from all paths."""
    length = len(values)
    paths = list(itertools.product(range(STATES), repeat=length))
    weights, means, squares = [], [], []
    for path in paths:
        weight = np.log(model.initial[path[0]])
        weight += sum(np.log(model.transition[i, j]) for i, j in itertools.pairwise(path))
        mean, square = np.zeros((2, length, CHANNELS))
        for t, k in enumerate(path):
            seen, covariance = observed[t], model.covariance[k]
            own, spread = model.mean[k].copy(), covariance.copy()
            if seen.any():
                block = covariance[np.ix_(seen, seen)]
                weight += stats.multivariate_normal(own[seen], block).logpdf(values[t, seen])
                gain = covariance[:, seen] @ np.linalg.inv(block)
                own = own + gain @ (values[t, seen] - own[seen])
                spread = covariance - gain @ covariance[seen]
            mean[t], square[t] = own, np.diag(spread) + own**2
        weights.append(weight), means.append(mean), squares.append(square)
    total = logsumexp(weights)
    share = np.exp(np.array(weights) - total)
    return total, np.tensordot(share, means, 1), np.tensordot(share, squares, 1)


def test_likelihood_and_predictions_are_those_of_all_paths(model, batch):
    found = expectations(as_jax(model), batch)
    mean, variance = predict(as_jax(model), batch)
    total = 0.0
    for number, length in enumerate(LENGTHS):
        values, observed = (np.asarray(a[number, :length]) for a in (batch.values, batch.observed))
        likelihood, first, second = by_hand(model, np.asarray(values, np.float64), observed)
        total += likelihood
        assert_close(mean[number, :length], first, ulps=500)
        assert_close(variance[number, :length], second - first**2, ulps=500, scale=np.max(second))
    assert_close(found.log_likelihood, total, ulps=500)
    assert_close(found.moves.sum(), sum(LENGTHS) - len(LENGTHS), ulps=50)


def test_a_step_ahead_is_the_chain_moved_on(model, batch):
    found = expectations(as_jax(model), batch)
    weights = np.asarray(found.weights, np.float64)
    assert_close(weights[1, 3], weights[1, 1] @ np.linalg.matrix_power(model.transition, 2), ulps=50)


def penalised(model, batch, prior, spread):
    return expectations(model, batch).log_likelihood + log_prior(model, prior, spread)


@pytest.mark.parametrize("prior", [HMMPrior(), HMMPrior(0.5, 0.5, 2.0, 3.0)])
def test_maximisation_never_lowers_the_posterior_and_ends_where_it_is_flat(prior):
    batch = _batch((40, 25), 1, channels=2)
    spread = as_jax(np.array([1.0, 2.0]))

    @jax.jit
    def step(model):
        return maximise(expectations(model, batch), batch, prior, spread), penalised(model, batch, prior, spread)

    generator = np.random.default_rng(2)
    model = as_jax(
        GaussianHMM(np.full(2, 0.5), np.full((2, 2), 0.5), generator.standard_normal((2, 2)), np.stack([np.eye(2)] * 2))
    )
    densities = []
    for _ in range(400):
        model, density = step(model)
        densities.append(float(density))
    rounding = 1e-12 if jnp.float64 == DTYPE else 1e-4
    assert np.min(np.diff(densities)) > -rounding * abs(densities[0])
    assert densities[-1] > densities[0] + 1

    def density(unconstrained):
        initial, transition, mean, root = unconstrained
        own = GaussianHMM(jax.nn.softmax(initial), jax.nn.softmax(transition, 1), mean, root @ root.mT)
        return penalised(own, batch, prior, spread)

    point = jnp.log(model.initial), jnp.log(model.transition), model.mean, jnp.linalg.cholesky(model.covariance)
    for slope in jax.grad(density)(point):
        assert np.max(np.abs(slope)) < (1e-6 if jnp.float64 == DTYPE else 0.05)


def test_one_state_is_a_gaussian_fit():
    generator = np.random.default_rng(3)
    values = generator.standard_normal((1, 50, 2)) @ np.array([[1.0, 0.5], [0, 1.0]])
    batch = Batch(jnp.asarray(values, DTYPE), jnp.ones(values.shape, bool), (50,))
    found = fit_hmm(batch, 1, prior=HMMPrior(0, 0, 0, 0), restarts=1, iterations=2)
    assert_close(found.mean[0], values[0].mean(0), ulps=100)
    assert_close(found.covariance[0], np.cov(values[0].T, bias=True), ulps=100)


def test_regimes_that_are_apart_are_found():
    generator = np.random.default_rng(4)
    states = np.repeat([0, 1, 0, 1], 25)
    values = np.array([[-3.0, 0.0], [3.0, 1.0]])[states] + generator.standard_normal((100, 2))
    batch = Batch(jnp.asarray(values[None], DTYPE), jnp.ones((1, 100, 2), bool), (100,))
    found = expectations(fit_hmm(batch, 2, iterations=30), batch).weights[0].argmax(1)
    assert abs(np.mean(np.asarray(found) == states) - 0.5) > 0.48


def test_the_library_solves_once_for_all_steps(model, batch):
    """Two batched calls at once may wait for each other's threads for ever: there is one, and what it needs goes before it."""
    text = jax.jit(expectations).lower(as_jax(model), batch).compile().as_text()
    assert sum("custom-call(" in line and "trsm" in line for line in text.splitlines()) == 1
