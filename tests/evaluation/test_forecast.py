"""Forecasts beside dense linear algebra for each path of the states, and all paths enumerated."""

import itertools
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import as_jax, positive_definite
from tolerances import assert_close

from slds_core.evaluation.forecast import System, draw_path, forecast, forecast_sequences, system
from slds_core.learning import full_batch, prior_factors
from slds_core.learning.factors import expected_statistics, natural_step, potentials
from slds_core.models.slds import RecognitionPotentials, slds_problem

ULPS = 500  # sums of some hundred terms of one size


def random_system(states, latent, seed=0):
    generator = np.random.default_rng(seed)
    return System(
        matrix=0.9 * generator.standard_normal((states, latent, latent)) / np.sqrt(latent),
        offset=generator.standard_normal((states, latent)),
        noise=positive_definite(generator, latent, (states,)),
        initial=generator.dirichlet(np.ones(states)),
        transition=generator.dirichlet(np.ones(states), states),
    )


def along_a_path(dynamics, path, mean, covariance):
    """Mean and covariance of all steps together, first included, given the states: one dense solve."""
    steps, latent = len(path) + 1, mean.size
    link, source, noise = np.eye(steps * latent), np.zeros((steps, latent)), np.zeros((steps, latent, steps, latent))
    source[0], noise[0, :, 0] = mean, covariance
    for t, k in enumerate(path, start=1):
        link[t * latent : (t + 1) * latent, (t - 1) * latent : t * latent] = -dynamics.matrix[k]
        source[t], noise[t, :, t] = dynamics.offset[k], dynamics.noise[k]
    inverse = np.linalg.inv(link)
    joint = inverse @ noise.reshape(steps * latent, -1) @ inverse.T
    blocks = joint.reshape(steps, latent, steps, latent)
    return (inverse @ source.ravel()).reshape(steps, latent), np.stack([blocks[t, :, t] for t in range(steps)])


@pytest.mark.parametrize(("states", "steps"), [(1, 7), (2, 5), (3, 4), (3, 1)])
def test_moments_are_those_of_all_paths(states, steps):
    latent = 2
    generator = np.random.default_rng(states)
    dynamics = random_system(states, latent)
    mean, covariance = generator.standard_normal(latent), positive_definite(generator, latent)
    start = generator.dirichlet(np.ones(states))
    first, second, occupied = np.zeros((steps, latent)), np.zeros((steps, latent, latent)), np.zeros((steps, states))
    for path in itertools.product(range(states), repeat=steps):
        weight = start[path[0]] * np.prod([dynamics.transition[i, j] for i, j in itertools.pairwise(path)])
        means, covariances = along_a_path(dynamics, path, mean, covariance)
        first += weight * means[1:]
        second += weight * (covariances[1:] + means[1:, :, None] * means[1:, None, :])
        occupied[np.arange(steps), path] += weight
    raw = covariance + np.outer(mean, mean)
    found = jax.jit(forecast, static_argnums=4)(*as_jax((dynamics, mean, raw, start)), steps)
    assert_close(found.mean, first, ulps=ULPS)
    assert_close(found.second_moment, second, ulps=ULPS)
    assert_close(found.states, occupied, ulps=ULPS)
    assert_close(found.statistics.covariance, second - first[:, :, None] * first[:, None, :], ulps=ULPS, scale=1e2)


@pytest.mark.parametrize(("states", "steps"), [(1, 3), (3, 4), (3, 1)])
def test_draws_have_the_moments_of_the_forecast(states, steps):
    """40000 draws, to five standard errors of each moment: of the mean, and of the second moments of each step."""
    latent, generator = 2, np.random.default_rng(states)
    mean, covariance = generator.standard_normal(latent), positive_definite(generator, latent)
    start = generator.dirichlet(np.ones(states))
    known = as_jax((random_system(states, latent), mean, covariance + np.outer(mean, mean), start))
    keys = jax.random.split(jax.random.key(0), 40000)
    draws = np.asarray(jax.jit(jax.vmap(lambda key: draw_path(*known, steps, key)))(keys), np.float64)
    expected = jax.jit(forecast, static_argnums=4)(*known, steps)
    second = draws[:, :, :, None] * draws[:, :, None, :]
    for own, wanted in ((draws, expected.mean), (second, expected.second_moment)):
        error = own.std(0, ddof=1) / np.sqrt(len(own))
        assert np.all(np.abs(own.mean(0) - np.asarray(wanted)) < 5 * error)


@cache
def some_factors(latent=2, states=3):
    prior = prior_factors(latent, states)
    generator = np.random.default_rng(0)
    # statistics of made-up transitions keep the factors distributions
    inputs = generator.standard_normal((states, 20, latent + 1))
    outputs = generator.standard_normal((states, 20, latent))
    counts = jax.tree.map(np.zeros_like, prior)
    counts.dynamics.precision[...] = np.einsum("kni,knj->kij", outputs, outputs)
    counts.dynamics.cross[...] = np.einsum("kni,knj->kij", inputs, outputs)
    counts.dynamics.quadratic[...] = np.einsum("kni,knj->kij", inputs, inputs)
    counts.dynamics.log_determinant[...] = 20
    counts.transition[...] = generator.uniform(0, 5, (states, states))
    return jax.jit(natural_step)(*as_jax((prior, prior, counts)), 1.0)[0]


def test_points_of_the_dynamics_are_those_of_the_potentials():
    """Inference sees expectations only; what they say of a transition's mean and noise is what forecasts use."""
    factors = some_factors()
    silent = RecognitionPotentials(jnp.zeros((1, 2, 2)), jnp.zeros((1, 2)))
    own = jax.jit(lambda factors: potentials(expected_statistics(factors), silent))(factors).dynamics
    found = jax.jit(system)(factors)
    covariance = np.linalg.inv(-2 * np.asarray(own.quadratic_next, np.float64))
    assert_close(found.noise, covariance, ulps=2000)
    assert_close(found.matrix, covariance @ np.swapaxes(own.cross, 1, 2), ulps=2000)
    assert_close(found.offset, np.einsum("kij,kj->ki", covariance, own.linear_next), ulps=2000)
    assert_close(np.sum(found.transition, 1), np.ones(3), ulps=10)


@pytest.mark.parametrize("lengths", [(4, 1, 3), (1, 1), (5,)])
def test_each_sequence_is_forecast_from_its_own_end(lengths):
    from slds_core.data import series

    generator = np.random.default_rng(1)
    factors = some_factors()
    dynamics = jax.jit(system)(factors)
    batch = full_batch(series([generator.standard_normal((n, 1)) for n in lengths], ["a"]))
    precision = jnp.broadcast_to(-0.5 * jnp.eye(2), (len(lengths), max(lengths), 2, 2))
    linear = as_jax(generator.standard_normal((len(lengths), max(lengths), 2)))
    start = as_jax(generator.dirichlet(np.ones(3), batch.transitions).reshape(-1, 3))

    @jax.jit
    def ahead(recognition, start):
        whole = potentials(expected_statistics(factors), batch.as_parameters(recognition))
        return forecast_sequences(dynamics, batch.problem.posterior(whole, start), lengths, 3)

    @jax.jit
    def ahead_alone(recognition, start):
        alone = slds_problem(None).posterior(potentials(expected_statistics(factors), recognition), start)
        last = alone.gaussian.mean[-1], alone.gaussian.second_moment[-1]
        states = alone.discrete.marginals[-1] @ dynamics.transition if start.size else dynamics.initial
        return forecast(dynamics, *last, states, 3)

    found = ahead(as_jax(RecognitionPotentials(precision, linear)), start)
    cuts = np.cumsum([length - 1 for length in lengths])[:-1]
    for number, (length, own_start) in enumerate(zip(lengths, np.split(start, cuts), strict=True)):
        recognition = as_jax(RecognitionPotentials(precision[number, :length], linear[number, :length]))
        expected = ahead_alone(recognition, jnp.asarray(own_start))
        assert_close(jax.tree.map(lambda leaf, n=number: leaf[n], found), expected, ulps=ULPS)
