"""All implicit estimators against dense linear algebra, each other and finite differences, on hard and easy problems."""

import math
from functools import cache, partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import as_jax
from tolerances import DTYPE, ravel

from slds_core import gradients
from slds_core.directions import random_directions
from slds_core.fixed_point import Coupled, newton_cg
from slds_core.fixed_point.status import name_of
from slds_core.gradients import certify
from slds_core.models.random_slds import random_slds
from slds_core.models.slds import (
    SLDS,
    DiscretePotentials,
    DynamicsPotentials,
    InitialPotentials,
    RecognitionPotentials,
    SLDSPotentials,
)
from slds_core.objectives.generic import elbo, linear
from slds_core.objectives.notebook import notebook_objective

pytestmark = pytest.mark.skipif(jnp.float64 != DTYPE, reason="tolerances are those of float64")

PROBLEM = SLDS()
SIZE = {"time": 40, "latent": 3, "states": 3}
MODELS = {
    "easy": {"spread": 0.1},
    "weak": {"observation_precision": 0.2, "spread": 0.3, "stickiness": 0.33},
    "sticky": {"stickiness": 0.95},
    "missing": {"missing_start": 10, "missing_length": 15, "spread": 0.15},
}
SOLVERS = {
    "fisher_cg": {"tolerance": 1e-12},
    "bicgstab": {"tolerance": 1e-12},
    "gmres": {"tolerance": 1e-12},
    "richardson": {"tolerance": 1e-12, "max_products": 5000},
}


converge = jax.jit(lambda p, x: newton_cg(PROBLEM, p, x, max_sweeps=3000, tolerance=1e-14))


@cache
def fixed_point(model):
    parameters, start = as_jax(random_slds(**SIZE, **MODELS[model]))
    inference = converge(parameters, start)
    assert name_of(inference.status) in ("converged", "precision_floor")
    return parameters, inference.state, start


@cache
def estimator(name, **settings):
    function = getattr(gradients, name)
    return jax.jit(lambda p, x: function(PROBLEM, notebook_objective, p, x, **settings))


@cache
def truth(model):
    parameters, state, _ = fixed_point(model)
    return estimator("direct")(parameters, state)


def error(found, wanted):
    return np.linalg.norm(ravel(found) - ravel(wanted)) / np.linalg.norm(ravel(wanted))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", SOLVERS)
def test_solvers_agree_with_the_dense_solve(model, name):
    parameters, state, _ = fixed_point(model)
    found = estimator(name, **SOLVERS[name])(parameters, state)
    assert name_of(found.info.status) == "solved"
    assert found.info.residual <= 1e-11
    # residual 1e-11 at most, over 1-λ ≥ 0.05
    assert error(found.gradient, truth(model).gradient) <= 1e-9


@pytest.mark.parametrize("model", MODELS)
def test_every_group_agrees_with_unrolling(model):
    parameters, _, start = fixed_point(model)
    unrolled = estimator("unrolled", sweeps=600)(parameters, start)
    for found, wanted in zip(jax.tree.leaves(unrolled.gradient), jax.tree.leaves(truth(model).gradient), strict=True):
        assert np.linalg.norm(found - wanted) <= 1e-8 * np.linalg.norm(wanted)


@pytest.mark.parametrize("model", ["easy", pytest.param("weak", marks=pytest.mark.slow)])
def test_doubling_ends_where_the_gradient_stops_changing(model):
    parameters, _, start = fixed_point(model)
    found = estimator("unrolled_converged", sweeps=25)(parameters, start)
    assert name_of(found.info.status) == "exact_derivative"
    # the last doubling changed it by 1e-10 at most, and what remains is far less
    assert error(found.gradient, truth(model).gradient) <= 1e-10
    sweeps = (int(found.info.products) + 25) // 2  # 25 + 50 + … + n = 2 n - 25
    alike = estimator("unrolled", sweeps=sweeps)(parameters, start)
    assert error(found.gradient, alike.gradient) <= 1e-13
    np.testing.assert_allclose(found.value, alike.value, rtol=1e-14)


def test_doubling_that_ends_too_soon_says_so():
    parameters, _, start = fixed_point("weak")
    found = estimator("unrolled_converged", sweeps=3, max_sweeps=20)(parameters, start)
    assert name_of(found.info.status) == "still_changing"
    assert found.info.products == 3 + 6 + 12
    assert error(found.gradient, estimator("unrolled", sweeps=12)(parameters, start).gradient) <= 1e-13


@pytest.mark.parametrize("limits", [{"sweeps": 0}, {"sweeps": 10, "max_sweeps": 19}])
def test_doubling_needs_room(limits):
    parameters, _, start = fixed_point("easy")
    with pytest.raises(ValueError, match="sweeps: expected at least"):
        gradients.unrolled_converged(PROBLEM, notebook_objective, parameters, start, **limits)


@pytest.mark.parametrize("model", ["weak", "sticky"])
def test_finite_differences_agree_within_their_own_error(model):
    parameters, state, _ = fixed_point(model)
    found = estimator("finite_difference")(parameters, state)
    leaves = jax.tree.leaves(truth(model).gradient)
    directions = random_directions([leaf.shape for leaf in leaves], count=2, seed=0)
    for group, (leaf, drawn) in enumerate(zip(leaves, directions, strict=True)):
        for number, direction in enumerate(drawn):
            wanted = np.vdot(leaf, direction)
            # the estimate of the error is an estimate: thrice it
            assert abs(found.derivative[group, number] - wanted) <= 3 * found.error[group, number]
            assert found.error[group, number] <= 1e-5 * max(np.linalg.norm(leaf), 1)


def test_finite_differences_leave_what_is_forbidden():
    """Whole directions projected onto a gradient, as comparisons do, agree with them: where nothing can happen the gradient is zero."""
    parameters, start = as_jax(random_slds(time=12, latent=2, states=3, spread=0.15))
    forbidden = parameters.discrete.transition.at[0, 2].set(-jnp.inf)
    parameters = eqx.tree_at(lambda p: p.discrete.transition, parameters, forbidden)
    state = converge(parameters, start).state
    found = estimator("finite_difference")(parameters, state)
    gradient = estimator("direct")(parameters, state).gradient
    assert gradient.discrete.transition[0, 2] == 0
    leaves = jax.tree.leaves(gradient)
    directions = random_directions([leaf.shape for leaf in leaves], count=2, seed=0)
    wanted = [[np.vdot(leaf, direction) for direction in drawn] for leaf, drawn in zip(leaves, directions, strict=True)]
    assert np.all(np.abs(found.derivative - np.array(wanted)) <= 3 * found.error)
    assert np.all(found.error <= 1e-5 * np.linalg.norm(ravel(gradient)))


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_fisher_cg_needs_fewest_products(model):
    parameters, state, _ = fixed_point(model)
    spent = {
        name: int(estimator(name, **settings)(parameters, state).info.products) for name, settings in SOLVERS.items()
    }
    assert spent["fisher_cg"] <= min(spent["bicgstab"], spent["gmres"])
    coupled = jax.jit(
        lambda p, x: gradients.richardson(
            Coupled(PROBLEM),
            notebook_objective,
            p,
            (PROBLEM.first_block(p, x).statistics, x),
            tolerance=1e-12,
            damping=0.5,
            max_products=20000,
        )
    )(parameters, state)
    assert name_of(coupled.info.status) == "solved"
    assert error(coupled.gradient, truth(model).gradient) <= 1e-8
    if model == "weak":
        assert coupled.info.products >= 10 * spent["fisher_cg"]


def test_truncated_is_the_derivative_of_the_last_sweeps():
    parameters, state, _ = fixed_point("weak")
    for sweeps in (1, 7):
        truncated = estimator("truncated", sweeps=sweeps)(parameters, state)
        unrolled = estimator("unrolled", sweeps=sweeps)(parameters, state)
        assert error(truncated.gradient, unrolled.gradient) <= 1e-11
        assert name_of(truncated.info.status) == "approximate"
    one_step = estimator("one_step")(parameters, state)
    assert error(one_step.gradient, estimator("truncated", sweeps=1)(parameters, state).gradient) == 0


def test_the_bound_itself_needs_no_adjoint():
    """Envelope theorem: at the fixed point the bound's gradient is its explicit derivative."""
    parameters, state, _ = fixed_point("weak")
    objective = elbo(PROBLEM)
    explicit = jax.grad(lambda p: objective(p, PROBLEM.posterior(p, state)))(parameters)
    for name in ("fisher_cg", "bicgstab"):
        function = getattr(gradients, name)
        found = jax.jit(lambda p, x, f=function: f(PROBLEM, objective, p, x))(parameters, state)
        assert name_of(found.info.status) == "solved"
        assert error(found.gradient, explicit) <= 1e-11


@pytest.mark.parametrize(
    ("name", "settings", "status"),
    [
        ("fisher_cg", {"tolerance": 1e-12, "max_products": 3}, "product_limit"),
        ("bicgstab", {"tolerance": 1e-12, "max_products": 5}, "product_limit"),
        ("gmres", {"tolerance": 1e-12, "max_products": 5, "restart": 3}, "product_limit"),
        ("richardson", {"tolerance": 1e-12, "max_products": 4}, "product_limit"),
    ],
)
def test_a_solver_that_stops_short_says_so(name, settings, status):
    parameters, state, _ = fixed_point("weak")
    assert name_of(estimator(name, **settings)(parameters, state).info.status) == status


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize(
    "problem",
    [
        {"time": 20, "latent": 2, "states": 1},
        {"time": 2, "latent": 1, "states": 1},
        {"time": 1, "latent": 2, "states": 2},
        # regimes so plain that the sweep forgets its start: a Jacobian of 1e-34
        {"time": 6, "latent": 1, "states": 2, "observation_precision": 1e4, "seed": 4, "spread": 3.0},
    ],
    ids=["one state", "one transition", "no transition", "no coupling"],
)
def test_systems_that_are_solved_before_they_begin(name, problem):
    parameters, start = as_jax(random_slds(**problem))
    state = converge(parameters, start).state
    found = estimator(name, **SOLVERS[name])(parameters, state)
    assert name_of(found.info.status) == "solved"
    exact = estimator("unrolled", sweeps=3)(parameters, state)
    np.testing.assert_allclose(ravel(found.gradient), ravel(exact.gradient), rtol=0, atol=1e-12)


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_fisher_cg_keeps_to_its_limit(limit):
    """The two that judge the result come on top."""
    found = estimator("fisher_cg", max_products=limit, tolerance=1e-12)(*fixed_point("weak")[:2])
    assert int(found.info.products) - 2 == limit
    assert name_of(found.info.status) == "product_limit"


@pytest.mark.parametrize(
    ("name", "flaw"),
    [("gmres", {"restart": 0}), ("finite_difference", {"count": 0}), ("gmres", {"restart": 5, "max_products": 6})],
)
def test_limits_that_allow_nothing_are_refused(name, flaw):
    with pytest.raises(ValueError, match=rf"{list(flaw)[-1]}: expected at least"):
        getattr(gradients, name)(PROBLEM, notebook_objective, *fixed_point("easy")[:2], **flaw)


@pytest.mark.parametrize(
    ("name", "flaw"),
    [
        ("bicgstab", {"max_products": 2.5}),
        ("gmres", {"restart": 3.0}),
        ("fisher_cg", {"max_products": "many"}),
        ("richardson", {"max_products": 1.5}),
        ("truncated", {"sweeps": 2.5}),
        ("unrolled", {"sweeps": 2.5}),
        ("finite_difference", {"count": 1.5}),
    ],
)
def test_limits_that_are_no_whole_numbers_are_refused(name, flaw):
    with pytest.raises(ValueError, match=rf"^{list(flaw)[-1]}: expected a whole number, found "):
        getattr(gradients, name)(PROBLEM, notebook_objective, *fixed_point("easy")[:2], **flaw)


def test_a_traced_limit_of_another_type_is_refused():
    parameters, state, _ = fixed_point("easy")

    def differentiate(limit):
        return gradients.fisher_cg(PROBLEM, notebook_objective, parameters, state, max_products=limit)

    with pytest.raises(ValueError, match=r"max_products: expected a whole number, found one of type float"):
        jax.jit(differentiate)(3.0)


@pytest.mark.parametrize("step", [0.0, -1e-3, math.nan, math.inf])
def test_steps_without_a_length_are_refused(step):
    with pytest.raises(ValueError, match=r"^step: expected a number above 0, found "):
        gradients.finite_difference(PROBLEM, notebook_objective, *fixed_point("easy")[:2], step=step)


def test_a_traced_step():
    parameters, state, _ = fixed_point("easy")
    differentiate = partial(gradients.finite_difference, PROBLEM, notebook_objective, parameters, state)
    assert jax.eval_shape(lambda step: differentiate(step=step), 1e-3).derivative.shape[1] == 2


@pytest.mark.parametrize(("name", "key"), [("finite_difference", "count"), ("gmres", "restart")])
def test_sizes_cannot_be_traced(name, key):
    parameters, state, _ = fixed_point("easy")
    differentiate = partial(getattr(gradients, name), PROBLEM, notebook_objective, parameters, state)
    with pytest.raises(TypeError, match=f"^{key}: expected a plain number, found a traced one"):
        jax.eval_shape(lambda value: differentiate(**{key: value}), 3)


@pytest.mark.parametrize("key", ["tolerance", "max_products", "forward_tolerance"])
def test_settings_of_implicit_state_cannot_be_traced(key):
    parameters, state, _ = fixed_point("easy")
    with pytest.raises(TypeError, match=f"^{key}: expected a plain number, found a traced one"):
        jax.jit(lambda value: gradients.implicit_state(PROBLEM, parameters, state, **{key: value}))(1)


def test_a_tolerance_below_rounding_ends_at_rounding():
    parameters, state, _ = fixed_point("weak")
    found = estimator("fisher_cg", tolerance=1e-30, max_products=400)(parameters, state)
    assert error(found.gradient, truth("weak").gradient) <= 1e-12
    assert name_of(found.info.status) == "solved"  # what is left cannot be seen in the gradient


def test_restarts_undo_the_rounding_of_the_recursions():
    """On this model one run of conjugate gradients ends at a true residual of 1e-10, whatever it is asked for."""
    weak = {"observation_precision": 0.1, "spread": 0.3, "stickiness": 0.25}
    parameters, start = as_jax(random_slds(time=100, latent=5, states=4, **weak))
    state = converge(parameters, start).state
    found = estimator("fisher_cg", tolerance=1e-13)(parameters, state)
    assert name_of(found.info.status) == "solved"
    assert found.info.residual <= 1e-12


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("tolerance", [0.5, 0.1])
def test_loose_tolerances_are_met(name, tolerance):
    """Grace of ten would let no adjoint at all, whose residual is one, pass for a tolerance of a tenth."""
    parameters, state, _ = fixed_point("weak")
    found = estimator(name, tolerance=tolerance)(parameters, state)
    assert name_of(found.info.status) == "solved"
    assert found.info.residual <= tolerance


def test_an_unconverged_state_is_no_fixed_point():
    parameters, _, start = fixed_point("weak")
    found = estimator("fisher_cg", tolerance=1e-10)(parameters, start)
    assert name_of(found.info.status) in ("not_a_fixed_point", "not_positive")
    assert found.info.forward_residual > 1e-3


def test_rounding_is_no_distance_from_the_fixed_point():
    """A tolerance that single precision cannot meet: a residual of a few units of rounding is that of a fixed point all the same."""
    parameters, state, _ = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), fixed_point("easy"))
    solve = estimator("fisher_cg", tolerance=1e-4)
    found = solve(parameters, state)
    assert 1e-8 < found.info.forward_residual < 1e-5
    assert name_of(found.info.status) == "solved"
    assert error(found.gradient, truth("easy").gradient) < 1e-3
    far = solve(parameters, state.at[3, 0].add(1e-3))
    assert name_of(far.info.status) == "not_a_fixed_point"


@pytest.mark.parametrize("estimate", ["unrolled", "unrolled_converged"])
def test_starts_of_another_type_are_taken(estimate):
    parameters, _, start = fixed_point("easy")
    found = getattr(gradients, estimate)(PROBLEM, notebook_objective, parameters, start.astype(jnp.float32), sweeps=50)
    assert found.value.dtype == jnp.float64
    assert error(found.gradient, truth("easy").gradient) < 1e-4


def test_nan_parameters_are_nonfinite():
    parameters, state, _ = fixed_point("easy")
    broken = jax.tree.map(lambda leaf: leaf.at[(0,) * leaf.ndim].set(jnp.nan), parameters)
    for name in ("fisher_cg", "bicgstab"):
        assert name_of(estimator(name, **SOLVERS[name])(broken, state).info.status) == "nonfinite"


def test_direct_refuses_what_is_too_large():
    parameters, state, _ = fixed_point("easy")
    with pytest.raises(ValueError, match="the state has 117 unknowns, more than max_unknowns = 100"):
        estimator("direct", max_unknowns=100)(parameters, state)


@pytest.mark.parametrize("model", ["weak", pytest.param("sticky", marks=pytest.mark.slow)])
def test_certificate_bounds_the_error_and_is_not_idle(model):
    parameters, state, _ = fixed_point(model)
    judge = jax.jit(lambda p, x, w: certify(PROBLEM, notebook_objective, p, x, w))
    for name, settings in (
        ("truncated", {"sweeps": 4}),
        ("truncated", {"sweeps": 12}),
        ("fisher_cg", {"tolerance": 1e-4}),
    ):
        found = estimator(name, **settings)(parameters, state)
        true = np.linalg.norm(ravel(found.gradient) - ravel(truth(model).gradient))
        bound = float(judge(parameters, state, found.adjoint).bound)
        assert true <= bound
        assert bound <= 20 * true  # measured: 1.6 to 6.6 times it


def mirrored(time=10):
    """Returns two states whose dynamics, ``z' = z/2 ± 2``, mirror each other, and data of zero: undecided is a fixed point, unstable."""
    matrix, offset, precision = 0.5, np.array([[2.0], [-2.0]]), 20.0
    each = np.ones((2, 1, 1))
    dynamics = DynamicsPotentials(
        linear_current=-matrix * precision * offset,
        quadratic_current=-0.5 * matrix**2 * precision * each,
        cross=matrix * precision * each,
        quadratic_next=-0.5 * precision * each,
        linear_next=precision * offset,
        constant=-0.5 * precision * offset[:, 0] ** 2 + 0.5 * np.log(precision),
    )
    first = InitialPotentials(np.eye(1), np.zeros(1), np.array(0.5 * np.log(2 * np.pi)))
    discrete = DiscretePotentials(np.log([0.5, 0.5]), np.log(np.full((2, 2), 0.5)))
    recognition = RecognitionPotentials(-0.5 * np.ones((time, 1, 1)), np.zeros((time, 1)))
    return as_jax((SLDSPotentials(recognition, dynamics, first, discrete), np.full((time - 1, 2), 0.5)))


@pytest.mark.parametrize("name", ["fisher_cg", "direct"])
def test_an_unstable_fixed_point_is_certified_nothing(name):
    """The state is exact, so what certifies it is zero; but other fixed points lie where a disturbance grows to."""
    parameters, state = mirrored()
    image = PROBLEM.sweep(parameters, state)
    np.testing.assert_array_equal(image, state)
    jacobian = jax.jit(jax.jacfwd(lambda x: PROBLEM.sweep(parameters, x)))(state).reshape(state.size, state.size)
    assert np.abs(np.linalg.eigvals(jacobian)).max() > 10
    found = jax.jit(lambda p, x: getattr(gradients, name)(PROBLEM, notebook_objective, p, x))(parameters, state)
    certificate = jax.jit(lambda p, x, w: certify(PROBLEM, notebook_objective, p, x, w))(
        parameters, state, found.adjoint
    )
    assert float(certificate.rate) > 10
    for part in (certificate.bound, certificate.adjoint_part, certificate.forward_part, certificate.rounding_part):
        assert float(part) == math.inf


@pytest.mark.parametrize(
    ("name", "settings"), [("fisher_cg", {}), ("bicgstab", {}), ("gmres", {"restart": 3}), ("richardson", {})]
)
def test_one_compilation_serves_all_tolerances_and_right_hand_sides(name, settings):
    parameters, state, _ = fixed_point("easy")
    traces = []

    @jax.jit
    def solve(tolerance, objective_weight):
        traces.append(1)
        scaled = lambda p, posterior: objective_weight * notebook_objective(p, posterior)
        return getattr(gradients, name)(PROBLEM, scaled, parameters, state, tolerance=tolerance, **settings).info

    loose, tight = solve(1e-2, 1.0), solve(1e-12, 2.0)
    assert tight.residual < loose.residual
    assert tight.products > loose.products
    assert len(traces) == 1


def test_implicit_state_carries_the_same_gradient():
    parameters, state, _ = fixed_point("weak")
    objective = linear(PROBLEM, seed=2)

    def loss(p):
        return objective(p, PROBLEM.posterior(p, gradients.implicit_state(PROBLEM, p, state, tolerance=1e-12)))

    wanted = jax.jit(lambda p, x: gradients.direct(PROBLEM, objective, p, x))(parameters, state).gradient
    assert error(jax.jit(jax.grad(loss))(parameters), wanted) <= 1e-9


@pytest.mark.parametrize("flaw", [{"max_products": 2}, {"forward_tolerance": 1e-8}])
def test_implicit_state_fails_loudly(flaw):
    parameters, state, _ = fixed_point("weak")
    if "forward_tolerance" in flaw:
        state = state.at[3, 0].add(1e-6)

    def gradient(**how):
        def loss(p):
            posterior = PROBLEM.posterior(
                p, gradients.implicit_state(PROBLEM, p, state, tolerance=1e-12, **flaw, **how)
            )
            return jnp.sum(posterior.gaussian.mean)

        return jax.jit(jax.grad(loss))(parameters)

    assert all(np.all(np.isnan(leaf)) for leaf in jax.tree.leaves(gradient().recognition))
    with pytest.raises(Exception, match="implicit gradient failed"):
        jax.block_until_ready(gradient(on_failure="raise"))


@pytest.mark.parametrize(
    "further",
    [
        pytest.param(jax.jacfwd, marks=pytest.mark.slow),
        pytest.param(jax.jacrev, marks=pytest.mark.slow),
        lambda f: jax.jit(jax.jacfwd(f)),
    ],
)
def test_implicit_state_refuses_second_derivatives(further):
    """They would be plausible numbers: those of a state that stands still."""
    parameters, state, _ = fixed_point("easy")

    def loss(step):
        moved = eqx.tree_at(lambda p: p.recognition.linear, parameters, parameters.recognition.linear.at[3].add(step))
        posterior = PROBLEM.posterior(moved, gradients.implicit_state(PROBLEM, moved, state))
        return jnp.sum(posterior.gaussian.mean**2)

    with pytest.raises(TypeError, match="implicit_state has first derivatives only"):
        further(jax.grad(loss))(jnp.zeros(3))


@pytest.mark.slow
def test_implicit_state_may_be_followed_by_other_parameters():
    """Derivatives with respect to what the state does not depend on are of any order."""
    parameters, state, _ = fixed_point("easy")

    def loss(p, weight):
        return jnp.sum(weight * PROBLEM.posterior(p, gradients.implicit_state(PROBLEM, p, state)).gaussian.mean ** 2)

    weight = jnp.ones(3)
    mixed = jax.jit(jax.jacfwd(jax.grad(loss), argnums=1))(parameters, weight).recognition.linear[5]
    ones = [jax.jit(jax.grad(loss))(parameters, row).recognition.linear[5] for row in jnp.eye(3)]
    np.testing.assert_allclose(mixed, jnp.stack(ones, -1), rtol=1e-4)  # each solved to 1e-6


def test_implicit_state_of_one_state_and_many_parameters():
    """Each set of parameters has its own cotangent, though all share the state."""
    parameters, state, _ = fixed_point("easy")
    copies = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), parameters)
    weights = jnp.array([1.0, 0.0])

    def loss(p, weight):
        posterior = PROBLEM.posterior(p, gradients.implicit_state(PROBLEM, p, state))
        return weight * jnp.sum(posterior.gaussian.mean**2)

    one_by_one = jax.jit(jax.vmap(jax.grad(loss)))(copies, weights)
    together = jax.jit(jax.grad(lambda p: jnp.sum(jax.vmap(loss)(p, weights))))(copies)
    assert error(together, one_by_one) < 1e-12
    assert not np.any(ravel(jax.tree.map(lambda leaf: leaf[1], together)))


@pytest.mark.parametrize("name", [*SOLVERS, "implicit_state"])
@pytest.mark.parametrize("value", [math.nan, -1e-8])
@pytest.mark.parametrize("key", ["tolerance", "forward_tolerance"])
def test_tolerances_that_nothing_meets_are_refused(name, key, value):
    parameters, state, _ = fixed_point("easy")
    arguments = (
        (PROBLEM, parameters, state) if name == "implicit_state" else (PROBLEM, elbo(PROBLEM), parameters, state)
    )
    with pytest.raises(ValueError, match=f"^{key}: expected at least 0, found "):
        getattr(gradients, name)(*arguments, **{key: value})


def test_a_traced_tolerance_that_is_nan_is_never_met():
    parameters, state, _ = fixed_point("easy")
    solve = jax.jit(
        lambda tolerance: gradients.fisher_cg(PROBLEM, notebook_objective, parameters, state, tolerance=tolerance)
    )
    assert name_of(solve(jnp.nan).info.status) == "stagnated"


@pytest.mark.parametrize(
    "name", ["bicgstab", *(pytest.param(n, marks=pytest.mark.slow) for n in SOLVERS if n != "bicgstab")]
)
def test_no_tolerance_is_too_small(name):
    """What rounding cannot resolve is not waited for, nor divided by."""
    parameters, state, _ = fixed_point("easy")
    found = estimator(name, tolerance=0.0, max_products=300)(parameters, state)
    assert name_of(found.info.status) in ("solved", "product_limit", "stagnated")
    assert error(found.gradient, truth("easy").gradient) <= 1e-12


@pytest.mark.parametrize("name", [*SOLVERS, "direct", "one_step"])
@pytest.mark.parametrize(
    ("objective", "found"),
    [
        (lambda p, q: q.gaussian.mean.sum(0), r"shape \(3,\) in float64"),
        (lambda p, q: jnp.argmax(q.unary), r"shape \(\) in int64"),
    ],
)
def test_objectives_that_are_no_scalars_are_refused(name, objective, found):
    parameters, state, _ = fixed_point("easy")
    with pytest.raises(TypeError, match=f"objective: expected a scalar in floating point, found {found}"):
        getattr(gradients, name)(PROBLEM, objective, parameters, state)


def test_a_single_step_that_is_not_finite_has_no_certificate():
    parameters, state = as_jax(random_slds(time=1, latent=2, states=2))
    fine = gradients.fisher_cg(PROBLEM, elbo(PROBLEM), parameters, state, certified=True)
    assert float(fine.info.certificate) == 0
    spoilt = eqx.tree_at(lambda p: p.recognition.linear, parameters, parameters.recognition.linear * jnp.nan)
    found = gradients.fisher_cg(PROBLEM, elbo(PROBLEM), spoilt, state, certified=True)
    assert name_of(found.info.status) == "nonfinite"
    assert math.isnan(float(found.info.certificate))


def test_finite_differences_of_numpy_arrays_know_their_precision():
    parameters, start = random_slds(time=6, latent=2, states=2)
    rounded = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), (parameters, start))
    doubled = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), rounded)
    with jax.enable_x64(False):
        single = gradients.finite_difference(PROBLEM, linear(PROBLEM, 0), *rounded, count=1)
        found = gradients.finite_difference(PROBLEM, linear(PROBLEM, 0), *doubled, count=1)
    np.testing.assert_array_equal(found.derivative, single.derivative)
    np.testing.assert_array_equal(found.error, single.error)
