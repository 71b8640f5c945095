"""Mean field in an SLDS against dense joint Gaussians and enumerated paths."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from backends import native
from problems import direction_like, slds
from tolerances import EPS, assert_close, ravel

from slds_core.chains import gaussian
from slds_core.chains.hmm import HMMPotentials
from slds_core.fixed_point import coordinate_ascent
from slds_core.models.slds import SLDS
from slds_core.models.slds.messages import to_discrete, to_gaussian

# (time, latent, state, missing steps)
SIZES = [
    (1, 2, 3, ()),
    (2, 2, 2, ()),
    (5, 2, 3, ()),
    (4, 1, 2, ()),
    (5, 2, 1, ()),
    (5, 2, 2, (1, 2, 3)),
    (5, 1, 3, (4,)),
]

# Precisions have condition numbers of some 100; the messages multiply moments by potentials of order 10.
ULPS = 2000

ascend = jax.jit(lambda potentials, start: coordinate_ascent(SLDS(), potentials, start, max_sweeps=60))


@pytest.mark.parametrize(
    ("backend", "time", "latent", "state", "missing"),
    [
        *(("scan", *size) for size in SIZES),
        *(native(*size) for size in SIZES),
        ("associative", 1, 2, 3, ()),
        ("associative", 5, 2, 3, (1, 4)),
    ],
)
def test_sweep(backend, time, latent, state, missing):
    potentials, start = slds(time, latent, state, seed=time, missing=missing)
    truth = oracles.slds_sweep(potentials, start)
    posterior = jax.jit(SLDS(backend).posterior)(potentials, start)
    nats = abs(truth.joint.log_partition) + abs(truth.discrete_log_partition) + abs(truth.elbo) + 1
    assert_close(posterior.gaussian, truth.gaussian, ulps=ULPS)
    assert_close(posterior.unary, truth.unary, ulps=ULPS)
    assert_close(posterior.discrete, truth.discrete, ulps=ULPS, scale=np.max(np.abs(truth.unary), initial=1))
    assert_close(posterior.gaussian_log_partition, truth.joint.log_partition, ulps=ULPS, scale=nats)
    assert_close(posterior.discrete_log_partition, truth.discrete_log_partition, ulps=ULPS, scale=nats)
    assert_close(posterior.elbo, truth.elbo, ulps=ULPS, scale=nats)
    assert_close(posterior.kl, truth.kl, ulps=ULPS, scale=nats)
    assert float(posterior.elbo) <= oracles.slds_log_evidence(potentials) + ULPS * EPS * nats


@pytest.mark.parametrize(("time", "state"), [(1, 3), (5, 1)])
def test_inference_is_exact_where_one_factor_is_trivial(time, state):
    potentials, start = slds(time, 2, state)
    posterior = jax.jit(SLDS().posterior)(potentials, start)
    evidence = oracles.slds_log_evidence(potentials)
    assert_close(posterior.elbo, evidence, ulps=ULPS, scale=abs(evidence) + abs(posterior.gaussian_log_partition))


@pytest.mark.parametrize("seed", range(4))
def test_elbo_never_falls(seed):
    potentials, start = slds(20, 3, 4, seed, missing=range(8, 12))
    trace = ascend(potentials, start).trace
    elbo = np.asarray(trace.monitors["elbo"], np.float64)
    assert elbo[-1] > elbo[0] + 0.1
    # each bound is a sum of log-partitions of some hundred nats, good to a few tens of roundings
    assert np.min(np.diff(elbo)) > -100 * EPS * np.max(np.abs(elbo))


@pytest.mark.parametrize("time", [1, 2, 5])
def test_messages_are_adjoint(time):
    """⟨Mᵀ μ_c, μ_g⟩ = ⟨μ_c, M μ_g⟩ for any numbers in place of the statistics."""
    potentials, start = slds(time, 2, 3)
    marginals = direction_like(start, 1)
    pull = to_gaussian(potentials, marginals)
    at_rest = to_gaussian(potentials, jnp.zeros_like(marginals))
    direction = direction_like(at_rest, 2)
    statistics = gaussian.GaussianStatistics(direction.quadratic, direction.cross, direction.linear)
    left = gaussian.inner(jax.tree.map(jnp.subtract, pull, at_rest), statistics)
    right = jnp.vdot(marginals, to_discrete(potentials.dynamics, statistics) - potentials.dynamics.constant[None])
    assert_close(left, right, ulps=100, scale=np.max(np.abs(ravel(pull)), initial=1) * np.sqrt(ravel(direction).size))


def test_blocks_agree_with_the_posterior():
    potentials, start = slds(5, 2, 3)
    problem = SLDS()
    posterior = jax.jit(problem.posterior)(potentials, start)
    message = problem.response(potentials, start)
    assert_close(message, posterior.unary, ulps=10)
    assert_close(problem.marginals(potentials, message), posterior.discrete.marginals, ulps=10)
    assert_close(problem.sweep(potentials, start), posterior.discrete.marginals, ulps=10)
    assert_close(problem.statistics(posterior).gaussian, posterior.gaussian, ulps=0)


def test_fisher_structure():
    """∂response/∂state = M F_g Mᵀ, ∂marginals/∂message = F_c, and the sweep's Jacobian is their product."""
    time, latent, state = 5, 2, 3
    potentials, start = slds(time, latent, state, seed=2)
    problem, size = SLDS(), start.size
    truth = oracles.slds_sweep(potentials, start)

    def jacobian(function, at):
        return np.asarray(jax.jit(jax.jacobian(function))(at), np.float64).reshape(size, size)

    response = jacobian(lambda x: problem.response(potentials, x), start)
    message = problem.response(potentials, start)
    marginals = jacobian(lambda o: problem.marginals(potentials, o), message)

    # M by its action on unit vectors, and it is tested above; F_g and F_c are dense covariances
    to_message = jax.jacobian(lambda statistics: to_discrete(potentials.dynamics, statistics))(
        truth_like(truth.gaussian)
    )
    M = np.concatenate([np.asarray(leaf, np.float64).reshape(size, -1) for leaf in jax.tree.leaves(to_message)], axis=1)
    expected = M @ oracles.gaussian_fisher(truth.joint, time) @ M.T
    assert_close(response, expected, ulps=ULPS)
    chain = HMMPotentials(potentials.discrete.initial, potentials.discrete.transition, message)
    fisher = oracles.hmm_fisher(oracles.enumerate_paths(chain), chain)
    assert_close(marginals, fisher[-size:, -size:], ulps=ULPS, scale=np.max(np.abs(message)))

    for matrix in (response, marginals):
        assert_close(matrix, matrix.T, ulps=ULPS, scale=np.max(np.abs(message)) + np.max(np.abs(matrix)))
        assert np.min(np.linalg.eigvalsh(matrix + matrix.T)) > -ULPS * EPS * np.max(np.abs(matrix))
    sweep = jacobian(lambda x: problem.sweep(potentials, x), start)
    assert_close(sweep, marginals @ response, ulps=ULPS, scale=np.max(np.abs(response)))


def truth_like(statistics):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(float)), statistics)


@pytest.mark.parametrize(
    ("place", "cut", "complaint"),
    [
        (
            lambda p: p.recognition.quadratic,
            lambda a: a[..., :1],
            r"recognition.quadratic: expected \(time, latent, latent_next\) with time 5, latent 2, found shape \(5, 2, 1\)",
        ),
        (
            lambda p: p.recognition.linear,
            lambda a: a[:4],
            r"recognition.linear: .* with time 5, latent 2, found shape \(4, 2\)",
        ),
        (
            lambda p: p.dynamics.quadratic_current,
            lambda a: a[:2],
            r"dynamics.quadratic_current: .*, found shape \(2, 2, 2\)",
        ),
        (lambda p: p.dynamics.linear_next, lambda a: a[..., :1], r"dynamics.linear_next: .*, found shape \(3, 1\)"),
        (lambda p: p.initial.precision, lambda a: a[0], r"initial.precision: .* with latent 2, found shape \(2,\)"),
        (lambda p: p.initial.normalizer, lambda a: a[None], r"initial.normalizer: expected \(\), found shape \(1,\)"),
        (
            lambda p: p.discrete.transition,
            lambda a: a[:1],
            r"discrete.transition: .* with state 3, found shape \(1, 3\)",
        ),
    ],
)
def test_potentials_that_would_be_broadcast_are_refused(place, cut, complaint):
    potentials, start = slds(5, 2, 3)
    with pytest.raises(ValueError, match=complaint):
        SLDS().posterior(eqx.tree_at(place, potentials, cut(place(potentials))), start)
