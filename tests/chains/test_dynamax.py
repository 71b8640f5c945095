"""A peer: dynamax's smoothers on the models that both can express."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import positive_definite
from tolerances import DTYPE, EPS, assert_close

from slds_core.chains import gaussian, hmm

pytestmark = pytest.mark.skipif(jnp.float64 != DTYPE, reason="compared in float64 only")
ULPS = 1000  # their covariance form and our information form round differently; condition numbers are about 100
BOOST = 1e-8  # dynamax adds 1e-9 to the diagonal of each matrix that it inverts; eigenvalues here are above 1


def test_linear_dynamical_system():
    lgssm = pytest.importorskip("dynamax.linear_gaussian_ssm")
    assert jax.config.jax_enable_x64, "dynamax changed the precision"
    time, latent, observed = 12, 3, 2
    generator = np.random.default_rng(0)
    dynamics, emission = 0.6 * generator.standard_normal((3, 3)), generator.standard_normal((2, 3))
    bias, offset = generator.standard_normal(3), generator.standard_normal(2)
    initial, noise, error = (positive_definite(generator, n) for n in (latent, latent, observed))
    mean, data = generator.standard_normal(latent), generator.standard_normal((time, observed))

    model = lgssm.LinearGaussianSSM(latent, observed)
    parameters, _ = model.initialize(
        jax.random.PRNGKey(0),
        initial_mean=jnp.asarray(mean),
        initial_covariance=jnp.asarray(initial),
        dynamics_weights=jnp.asarray(dynamics),
        dynamics_bias=jnp.asarray(bias),
        dynamics_covariance=jnp.asarray(noise),
        emission_weights=jnp.asarray(emission),
        emission_bias=jnp.asarray(offset),
        emission_covariance=jnp.asarray(error),
    )
    theirs = model.smoother(parameters, jnp.asarray(data))

    prior, drive, sense = (np.linalg.inv(matrix) for matrix in (initial, noise, error))
    quadratic = np.tile(-0.5 * emission.T @ sense @ emission, (time, 1, 1))
    linear = (data - offset) @ sense @ emission
    quadratic[0] -= 0.5 * prior
    linear[0] += prior @ mean
    potentials = gaussian.homogeneous(
        jnp.asarray(quadratic),
        jnp.asarray(linear),
        quadratic_current=jnp.asarray(-0.5 * dynamics.T @ drive @ dynamics),
        cross=jnp.asarray(dynamics.T @ drive),
        quadratic_next=jnp.asarray(-0.5 * drive),
        linear_current=jnp.asarray(-dynamics.T @ drive @ bias),
        linear_next=jnp.asarray(drive @ bias),
    )
    ours = gaussian.smooth(potentials)

    def log_normaliser(covariance):
        return 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]

    residual = data - offset
    constants = log_normaliser(initial) + 0.5 * mean @ prior @ mean
    constants += (time - 1) * (log_normaliser(noise) + 0.5 * bias @ drive @ bias)
    constants += time * log_normaliser(error) + 0.5 * np.sum(residual @ sense * residual)
    evidence = theirs.marginal_loglik
    assert_close(ours.log_partition - constants, evidence, ulps=BOOST / EPS, scale=abs(evidence) + constants)
    assert_close(ours.statistics.mean, theirs.smoothed_means, ulps=BOOST / EPS)
    assert_close(ours.statistics.covariance, theirs.smoothed_covariances, ulps=BOOST / EPS)
    # despite the name, theirs are second moments E[z_t z_{t+1}ᵀ]
    assert_close(ours.statistics.cross_moment, theirs.smoothed_cross_covariances, ulps=BOOST / EPS)


def test_hidden_markov_model():
    inference = pytest.importorskip("dynamax.hidden_markov_model.inference")
    generator = np.random.default_rng(1)
    initial, transition = generator.dirichlet(np.ones(4)), generator.dirichlet(np.ones(4), 4)
    likelihood = 5 * generator.standard_normal((20, 4))
    theirs = inference.hmm_smoother(*(jnp.asarray(a) for a in (initial, transition, likelihood)))
    ours = hmm.smooth(hmm.HMMPotentials(*(jnp.asarray(a) for a in (np.log(initial), np.log(transition), likelihood))))
    assert_close(ours.log_partition, theirs.marginal_loglik, ulps=ULPS)
    assert_close(ours.statistics.marginals, theirs.smoothed_probs, ulps=ULPS)
    assert_close(ours.statistics.transition, jnp.asarray(theirs.trans_probs).reshape(-1, 4, 4).sum(0), ulps=ULPS)
