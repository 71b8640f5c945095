"""Global factors: their divergence by quadrature, and natural-gradient steps beside sums over a posterior done by hand."""

import itertools
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import as_jax
from scipy import integrate, stats
from tolerances import DTYPE, EPS, assert_close

from slds_core.chains.gaussian import GaussianStatistics
from slds_core.chains.hmm import HMMStatistics
from slds_core.data.synthetic_slds import synthetic_slds
from slds_core.expfam import mniw, niw
from slds_core.fixed_point import coordinate_ascent
from slds_core.learning import Batch, ExactEncoder, LinearDecoder, full_batch, prior_factors, training_objective
from slds_core.learning.coordinate import coordinate_update, energy
from slds_core.learning.factors import GlobalFactors, divergence, expected_statistics, natural_step, potentials, valid
from slds_core.learning.training import SVAE
from slds_core.models.slds import RecognitionPotentials
from slds_core.models.slds.potentials import linear_potentials

ULPS = 2000  # condition numbers of some hundred, sums over some hundred steps


def problem(seed=0, lengths=(30, 12)):
    series = synthetic_slds(lengths=list(lengths), missing=0.2, seed=seed)
    batch = full_batch(series)
    generator = np.random.default_rng(seed)
    decoder = as_jax(
        LinearDecoder(generator.standard_normal((5, 2)), generator.standard_normal(5), generator.standard_normal(5))
    )
    prior = as_jax(jax.tree.map(np.asarray, prior_factors(2, 3)))
    start = as_jax(generator.dirichlet(np.ones(3), batch.transitions))
    return as_jax_batch(batch), decoder, prior, start


def as_jax_batch(batch):
    return type(batch)(as_jax(batch.values), batch.observed, batch.lengths)


@jax.jit
def infer(model, batch, start):
    parameters = model.parameters(batch)
    return coordinate_ascent(batch.problem, parameters, start, max_sweeps=400)


@jax.jit
def after_one_sweep(prior, decoder, batch, start):
    """Factors whose states differ: of the statistics of one sweep from a random start."""
    posterior = batch.problem.posterior(SVAE(ExactEncoder(), decoder, prior).parameters(batch), start)
    return coordinate_update(prior, batch, posterior.gaussian, posterior.discrete)


@cache
def converged(seed=0):
    batch, decoder, prior, start = problem(seed)
    model = SVAE(ExactEncoder(), decoder, after_one_sweep(prior, decoder, batch, start))
    return batch, prior, model, infer(model, batch, start)


def by_hand(batch, prior, posterior):
    """Prior plus expected sufficient statistics, summed step by step in NumPy."""
    k, latent = prior.initial.size, prior.first_step.linear.size
    second, cross, mean = (np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(posterior.gaussian))
    marginals = np.asarray(posterior.discrete.marginals, np.float64)
    new = jax.tree.map(lambda leaf: np.array(leaf, np.float64), prior)
    step = move = 0
    for length in batch.lengths:
        new.first_step.precision[...] += second[step]
        new.first_step.linear[...] += mean[step]
        new.first_step.quadratic[...] += 1
        new.first_step.log_determinant[...] += 1
        for t in range(length - 1):
            inputs = np.block([[second[step + t], mean[step + t][:, None]], [mean[step + t][None], np.ones((1, 1))]])
            both = np.concatenate([cross[move + t], mean[step + t + 1][None]])
            for state in range(k):
                weight = marginals[move + t, state]
                new.dynamics.precision[state] += weight * second[step + t + 1]
                new.dynamics.cross[state] += weight * both
                new.dynamics.quadratic[state] += weight * inputs
                new.dynamics.log_determinant[state] += weight
        step, move = step + length, move + length - 1
    assert new.dynamics.quadratic.shape == (k, latent + 1, latent + 1)
    new.initial[...] += np.asarray(posterior.discrete.initial).sum(0)
    new.transition[...] += np.asarray(posterior.discrete.transition).sum(0)
    return new


def test_natural_parameters_and_back():
    factors = converged()[2].factors
    first = jax.jit(lambda own: niw.natural_parameters(niw.distribution(own)))(factors.first_step)
    assert_close(first, factors.first_step, ulps=ULPS)
    moves = jax.jit(jax.vmap(lambda own: mniw.natural_parameters(mniw.distribution(own))))(factors.dynamics)
    assert_close(moves, factors.dynamics, ulps=ULPS)


def test_coordinate_update_by_hand():
    batch, prior, _, inference = converged()
    posterior = inference.posterior
    found = jax.jit(coordinate_update)(prior, batch, posterior.gaussian, posterior.discrete)
    assert_close(found, by_hand(batch, prior, posterior), ulps=ULPS)


@pytest.mark.parametrize("lengths", [(5,), (4, 1, 3)])
def test_energy_is_the_mean_log_density_of_paths(lengths):
    """Of a known system, with ``q`` even over three pairs of paths: SciPy's densities of each, constants and all."""
    generator = np.random.default_rng(0)
    root = generator.standard_normal((3, 2, 2))
    first_noise, *noise = root @ root.mT + np.eye(2)  # covariances
    location, matrices, offsets = (generator.standard_normal(shape) for shape in (2, (2, 2, 2), (2, 2)))
    initial, transition = generator.dirichlet(np.ones(2)), generator.dirichlet(np.ones(2), 2)
    paths = generator.standard_normal((3, sum(lengths), 2))
    labels = generator.integers(2, size=(3, sum(lengths)))  # the last of each sequence is not used

    def log_density(z, k):
        total = stats.multivariate_normal(location, first_noise).logpdf(z[0])
        for t in range(len(z) - 1):
            total += np.log(transition[k[t - 1], k[t]] if t else initial[k[0]])
            mean = matrices[k[t]] @ z[t] + offsets[k[t]]
            total += stats.multivariate_normal(mean, noise[k[t]]).logpdf(z[t + 1])
        return total

    # q(z) q(k): each path of z with each of k
    begun = np.cumsum((0, *lengths))
    own = [slice(begin, end) for begin, end in itertools.pairwise(begun)]
    wanted = np.mean([[sum(log_density(z[s], k[s]) for s in own) for k in labels] for z in paths])

    precision, inputs = np.linalg.inv(noise), np.concatenate([matrices, offsets[..., None]], axis=-1)
    first_precision = np.linalg.inv(first_noise)
    potentials = linear_potentials(
        RecognitionPotentials(np.zeros((sum(lengths), 2, 2)), np.zeros((sum(lengths), 2))),
        niw.NaturalParameters(
            -0.5 * first_precision,
            first_precision @ location,
            np.array(-0.5 * location @ first_precision @ location),
            np.array(-0.5 * np.linalg.slogdet(first_noise)[1]),
        ),
        mniw.NaturalParameters(
            -0.5 * precision,
            inputs.mT @ precision,
            -0.5 * inputs.mT @ precision @ inputs,
            -0.5 * np.linalg.slogdet(noise)[1],
        ),
        np.log(initial),
        np.log(transition),
    )
    found = energy(empty_batch(lengths), as_jax(potentials), *as_jax(statistics_of(paths, labels, own)))
    assert_close(found, wanted, ulps=ULPS)


def empty_batch(lengths):
    nothing = jnp.zeros((len(lengths), max(lengths), 1), DTYPE)
    return Batch(nothing, nothing > 0, lengths)


def statistics_of(paths, labels, own):
    """Returns the expected statistics of a posterior that is even over so many paths of ``z``, and of ``k``.

    Args:
        paths, labels: sequences end to end, the labels with one at each last step that belongs to no transition.
        own: where each sequence is.
    """
    second = np.einsum("pti,ptj->tij", paths, paths)
    cross = np.concatenate([np.einsum("pti,ptj->tij", z[:, :-1], z[:, 1:]) for z in (paths[:, s] for s in own)])
    one = np.eye(2)[labels]
    each = [one[:, s][:, :-1] for s in own]
    initial = np.stack([k[:, :1].sum((0, 1)) for k in each]) / len(labels)
    transition = np.stack([np.einsum("pti,ptj->ij", k[:, :-1], k[:, 1:]) for k in each]) / len(labels)
    marginals = np.concatenate([k.mean(0) for k in each])
    if len(own) == 1:
        initial, transition = initial[0], transition[0]
    return GaussianStatistics(second / len(paths), cross / len(paths), paths.mean(0)), HMMStatistics(
        initial, transition, marginals
    )


@pytest.mark.parametrize("rate", [1.0, 0.25])
def test_natural_step_at_a_fixed_point_is_the_coordinate_update(rate):
    """With the exact encoder no adjoint is needed (envelope theorem): the plain derivative at the fixed point will do."""
    batch, prior, model, inference = converged()

    def bound(statistics):
        parameters = model.local(batch, statistics)
        posterior = batch.problem.posterior(parameters, inference.state)
        return training_objective(model.decoder, batch)(parameters, posterior)

    gradient = jax.jit(lambda factors: jax.grad(bound)(expected_statistics(factors)))(model.factors)
    stepped, size = jax.jit(natural_step)(model.factors, prior, gradient, rate)
    assert float(size) == rate
    target = by_hand(batch, prior, inference.posterior)
    expected = jax.tree.map(lambda old, new: (1 - rate) * np.asarray(old) + rate * new, model.factors, target)
    # both rest on a fixed point that is off by rounding, amplified by one over one minus its rate
    assert_close(stepped, expected, ulps=1e5)


@jax.jit
def bound_and_update(model, batch, prior, posterior):
    objective = training_objective(model.decoder, batch)(model.parameters(batch), posterior)
    bound = objective - divergence(model.factors, prior)
    return bound, coordinate_update(prior, batch, posterior.gaussian, posterior.discrete)


@pytest.mark.parametrize("seed", range(2))
def test_alternating_with_inference_never_lowers_the_bound(seed):
    batch, prior, model, inference = converged(seed)
    bounds = []
    for _ in range(5):
        inference = infer(model, batch, inference.state)
        bound, factors = bound_and_update(model, batch, prior, inference.posterior)
        bounds.append(float(bound))
        model = SVAE(model.encoder, model.decoder, factors)
    assert bounds[-1] > bounds[0] + 0.1
    assert np.min(np.diff(bounds)) > -1e4 * EPS * np.max(np.abs(bounds))


def test_divergence_from_itself_is_zero_and_its_derivative_is_the_fisher_product():
    _, prior, model, _ = converged()
    value_and_gradient = jax.jit(jax.value_and_grad(divergence))
    nats, gradient = value_and_gradient(model.factors, prior)
    assert abs(float(value_and_gradient(prior, prior)[0])) <= ULPS * EPS * abs(float(nats))
    difference = jax.tree.map(jnp.subtract, model.factors, prior)
    fisher = jax.jit(lambda at, along: jax.jvp(expected_statistics, (at,), (along,))[1])(model.factors, difference)
    # compared by inner products with a direction: gradients with respect to symmetric matrices are not unique
    left = sum(jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(difference), strict=True))
    right = sum(jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(fisher), jax.tree.leaves(difference), strict=True))
    assert_close(left, right, ulps=1e5)


def test_divergence_by_quadrature():
    """One latent dimension and one state: gamma, normal and beta densities, integrated numerically."""

    def normal_gamma(scale, location, strength, degrees):
        gamma = stats.gamma(degrees / 2, scale=2 / scale)
        return gamma, lambda precision: stats.norm(location, 1 / np.sqrt(strength * precision))

    def kl(one, other):
        (gamma, normal), (gamma_p, normal_p) = normal_gamma(*one), normal_gamma(*other)

        def given(precision):
            q, p = normal(precision), normal_p(precision)
            inside = np.log(p.std() / q.std()) + (q.var() + (q.mean() - p.mean()) ** 2) / (2 * p.var()) - 0.5
            return gamma.pdf(precision) * (gamma.logpdf(precision) - gamma_p.logpdf(precision) + inside)

        return integrate.quad(given, 0, np.inf, epsabs=1e-12, epsrel=1e-12)[0]

    def factors(scale, location, strength, degrees):
        first = niw.NormalInverseWishart(
            np.array([[scale]]), np.array([location]), np.array(strength), np.array(degrees)
        )
        # the offset's factor has a precision of its own, the same in both: it does not count
        moves = mniw.MatrixNormalInverseWishart(
            np.array([[[scale]]]),
            np.array([[[location, 0.0]]]),
            np.array([np.diag([strength, 1.0])]),
            np.array([degrees]),
        )
        first, moves = as_jax((first, moves))
        return GlobalFactors(
            niw.natural_parameters(first),
            jax.vmap(mniw.natural_parameters)(moves),
            as_jax(np.ones(1)),
            as_jax(np.ones((1, 1))),
        )

    one, other = (1.3, 0.4, 2.0, 4.5), (0.8, -0.3, 0.7, 3.0)
    expected = 2 * kl(one, other)  # the first step's and the transition's factors are the same here
    found = jax.jit(divergence)(factors(*one), factors(*other))
    np.testing.assert_allclose(found, expected, rtol=max(1e-9, 500 * EPS))


def test_a_step_that_leaves_the_family_is_shortened():
    _, prior, model, _ = converged()
    away = jax.tree.map(lambda leaf: -3 * leaf, model.factors)
    stepped, size = jax.jit(natural_step)(model.factors, prior, away, 1.0)
    assert 0 < float(size) < 1
    assert bool(valid(stepped))


def test_potentials_are_those_of_the_factors():
    _, _, model, _ = converged()
    factors = model.factors
    from slds_core.models.slds import expected_potentials

    recognition = RecognitionPotentials(jnp.zeros((2, 30, 2, 2)), jnp.zeros((2, 30, 2)))
    expected = expected_potentials(
        recognition,
        niw.distribution(factors.first_step),
        jax.vmap(mniw.distribution)(factors.dynamics),
        factors.initial,
        factors.transition,
    )
    assert_close(potentials(expected_statistics(factors), recognition), expected, ulps=ULPS)


@pytest.mark.parametrize("wrong", [{"noise": 0.0}, {"noise": -1.0}, {"stickiness": -1.0}])
def test_a_prior_that_is_no_distribution_is_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}: expected a number above 0, found"):
        prior_factors(2, 3, **wrong)
