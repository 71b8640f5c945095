"""Conjugate families against SciPy, and their statistics against the derivative of their log-partition."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import as_jax, positive_definite
from scipy import integrate, special, stats
from tolerances import assert_close

from slds_core.expfam import dirichlet, mniw, niw

ULPS = 500  # solves and inverses of matrices with condition numbers below about 20; digamma near 1 is good to some 10


def normal_inverse_wishart(latent, seed=0):
    generator = np.random.default_rng(seed)
    return niw.NormalInverseWishart(
        scale=positive_definite(generator, latent),
        location=generator.standard_normal(latent),
        strength=np.array(1.7),
        degrees=np.array(latent + 1.3),
    )


def matrix_normal_inverse_wishart(latent, inputs, seed=0):
    generator = np.random.default_rng(seed)
    return mniw.MatrixNormalInverseWishart(
        scale=positive_definite(generator, latent),
        location=generator.standard_normal((latent, inputs)),
        strength=positive_definite(generator, inputs),
        degrees=np.array(latent + 1.3),
    )


def test_dirichlet_against_scipy():
    concentration = np.array([[0.1, 1.0, 3.5], [20.0, 0.7, 1e3]])
    expected = special.digamma(concentration) - special.digamma(concentration.sum(1, keepdims=True))
    log_beta = special.gammaln(concentration).sum(1) - special.gammaln(concentration.sum(1))
    given = as_jax(concentration)
    assert_close(dirichlet.expected_log_probability(given), expected, ulps=ULPS)
    assert_close(dirichlet.log_partition(given), log_beta, ulps=ULPS)
    for row, found in zip(concentration, dirichlet.log_partition(given), strict=True):
        uniform = np.full(3, 1 / 3)
        density = stats.dirichlet(row).logpdf(uniform)
        kernel = (row - 1) @ np.log(uniform)
        assert_close(kernel - found, density, ulps=ULPS, scale=abs(kernel) + abs(density))


def test_dirichlet_statistics_are_the_gradient():
    concentration = as_jax(np.array([0.3, 1.0, 7.0]))
    gradient = jax.grad(dirichlet.log_partition)(concentration)
    assert_close(dirichlet.expected_log_probability(concentration), gradient, ulps=ULPS)


@pytest.mark.parametrize("latent", [1, 2, 4])
def test_niw_statistics_are_the_gradient(latent):
    distribution = as_jax(normal_inverse_wishart(latent))
    gradient = jax.grad(niw.log_partition)(niw.natural_parameters(distribution))
    assert_close(niw.expected_statistics(distribution), gradient, ulps=ULPS)


@pytest.mark.parametrize(("latent", "inputs"), [(1, 1), (2, 3), (4, 5)])
def test_mniw_statistics_are_the_gradient(latent, inputs):
    distribution = as_jax(matrix_normal_inverse_wishart(latent, inputs))
    gradient = jax.grad(mniw.log_partition)(mniw.natural_parameters(distribution))
    assert_close(mniw.expected_statistics(distribution), gradient, ulps=ULPS)


def test_niw_density_against_scipy():
    """Natural parameters, statistics and log-partition together make the density of the mean and the covariance."""
    given = normal_inverse_wishart(3)
    precision, mean = positive_definite(np.random.default_rng(5), 3), np.array([0.3, -1.0, 0.5])
    natural = jax.tree.map(np.asarray, niw.natural_parameters(as_jax(given)))
    statistics = (
        -0.5 * precision,
        precision @ mean,
        -0.5 * mean @ precision @ mean,
        0.5 * np.linalg.slogdet(precision)[1],
    )
    energy = sum(np.sum(eta * t) for eta, t in zip(jax.tree.leaves(natural), statistics, strict=True))
    found = energy - niw.log_partition(as_jax(natural))
    expected = stats.invwishart(float(given.degrees), given.scale).logpdf(np.linalg.inv(precision))
    covariance = np.linalg.inv(given.strength * precision)
    expected += stats.multivariate_normal(given.location, covariance).logpdf(mean)
    assert_close(found, expected, ulps=ULPS, scale=abs(energy) + 10)


def test_mniw_density_against_scipy():
    given = matrix_normal_inverse_wishart(2, 3)
    generator = np.random.default_rng(6)
    precision, matrix = positive_definite(generator, 2), generator.standard_normal((2, 3))
    natural = jax.tree.map(np.asarray, mniw.natural_parameters(as_jax(given)))
    statistics = (
        -0.5 * precision,
        matrix.T @ precision,
        -0.5 * matrix.T @ precision @ matrix,
        0.5 * np.linalg.slogdet(precision)[1],
    )
    energy = sum(np.sum(eta * t) for eta, t in zip(jax.tree.leaves(natural), statistics, strict=True))
    found = energy - mniw.log_partition(as_jax(natural))
    expected = stats.invwishart(float(given.degrees), given.scale).logpdf(np.linalg.inv(precision))
    rows, columns = np.linalg.inv(precision), np.linalg.inv(given.strength)
    expected += stats.matrix_normal(given.location, rows, columns).logpdf(matrix)
    assert_close(found, expected, ulps=ULPS, scale=abs(energy) + 10)


def with_eigenvalue(value, size=2):
    return np.diag([value] + [1.0] * (size - 1))


@pytest.mark.parametrize(
    ("family", "flaw"),
    [
        ("niw", {"scale": with_eigenvalue(-1.0)}),
        ("niw", {"scale": -np.eye(2)}),  # of which the determinant is positive
        ("niw", {"strength": np.array(-1.0)}),
        ("niw", {"degrees": np.array(1.0)}),
        ("niw", {"degrees": np.array(-3.5)}),
        ("mniw", {"scale": with_eigenvalue(-1.0)}),
        ("mniw", {"strength": with_eigenvalue(-2.0, 3)}),
        ("mniw", {"degrees": np.array(0.5)}),
    ],
)
def test_parameters_of_no_distribution_give_no_numbers(family, flaw):
    module, draw, sizes = {
        "niw": (niw, normal_inverse_wishart, (2,)),
        "mniw": (mniw, matrix_normal_inverse_wishart, (2, 3)),
    }[family]
    given = as_jax(dataclasses.replace(draw(*sizes), **flaw))
    assert np.isnan(module.log_partition(module.natural_parameters(given)))
    assert any(np.isnan(leaf).any() for leaf in jax.tree.leaves(module.expected_statistics(given)))
    gradient = jax.grad(module.log_partition)(module.natural_parameters(given))
    wrong = {"scale": "precision", "strength": "quadratic", "degrees": "log_determinant"}[next(iter(flaw))]
    assert np.isnan(getattr(gradient, wrong)).any()


def test_concentrations_of_no_distribution_give_no_numbers():
    concentration = as_jax(np.array([[1.0, -0.5, 2.0], [1.0, 0.0, 2.0], [1.0, 0.5, 2.0]]))
    assert np.isnan(dirichlet.log_partition(concentration)).tolist() == [True, True, False]
    assert np.isnan(jax.grad(dirichlet.log_partition)(concentration[0])[1])
    assert np.isnan(dirichlet.expected_log_probability(concentration)).all(1).tolist() == [True, True, False]


def test_expected_statistics_by_integration():
    """In one dimension Λ is gamma distributed and μ given Λ normal: two-dimensional quadrature."""
    given = normal_inverse_wishart(1, seed=3)
    location, scale = float(given.location[0]), float(given.scale[0, 0])
    gamma = stats.gamma(float(given.degrees) / 2, scale=2 / scale)

    def expectation(of_precision):
        return integrate.quad(lambda x: gamma.pdf(x) * of_precision(x), 0, np.inf, epsabs=1e-12, epsrel=1e-12)[0]

    expected = (
        [[-0.5 * expectation(lambda x: x)]],
        [location * expectation(lambda x: x)],
        -0.5 * (1 / float(given.strength) + location**2 * expectation(lambda x: x)),
        0.5 * expectation(np.log),
    )
    found = jax.tree.leaves(niw.expected_statistics(as_jax(given)))
    for ours, truth in zip(found, expected, strict=True):
        np.testing.assert_allclose(
            ours, truth, rtol=max(1e-9, 50 * float(jnp.finfo(ours.dtype).eps))
        )  # quadrature's own error
