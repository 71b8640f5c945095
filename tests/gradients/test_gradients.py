"""Gradient estimators against linear algebra, finite differences and each other."""

from functools import cache, partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.flatten_util import ravel_pytree
from problems import Affine, affine, direction_like, slds
from tolerances import DTYPE, EPS, ravel

from slds_core.chains.native import why_not
from slds_core.fixed_point import coordinate_ascent
from slds_core.fixed_point.status import name_of
from slds_core.gradients import bicgstab, fisher_cg, richardson, unrolled, unrolled_converged
from slds_core.models.slds import SLDS
from slds_core.objectives.generic import elbo, linear
from slds_core.objectives.notebook import notebook_objective

pytestmark = pytest.mark.skipif(jnp.float64 != DTYPE, reason="tolerances are those of float64")

OBJECTIVES = {"linear": linear(SLDS(), seed=3), "notebook": notebook_objective, "elbo": elbo(SLDS())}
on_objectives = pytest.mark.parametrize("objective", OBJECTIVES)
MANY = 400  # sweeps after which these models stand still to rounding
SIZE = 6, 2, 3  # time, latent, state

# Compiled once for all seeds.
infer = jax.jit(lambda parameters, start: coordinate_ascent(SLDS(), parameters, start, max_sweeps=MANY))


@cache
def unroll_many(objective):
    return jax.jit(lambda p, start: unrolled(SLDS(), OBJECTIVES[objective], p, start, sweeps=MANY))


@cache
def limit(objective):
    """Returns the whole map: parameters, and a state to start from ↦ objective at the fixed point."""
    return jax.jit(lambda p, start: OBJECTIVES[objective](p, infer(p, start).posterior))


@cache
def implicit(objective):
    return jax.jit(lambda p, state: bicgstab(SLDS(), OBJECTIVES[objective], p, state, tolerance=1e-13))


@pytest.fixture(scope="module", params=[0, 1])
def converged(request):
    """An SLDS at its fixed point."""
    parameters, start = slds(*SIZE, seed=request.param)
    inference = infer(parameters, start)
    assert inference.trace.residual.maximum[-1] < 100 * EPS, "choose another seed: this one has not converged"
    return parameters, inference.state, start


def relative_error(gradient, expected):
    return np.linalg.norm(ravel(gradient) - ravel(expected)) / np.linalg.norm(ravel(expected))


def central_difference(function, parameters, direction, step=1e-5):
    """Returns the slope of a function along a direction; truncation is of order step², some 1e-10."""
    up, down = (jax.tree.map(lambda a, d, s=s: a + s * d, parameters, direction) for s in (step, -step))
    return float(function(up) - function(down)) / (2 * step)


def along_own(gradient):
    """Returns the gradient's own direction: there the slope is largest, and a relative error means something."""
    return jax.tree.map(lambda leaf: leaf / np.linalg.norm(ravel(gradient)), gradient)


def dense_implicit_gradient(problem, objective, parameters, state):
    """Returns the implicit gradient from a dense Jacobian and a direct solve."""
    flat, unravel = ravel_pytree(state)

    def value(parameters, flat):
        return objective(parameters, problem.posterior(parameters, unravel(flat)))

    def sweep(parameters, flat):
        return ravel_pytree(problem.sweep(parameters, unravel(flat)))[0]

    jacobian = np.asarray(jax.jit(jax.jacobian(sweep, argnums=1))(parameters, flat))
    explicit, right_hand_side = jax.jit(jax.grad(value, argnums=(0, 1)))(parameters, flat)
    adjoint = np.linalg.solve(np.eye(flat.size) - jacobian.T, right_hand_side)
    through_sweep = jax.jit(lambda p, w: jax.vjp(lambda q: sweep(q, flat), p)[1](w)[0])(
        parameters, jnp.asarray(adjoint)
    )
    return jax.tree.map(jnp.add, explicit, through_sweep)


@on_objectives
def test_unrolled_against_finite_differences(objective):
    sweeps, objective = 3, OBJECTIVES[objective]
    parameters, start = slds(*SIZE)
    found = jax.jit(lambda p: unrolled(SLDS(), objective, p, start, sweeps=sweeps))(parameters)
    assert name_of(found.info.status) == "exact_derivative"

    @jax.jit
    def value(parameters):
        state = start
        for _ in range(sweeps - 1):
            state = SLDS().sweep(parameters, state)
        return objective(parameters, SLDS().posterior(parameters, state))

    assert float(found.value) == pytest.approx(float(value(parameters)), rel=1e-13)
    scale = np.linalg.norm(ravel(found.gradient))
    for direction in (along_own(found.gradient), direction_like(parameters, 1)):
        slope = ravel(direction) @ ravel(found.gradient)
        assert central_difference(value, parameters, direction) == pytest.approx(slope, rel=0, abs=1e-6 * scale)


@on_objectives
def test_implicit_gradient(converged, objective):
    """Against a dense direct solve, and against finite differences of parameters ↦ objective at their fixed point."""
    parameters, state, _ = converged
    found = implicit(objective)(parameters, state)
    expected = dense_implicit_gradient(SLDS(), OBJECTIVES[objective], parameters, state)
    assert relative_error(found.gradient, expected) < 1e-10  # residual 1e-13 and rounding, amplified by (I - Jᵀ)⁻¹

    scale = np.linalg.norm(ravel(found.gradient))
    value = partial(limit(objective), start=state)
    assert central_difference(value, parameters, along_own(found.gradient)) == pytest.approx(scale, rel=1e-6)


def test_implicit_equals_many_sweeps_unrolled(converged):
    parameters, state, start = converged
    found = implicit("notebook")(parameters, state)
    assert name_of(found.info.status) == "solved"
    assert float(found.info.residual) < 1e-12
    explicit = unroll_many("notebook")(parameters, start)
    assert float(found.value) == pytest.approx(float(explicit.value), rel=1e-12)
    assert relative_error(found.gradient, explicit.gradient) < 1e-10


def test_envelope_theorem(converged):
    """Once converged, the bound's gradient is its explicit derivative: nothing comes through the state."""
    parameters, state, start = converged
    through_sweeps = unroll_many("elbo")(parameters, start).gradient
    explicit = jax.jit(jax.grad(lambda p: SLDS().elbo(SLDS().posterior(p, state))))(parameters)
    assert relative_error(through_sweeps, explicit) < 1e-12
    assert relative_error(implicit("elbo")(parameters, state).gradient, explicit) < 1e-12


@pytest.mark.parametrize("estimator", [partial(unrolled, sweeps=100), partial(bicgstab, tolerance=1e-14)])
def test_affine_model_by_hand(estimator):
    """L = wᵀ x with x = (I - A)⁻¹ b: ∂L/∂b = (I - Aᵀ)⁻¹ w =: u, ∂L/∂A = u xᵀ. A is not symmetric."""
    parameters, start = affine(size=5)
    matrix, offset = (np.asarray(parameters[key]) for key in ("matrix", "offset"))
    weights = np.arange(1.0, 6.0)
    x = np.linalg.solve(np.eye(5) - matrix, offset)
    adjoint = np.linalg.solve(np.eye(5) - matrix.T, weights)
    found = estimator(
        Affine(),
        lambda _, posterior: (
            weights[0] * posterior["state"]["head"][0] + jnp.asarray(weights[1:]) @ posterior["state"]["tail"]
        ),
        parameters,
        coordinate_ascent(Affine(), parameters, start, max_sweeps=100).state,
    )
    assert float(found.value) == pytest.approx(weights @ x, rel=1e-13)
    np.testing.assert_allclose(found.gradient["offset"], adjoint, rtol=1e-12)
    np.testing.assert_allclose(found.gradient["matrix"], np.outer(adjoint, x), rtol=1e-12)


@pytest.mark.parametrize("max_products", [4, 6])
def test_a_missed_tolerance_is_not_called_solved(max_products):
    tolerance = 1e-12
    parameters, start = slds(*SIZE)
    state = infer(parameters, start).state
    found = jax.jit(
        lambda p, x: bicgstab(SLDS(), notebook_objective, p, x, tolerance=tolerance, max_products=max_products)
    )(parameters, state)
    assert name_of(found.info.status) == "product_limit"
    assert 10 * tolerance < float(found.info.residual) < 1
    assert relative_error(found.gradient, implicit("notebook")(parameters, state).gradient) > 10 * tolerance


@pytest.mark.parametrize("estimator", [partial(unrolled, sweeps=2), bicgstab])
def test_not_a_number_is_reported(estimator):
    parameters, start = slds(4, 2, 2)
    nan = parameters.recognition.linear.at[1, 0].set(jnp.nan)
    broken = eqx.tree_at(lambda p: p.recognition.linear, parameters, nan)
    found = jax.jit(lambda p, x: estimator(SLDS(), notebook_objective, p, x))(broken, start)
    assert name_of(found.info.status) == "nonfinite"


def test_wrong_arguments():
    parameters, start = slds(2, 1, 2)
    with pytest.raises(ValueError, match="sweeps: expected at least 1, found 0"):
        unrolled(SLDS(), notebook_objective, parameters, start, sweeps=0)
    with pytest.raises(ValueError, match="max_products: expected at least 4, found 3"):
        bicgstab(SLDS(), notebook_objective, parameters, start, max_products=3)


def test_wrong_dampings_and_tolerances():
    parameters, start = slds(3, 1, 2)
    for damping in (0, -1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="damping: expected a number above 0, at most 1, found"):
            richardson(SLDS(), elbo, parameters, start, damping=damping)
    with pytest.raises(ValueError, match="tolerance: expected at least 0, found nan"):
        unrolled_converged(SLDS(), notebook_objective, parameters, start, tolerance=float("nan"))


def test_a_traced_number_of_sweeps_below_one_counts_as_one():
    parameters, start = affine(size=3)

    @jax.jit
    def found(sweeps):
        return unrolled_converged(Affine(), _first, parameters, start, sweeps=sweeps, max_sweeps=8)

    one = found(1)
    for sweeps in (0, -3):
        np.testing.assert_array_equal(found(sweeps).gradient["matrix"], one.gradient["matrix"])
    assert int(found(100).info.products) == 8


def _first(_, posterior):
    return posterior["state"]["head"][0]


@pytest.mark.parametrize(("value", "dtype"), [(1, "int"), (jnp.ones(2), "float")])
def test_an_objective_that_is_no_scalar_in_floating_point(value, dtype):
    parameters, start = affine(size=3)
    with pytest.raises(TypeError, match=f"objective: expected a scalar in floating point, found shape .* in {dtype}"):
        bicgstab(Affine(), lambda *_: value, parameters, start)


def test_a_constant_objective_has_no_gradient():
    parameters, start = affine(size=3)
    found = bicgstab(Affine(), lambda *_: 1.0, parameters, start)
    assert float(found.value) == 1
    assert not np.any(ravel_pytree(found.gradient)[0])


def test_an_objective_may_hold_a_loop():
    """A cotangent of zero handed to a scan once failed in JAX; unrolled sweeps know nothing of the adjoint."""

    def discounted(parameters, posterior):
        def step(carry, entry):
            cross_moment, mean = entry
            carry = 0.1 * cross_moment @ carry + mean
            return carry, carry

        gaussian = posterior.gaussian
        entries = gaussian.cross_moment, gaussian.mean[1:]
        return jnp.sum(lax.scan(step, jnp.zeros_like(gaussian.mean[0]), entries, reverse=True)[1] ** 2)

    parameters, start = slds(*SIZE)
    state = infer(parameters, start).state
    found = jax.jit(lambda p, x: fisher_cg(SLDS(), discounted, p, x, tolerance=1e-13))(parameters, state)
    wanted = jax.jit(lambda p, x: unrolled(SLDS(), discounted, p, x, sweeps=MANY))(parameters, start).gradient
    expected = ravel(wanted)
    np.testing.assert_allclose(ravel(found.gradient), expected, rtol=0, atol=1e-9 * np.abs(expected).max())


@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_each_chain_is_linearised_once():
    """The products' programs and the final pass linearise the same sweep: the compiled program must hold it once."""
    parameters, start = slds(*SIZE)
    program = jax.jit(lambda p, x: fisher_cg(SLDS("native"), OBJECTIVES["linear"], p, x))
    text = program.lower(parameters, start).compile().as_text()
    assert text.count('custom_call_target="slds_gaussian_linearise"') == 1
    assert text.count('custom_call_target="slds_hmm_linearise"') == 1
