"""Newton-CG and Anderson against plain sweeps; the spectrum against dense linear algebra."""

from functools import cache, partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import as_jax, slds
from scipy.optimize import brentq
from tolerances import DTYPE

from slds_core.fixed_point import (
    anderson,
    coordinate_ascent,
    fixed_point_residual,
    newton_cg,
    predicted_sweeps,
    sweep_spectrum,
)
from slds_core.fixed_point.lanczos import lanczos
from slds_core.fixed_point.status import name_of, names_of
from slds_core.gradients import fisher_cg
from slds_core.models.random_slds import random_slds
from slds_core.models.slds import SLDS
from slds_core.objectives.generic import elbo
from slds_core.testing.boltzmann import BoltzmannMachine, Couplings

pytestmark = pytest.mark.skipif(jnp.float64 != DTYPE, reason="tolerances are those of float64")

PROBLEM = SLDS()
SOLVERS = {"newton_cg": newton_cg, "anderson": anderson, "coordinate_ascent": coordinate_ascent}
HARD = {"time": 60, "latent": 3, "states": 3, "observation_precision": 0.2, "spread": 0.3, "stickiness": 0.33}


@cache
def solver(name, max_sweeps=3000, tolerance=1e-13):
    return jax.jit(lambda p, x: SOLVERS[name](PROBLEM, p, x, max_sweeps=max_sweeps, tolerance=tolerance))


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("seed", range(4))
def test_reaches_the_fixed_point(name, seed):
    parameters, start = as_jax(random_slds(**HARD, seed=seed))
    found = solver(name)(parameters, start)
    assert name_of(found.status) in ("converged", "precision_floor")
    assert fixed_point_residual(PROBLEM, parameters, found.state).maximum <= 1e-13
    assert jnp.allclose(PROBLEM.state(found.posterior), found.state, rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "difficulty",
    [
        {"observation_precision": 0.1, "spread": 0.3, "stickiness": 0.25},
        {"stickiness": 0.9},
        {"spread": 0.15, "stickiness": 0.25, "missing_start": 30, "missing_length": 30},
    ],
)
def test_newton_needs_a_third_of_the_sweeps_where_they_are_slow(difficulty):
    parameters, start = as_jax(random_slds(time=100, latent=5, states=4, **difficulty))
    plain = solver("coordinate_ascent")(parameters, start)
    assert float(sweep_spectrum(PROBLEM, parameters, plain.state).eigenvalues[0]) > 0.8
    assert 3 * int(solver("newton_cg")(parameters, start).sweeps) <= int(plain.sweeps)


def test_newton_is_not_held_up_by_places_that_leave_a_saddle_late():
    """Pairs of units that know nothing of each other, as distant steps of a long series: most go to their only fixed point, four
    start near zero, where theirs is a saddle. Newton takes 100 sweeps and products; 251 where it sweeps until all have left."""
    strength = np.concatenate([np.linspace(0.3, 0.98, 60), [1.02, 1.05, 1.1, 1.2]])
    start = np.concatenate([np.full(60, 0.5), [1e-3, 1e-4, 1e-5, 1e-7]])
    bias = np.where(strength < 1, 0.1, 0.0)
    pairs = Couplings(jnp.diag(strength), jnp.zeros(64), jnp.asarray(bias))
    infer = jax.jit(lambda p, x: newton_cg(BoltzmannMachine(), p, x, max_sweeps=3000, tolerance=1e-12))
    newton = infer(pairs, jnp.asarray(start))
    exact = [
        brentq(lambda m, w=w, b=b: np.tanh(w * np.tanh(w * m) + b) - m, 1e-3, 1.0, xtol=1e-14)
        for w, b in zip(strength, bias, strict=True)
    ]
    assert name_of(newton.status) == "converged"
    np.testing.assert_allclose(newton.state, exact, rtol=0, atol=1e-11)
    assert int(newton.sweeps) <= 120


@cache
def limited(name):
    settings = {"newton_cg": {"switch": 1.0}, "anderson": {}}[name]  # Newton's steps from the first on
    solve = partial(SOLVERS[name], BoltzmannMachine(), capacity=200, tolerance=1e-12, **settings)
    return jax.jit(lambda p, x, limit: solve(p, x, max_sweeps=limit))


@pytest.mark.parametrize(
    ("name", "strength", "seed"),
    [("newton_cg", 1, 29), ("newton_cg", 1, 1), ("anderson", 1.5, 25), ("anderson", 2, 27)],
)
def test_a_step_that_lowers_the_bound_is_not_taken(name, strength, seed):
    """Machines and starts that were searched for: an early trial overshoots, by 4e-3 to 1.5 nats. Stopped at that trial, inference
    returns what it had before."""
    generator = np.random.default_rng(seed)
    weight = generator.standard_normal((3, 4))
    biases = 0.3 * generator.standard_normal(3), 0.3 * generator.standard_normal(4)
    machine = as_jax(Couplings(strength * weight / np.linalg.norm(weight, 2), *biases))
    start = as_jax(generator.uniform(-0.9, 0.9, 4))

    whole = limited(name)(machine, start, 200)
    bounds = np.asarray(whole.trace.monitors["elbo"])[: int(whole.iterations)]
    lower = int(np.flatnonzero(np.diff(bounds) < -1e-3)[0]) + 1
    stopped = limited(name)(machine, start, int(whole.trace.sweeps[lower]))
    assert int(stopped.iterations) == lower + 1  # the trial was made
    assert float(stopped.posterior.bound) == bounds[lower - 1]
    # what is tried in its place climbs: a shorter step, or a plain sweep
    assert bounds[lower + 1] > bounds[lower - 1]


@pytest.mark.parametrize("name", SOLVERS)
def test_limit_and_nan_are_told(name):
    parameters, start = as_jax(random_slds(**HARD))
    assert name_of(solver(name, max_sweeps=2)(parameters, start).status) == "sweep_limit"
    broken = jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), parameters)
    assert name_of(solver(name)(broken, start).status) == "nonfinite"


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("seed", range(3))
def test_a_bound_near_zero_is_judged_by_its_terms(name, seed):
    """A constant in the potentials moves the bound and nothing else: rounding of its terms must not pass for a fall."""
    parameters, start = as_jax(random_slds(time=300, latent=2, states=3, seed=seed))
    plain = solver(name, tolerance=1e-12)(parameters, start)
    bound = PROBLEM.elbo(plain.posterior)
    shifted = eqx.tree_at(lambda p: p.initial.normalizer, parameters, parameters.initial.normalizer + bound)
    found = solver(name, tolerance=1e-12)(shifted, start)
    assert abs(PROBLEM.elbo(found.posterior)) < 1e-9 * abs(bound)
    assert name_of(found.status) == name_of(plain.status) == "converged"
    np.testing.assert_allclose(found.state, plain.state, rtol=0, atol=1e-9)
    assert abs(int(found.sweeps) - int(plain.sweeps)) <= 0.1 * int(plain.sweeps)


def test_a_fall_by_more_than_rounding_of_the_terms_is_told():
    """A model whose sweeps lower what it calls its bound."""

    class Wrong(SLDS):
        def elbo(self, posterior):
            return -posterior.elbo

    parameters, start = as_jax(random_slds(**HARD))
    found = coordinate_ascent(Wrong(), parameters, start, max_sweeps=50)
    assert name_of(found.status) == "diverged"


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 10, 15, 20])
def test_newton_keeps_to_its_limit(limit):
    parameters, start = as_jax(random_slds(time=100, latent=5, states=4))
    found = newton_cg(PROBLEM, parameters, start, max_sweeps=limit, switch=0.1)
    assert int(found.sweeps) <= limit
    assert name_of(found.status) == "sweep_limit"


@pytest.mark.parametrize("name", SOLVERS)
def test_what_stands_still_is_no_failure(name):
    """With one state a sweep changes nothing: Anderson's differences are all zero. Without a tolerance it goes on to the limit."""
    parameters, start = as_jax(random_slds(time=6, latent=2, states=1, seed=0))
    found = solver(name, max_sweeps=12, tolerance=0.0)(parameters, start)
    assert name_of(found.status) == "sweep_limit"
    assert np.all(np.isfinite(found.state))


def test_a_tolerance_below_rounding_ends_at_the_floor():
    parameters, start = as_jax(random_slds(**HARD))
    found = solver("coordinate_ascent", tolerance=1e-30)(parameters, start)
    assert name_of(found.status) == "precision_floor"
    assert int(found.sweeps) < 3000


@pytest.mark.parametrize("size", [(1, 2, 2), (2, 1, 2), (5, 1, 1)])
@pytest.mark.parametrize("name", SOLVERS)
def test_smallest_problems(name, size):
    parameters, start = slds(*size)
    found = solver(name)(parameters, start)
    assert name_of(found.status) == "converged"


def test_spectrum_equals_the_dense_jacobian():
    parameters, start = slds(7, 2, 3, seed=1)
    state = solver("coordinate_ascent")(parameters, start).state
    jacobian = np.asarray(jax.jacobian(lambda x: PROBLEM.sweep(parameters, x))(state)).reshape(18, 18)
    wanted = np.sort(np.linalg.eigvals(jacobian).real)[::-1]
    found = sweep_spectrum(PROBLEM, parameters, state, products=18)
    np.testing.assert_allclose(found.eigenvalues[:6], wanted[:6], rtol=0, atol=1e-10)
    assert np.abs(np.linalg.eigvals(jacobian).imag).max() < 1e-8


def test_spectrum_where_the_metric_is_all_but_singular():
    """Weak observations leave some states all but certain: a basis orthonormal in the metric once gave an eigenvalue of 466."""
    weak = {"observation_precision": 0.1, "spread": 0.3, "stickiness": 0.25}
    parameters, start = as_jax(random_slds(time=100, latent=5, states=4, **weak))
    state = solver("anderson")(parameters, start).state
    jacobian = jax.jit(jax.jacfwd(lambda x: PROBLEM.sweep(parameters, x)))(state).reshape(state.size, state.size)
    wanted = np.sort(np.linalg.eigvals(jacobian).real)[::-1]
    found = jax.jit(lambda p, x: sweep_spectrum(PROBLEM, p, x))(parameters, state)
    distance = np.abs(np.asarray(found.eigenvalues[:6]) - wanted[:6])
    assert np.all(distance <= np.asarray(found.errors[:6]) + 1e-12)
    assert np.all(np.asarray(found.errors[:2]) < 1e-6)


def test_the_trace_contracts_at_the_leading_eigenvalue():
    parameters, start = as_jax(random_slds(**HARD, seed=3))
    found = solver("coordinate_ascent")(parameters, start)
    changes = np.asarray(found.trace.residual.maximum)[: int(found.sweeps)]
    late = changes[(changes < 1e-8) & (changes > 1e-12)]
    measured = (late[-1] / late[0]) ** (1 / (len(late) - 1))
    rate = float(sweep_spectrum(PROBLEM, parameters, found.state).eigenvalues[0])
    assert measured == pytest.approx(rate, rel=0.01)  # the second eigenvalue still shows
    taken = np.flatnonzero(changes < 1e-12)[0] - np.flatnonzero(changes < 1e-8)[0]
    assert float(predicted_sweeps(rate, 1e-8, 1e-12)) == pytest.approx(taken, abs=2)


def test_a_spectrum_of_no_dimensions_is_empty():
    spectrum = sweep_spectrum(PROBLEM, *as_jax(random_slds(time=1, latent=2, states=2)))
    assert spectrum.eigenvalues.shape == (0,)
    assert int(spectrum.steps) == 0


def test_predicted_sweeps_at_the_ends():
    """The residual multiplied by hand, and the rates at which it does not fall."""
    residual, sweeps = 1e-2, 0
    while residual > 1e-10:
        residual, sweeps = 0.7 * residual, sweeps + 1
    assert np.ceil(predicted_sweeps(0.7, 1e-2, 1e-10)) == sweeps
    assert predicted_sweeps(1.0, 1e-2, 1e-10) == predicted_sweeps(1.2, 1e-2, 1e-10) == np.inf
    assert predicted_sweeps(0.0, 1e-2, 1e-10) == predicted_sweeps(1.2, 1e-12, 1e-10) == 0


def test_lanczos_on_a_known_matrix():
    generator = np.random.default_rng(0)
    root = generator.standard_normal((12, 12))
    metric = jnp.asarray(root @ root.T + np.eye(12))
    inverse_root = np.linalg.inv(np.linalg.cholesky(np.asarray(metric)))
    vectors = np.linalg.qr(generator.standard_normal((12, 12)))[0]
    values = np.linspace(2, -1, 12)
    # self-adjoint in the metric's inner product: similar to a symmetric matrix by its Cholesky factor
    matrix = jnp.asarray(inverse_root.T @ (vectors * values) @ vectors.T @ np.linalg.inv(inverse_root.T))
    found = lanczos(lambda v: (matrix @ v, metric @ v), jnp.asarray(generator.standard_normal(12)), steps=12)
    np.testing.assert_allclose(found.eigenvalues, values, atol=1e-9)
    few = lanczos(lambda v: (matrix @ v, metric @ v), jnp.asarray(generator.standard_normal(12)), steps=5)
    assert values[0] >= few.eigenvalues[0] - 1e-12


@pytest.mark.parametrize("name", ["newton_cg", "anderson"])
def test_models_without_fisher_products_are_refused(name):
    with pytest.raises(TypeError, match=f"{name} needs a mean-field model"):
        SOLVERS[name](object(), None, None, max_sweeps=5)


@pytest.mark.parametrize(
    ("name", "flaw", "message"),
    [
        ("newton_cg", {"switch": float("nan")}, "switch: expected at least 0, found nan"),
        ("newton_cg", {"forcing": -0.1}, "forcing: expected at least 0, found -0.1"),
        ("newton_cg", {"products_per_step": -3}, "products_per_step: expected at least 1, found -3"),
        ("newton_cg", {"max_sweeps": 2.5}, "max_sweeps: expected a whole number, found 2.5"),
        ("anderson", {"memory": 1.5}, "memory: expected a whole number, found 1.5"),
        ("anderson", {"memory": 0}, "memory: expected at least 1, found 0"),
        ("coordinate_ascent", {"capacity": 2.5}, "capacity: expected a whole number, found 2.5"),
    ],
)
def test_settings_out_of_bounds_are_refused(name, flaw, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        SOLVERS[name](PROBLEM, *slds(4, 2, 2), **{"max_sweeps": 2, **flaw})


def test_double_precision_where_jax_is_set_to_single():
    """Some operations would fail, others round, by chance."""
    with jax.enable_x64(True):
        parameters, start = jax.tree.map(lambda array: jnp.asarray(array, jnp.float64), slds(4, 2, 2))
    message = "parameters.recognition.quadratic: found float64 while JAX is set to single precision; either"
    calls = [partial(solver, max_sweeps=2) for solver in SOLVERS.values()]
    with jax.enable_x64(False):
        for call in [*calls, fixed_point_residual, lambda *given: fisher_cg(given[0], elbo(PROBLEM), *given[1:])]:
            with pytest.raises(ValueError, match=message):
                call(PROBLEM, parameters, start)
        single = jax.tree.map(lambda array: array.astype(jnp.float32), (parameters, start))
        assert SOLVERS["newton_cg"](PROBLEM, *single, max_sweeps=2).state.dtype == jnp.float32


def test_names_of_a_batch():
    parameters, start = slds(4, 2, 2)
    limits = jnp.array([1, 50])
    solve = partial(SOLVERS["coordinate_ascent"], PROBLEM, parameters, start, capacity=64, tolerance=1e-4)
    status = jax.vmap(lambda limit: solve(max_sweeps=limit).status)(limits)
    assert names_of(status).tolist() == ["sweep_limit", "converged"]
    with pytest.raises(ValueError, match=r"expected one, found a batch of shape \(2,\)"):
        name_of(status)


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("value", [float("nan"), -1.0])
def test_tolerances_that_nothing_meets_are_refused(name, value):
    with pytest.raises(ValueError, match=r"^tolerance: expected at least 0, found "):
        SOLVERS[name](PROBLEM, *slds(4, 2, 2), max_sweeps=3, tolerance=value)
