"""The mixture against NumPy: its bound term by term, exact evidence by enumeration; and slds-core's contracts, solvers, estimators."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import digamma, gammaln
from slds_gaussian_mixture.data import random_mixture
from slds_gaussian_mixture.model import Mixture
from slds_gaussian_mixture.plugin import GaussianMixture
from slds_gaussian_mixture.types import PerComponent

from slds_core import gradients
from slds_core.fixed_point import anderson, coordinate_ascent, newton_cg
from slds_core.fixed_point.status import name_of
from slds_core.objectives.generic import elbo, linear
from slds_core.plugins import Declined
from slds_core.plugins.objectives import NotebookObjective
from slds_core.testing import Case, check_gradient, check_inference, check_model, check_objective
from slds_core.testing.cases import Instance, rounded

PROBLEM = Mixture()


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def general_mixture(seed=0, observations=7, latent=2, components=3):
    """Returns a mixture with nothing set to one: full precisions, unequal priors."""
    generator = np.random.default_rng(seed)
    parameters, state = random_mixture(
        observations=observations, latent=latent, components=components, separation=1.5, seed=seed
    )
    root = generator.standard_normal((observations, latent, latent))
    own = generator.standard_normal((latent, latent))
    parameters.recognition.quadratic[:] = -0.5 * (root @ np.swapaxes(root, 1, 2) + 0.5 * np.eye(latent))
    parameters.precision[:] = own @ own.T + np.eye(latent)
    parameters.prior.concentration[:] = generator.uniform(0.5, 3, components)
    parameters.prior.strength[:] = generator.uniform(0.2, 2, components)
    parameters.prior.center[:] = generator.standard_normal((components, latent))
    return parameters, state


def as_jax(tree):
    return jax.tree.map(jnp.asarray, tree)


def sweep_by_hand(parameters, state):
    """Returns responsibilities, points' means, the new state, and the bound of both factors, term by term (Bishop 2006, §10.2)."""
    prior, within = parameters.prior, parameters.precision
    linear, precision = parameters.recognition.linear, -2 * parameters.recognition.quadratic
    latent, components = linear.shape[1], len(prior.strength)

    concentration = prior.concentration + state.number
    strength = prior.strength + state.number
    center = (prior.strength[:, None] * prior.center + state.vector) / strength[:, None]
    log_probability = digamma(concentration) - digamma(concentration.sum())

    half_log_within = 0.5 * np.linalg.slogdet(within)[1]
    log_2pi = math.log(2 * math.pi)
    score = np.zeros((len(linear), components))
    mean = np.zeros((len(linear), components, latent))
    total = np.zeros_like(score)  # E[log ψ + log p(z, x | π, μ)] - E[log q(x | z)], given the component
    for n, k in np.ndindex(score.shape):
        joint = precision[n] + within
        covariance = np.linalg.inv(joint)
        mean[n, k] = covariance @ (linear[n] + within @ center[k])
        second = covariance + np.outer(mean[n, k], mean[n, k])
        recognised = -0.5 * np.trace(precision[n] @ second) + linear[n] @ mean[n, k]
        apart = mean[n, k] - center[k]
        quadratic = np.trace(within @ covariance) + apart @ within @ apart + latent / strength[k]
        emitted = log_probability[k] + half_log_within - 0.5 * latent * log_2pi - 0.5 * quadratic
        entropy = 0.5 * latent * (1 + log_2pi) - 0.5 * np.linalg.slogdet(joint)[1]
        total[n, k] = recognised + emitted + entropy
    share = np.exp(total - total.max(1, keepdims=True))
    share /= share.sum(1, keepdims=True)

    bound = np.sum(share * (total - np.log(share)))
    # minus KL(q(π) ‖ p(π)) and minus KL(q(μ) ‖ p(μ))
    bound -= gammaln(concentration.sum()) - np.sum(gammaln(concentration))
    bound += gammaln(prior.concentration.sum()) - np.sum(gammaln(prior.concentration))
    bound -= state.number @ log_probability
    moved = center - prior.center
    ratio = prior.strength / strength
    bound -= 0.5 * np.sum(latent * (ratio - 1 - np.log(ratio)))
    bound -= 0.5 * np.sum(prior.strength * np.einsum("kd,de,ke->k", moved, within, moved))
    new = PerComponent(share.sum(0), np.einsum("nk,nkd->kd", share, mean))
    return share, np.einsum("nk,nkd->nd", share, mean), new, bound


def exact_evidence(parameters):
    """Returns ``log ∫ Π ψ_n(x_n) p(x, z, μ, π)``, every assignment of every point in turn, the rest Gaussian."""
    prior, within = parameters.prior, parameters.precision
    linear, precision = parameters.recognition.linear, -2 * parameters.recognition.quadratic
    (points, latent), components = linear.shape, len(prior.strength)
    size = (points + components) * latent

    def block(i):
        return slice(i * latent, (i + 1) * latent)

    logs = []
    for assignment in itertools.product(range(components), repeat=points):
        joint, field = np.zeros((size, size)), np.zeros(size)
        constant = 0.5 * (points + components) * (np.linalg.slogdet(within)[1] - latent * math.log(2 * math.pi))
        for k in range(components):
            joint[block(points + k), block(points + k)] += prior.strength[k] * within
            field[block(points + k)] += prior.strength[k] * within @ prior.center[k]
            constant += 0.5 * latent * math.log(prior.strength[k])
            constant -= 0.5 * prior.strength[k] * prior.center[k] @ within @ prior.center[k]
        for n, k in enumerate(assignment):
            joint[block(n), block(n)] += precision[n] + within
            joint[block(points + k), block(points + k)] += within
            joint[block(n), block(points + k)] -= within
            joint[block(points + k), block(n)] -= within
            field[block(n)] += linear[n]
        counts = np.bincount(assignment, minlength=components)
        drawn = np.sum(gammaln(prior.concentration + counts) - gammaln(prior.concentration))
        drawn += gammaln(prior.concentration.sum()) - gammaln(prior.concentration.sum() + points)
        gaussian = 0.5 * field @ np.linalg.solve(joint, field) - 0.5 * np.linalg.slogdet(joint)[1]
        logs.append(constant + drawn + gaussian + 0.5 * size * math.log(2 * math.pi))
    return np.logaddexp.reduce(logs)


def test_a_sweep_and_its_bound_term_by_term():
    parameters, state = general_mixture()
    posterior = PROBLEM.posterior(as_jax(parameters), as_jax(state))
    for _ in range(3):
        share, mean, new, bound = sweep_by_hand(parameters, state)
        posterior = PROBLEM.posterior(as_jax(parameters), as_jax(state))
        np.testing.assert_allclose(posterior.assignments.responsibility, share, atol=1e-13)
        np.testing.assert_allclose(posterior.assignments.mean, mean, atol=1e-12)
        np.testing.assert_allclose(posterior.totals.vector, new.vector, atol=1e-12)
        np.testing.assert_allclose(posterior.elbo, bound, rtol=1e-13)
        state = new


def test_kl_and_bound_share_the_evidence():
    parameters, state = general_mixture()
    posterior = PROBLEM.posterior(as_jax(parameters), as_jax(state))
    second = posterior.assignments.second_moment
    recognised = np.sum(parameters.recognition.quadratic * second)
    recognised += np.sum(parameters.recognition.linear * posterior.assignments.mean)
    np.testing.assert_allclose(posterior.kl + posterior.elbo, recognised, rtol=1e-12)
    # at a fixed point the message meets the totals that it was made from
    fixed = coordinate_ascent(PROBLEM, as_jax(parameters), as_jax(state), max_sweeps=2000, tolerance=1e-13).posterior
    np.testing.assert_allclose(fixed.kl_notebook, fixed.kl, rtol=1e-10)


def test_the_bound_is_below_the_evidence():
    parameters, state = general_mixture(observations=4, components=2)
    evidence = exact_evidence(parameters)
    found = coordinate_ascent(PROBLEM, as_jax(parameters), as_jax(state), max_sweeps=2000, tolerance=1e-12)
    assert evidence - 3 < found.posterior.elbo < evidence


def test_the_bound_is_the_evidence_where_the_components_are_known():
    parameters, state = general_mixture(observations=4, components=2)
    parameters.prior.concentration[:] *= 1e6
    parameters.prior.strength[:] *= 1e6
    found = coordinate_ascent(PROBLEM, as_jax(parameters), as_jax(state), max_sweeps=2000, tolerance=1e-12)
    assert found.posterior.elbo == pytest.approx(exact_evidence(parameters), abs=1e-4)


def test_halves_are_gradients_of_their_log_partitions():
    parameters, state = as_jax(general_mixture())
    message = PROBLEM.response(parameters, state)
    in_state = jax.grad(lambda s: PROBLEM.first_block(parameters, s).log_partition)(state)
    in_message = jax.grad(lambda o: PROBLEM.second_block(parameters, o).log_partition)(message)
    totals = PROBLEM.marginals(parameters, message)
    for found, wanted in ((in_state, message), (in_message, totals)):
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


@pytest.fixture(scope="module")
def case():
    """Two mixtures for slds-core's contracts: six points, two components."""

    def instance(seed):
        made = random_mixture(observations=6, latent=1, components=2, separation=2.0, seed=seed)
        return Instance(*jax.tree.map(rounded, made))

    return Case("a mixture of Gaussians", PROBLEM, linear(PROBLEM, 0), (instance(3), instance(1)))


def test_keeps_the_contracts_of_a_model():
    outcome = check_model(GaussianMixture(observations=12))
    assert "Fisher factors symmetric and positive semidefinite" in outcome.kept
    assert not outcome.declined


@pytest.mark.parametrize("name", ["fisher_cg", "original_itersolve"])
def test_estimators_keep_theirs_on_it(case, name):
    from slds_core.study import registry

    assert "batch-safe" in check_gradient(registry.make("gradients", name, {}), case).kept


def test_inference_keeps_its_own_on_it(case):
    from slds_core.study import registry

    assert "batch-safe" in check_inference(registry.make("inference", "newton_cg", {}), case).kept


def test_the_notebook_s_objective_declines_and_others_do_not(case):
    from slds_core.study import registry

    with pytest.raises(Declined, match="defined for an SLDS only, found Mixture"):
        NotebookObjective().objective(PROBLEM)
    for name in ("elbo", "linear"):
        assert not check_objective(registry.make("objectives", name, {}), case).declined


@pytest.fixture(scope="module")
def fixed_point():
    with jax.enable_x64(True):
        parameters, start = as_jax(general_mixture(observations=30))
        solvers = (coordinate_ascent, newton_cg, anderson)
        found = [
            jax.jit(lambda p, x, f=f: f(PROBLEM, p, x, max_sweeps=3000, tolerance=1e-12))(parameters, start)
            for f in solvers
        ]
    return parameters, start, found


def test_all_solvers_reach_a_fixed_point(fixed_point):
    parameters, _, found = fixed_point
    best = max(float(inference.posterior.elbo) for inference in found)
    for inference in found:
        assert name_of(inference.status) == "converged"
        assert inference.posterior.elbo == pytest.approx(best, abs=1e-8)
        swept = PROBLEM.sweep(parameters, inference.state)
        np.testing.assert_allclose(swept.vector, inference.state.vector, atol=1e-10)


def test_all_estimators_agree_on_it(fixed_point):
    parameters, start, found = fixed_point
    state = found[1].state
    objective = linear(PROBLEM, 0)
    names = ("fisher_cg", "bicgstab", "gmres", "richardson", "direct")
    flat = {}
    for name in names:
        estimate = getattr(gradients, name)
        result = jax.jit(lambda p, x, f=estimate: f(PROBLEM, objective, p, x, tolerance=1e-11))(parameters, state)
        assert name_of(result.info.status) == "solved", name
        flat[name] = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(result.gradient)])
    unrolled = jax.jit(lambda p, x: gradients.unrolled(PROBLEM, objective, p, x, sweeps=1500))(parameters, start)
    wanted = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(unrolled.gradient)])
    for name in names:
        assert np.linalg.norm(flat[name] - wanted) <= 1e-8 * np.linalg.norm(wanted), name


def test_the_bound_s_own_gradient_needs_no_adjoint(fixed_point):
    """Envelope theorem, for a bound that would lack a term if it were not exact."""
    parameters, _, found = fixed_point
    state = found[1].state
    objective = elbo(PROBLEM)
    explicit = jax.grad(lambda p: objective(p, PROBLEM.posterior(p, state)))(parameters)
    total = jax.jit(lambda p, x: gradients.direct(PROBLEM, objective, p, x))(parameters, state).gradient
    for a, b in zip(jax.tree.leaves(total), jax.tree.leaves(explicit), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)
