"""Gradient estimators against linear algebra, finite differences and each other."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from problems import Affine, affine, direction_like, slds
from tolerances import DTYPE, EPS, ravel

from slds_core.fixed_point import coordinate_ascent
from slds_core.fixed_point.status import name_of
from slds_core.gradients import bicgstab, unrolled
from slds_core.models.slds import SLDS
from slds_core.objectives.generic import elbo, linear
from slds_core.objectives.notebook import notebook_objective

pytestmark = pytest.mark.skipif(DTYPE != jnp.float64, reason="tolerances are those of float64")

OBJECTIVES = {"linear": linear(SLDS(), seed=3), "notebook": notebook_objective, "elbo": elbo(SLDS())}
on_objectives = pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
MANY = 400  # sweeps after which these models stand still to rounding


@pytest.fixture(scope="module", params=[0, 1])
def converged(request):
    """An SLDS at its fixed point."""
    parameters, start = slds(6, 2, 3, seed=request.param)
    inference = coordinate_ascent(SLDS(), parameters, start, max_sweeps=MANY)
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
    through_sweep = jax.jit(lambda p, w: jax.vjp(lambda q: sweep(q, flat), p)[1](w)[0])(parameters, jnp.asarray(adjoint))
    return jax.tree.map(jnp.add, explicit, through_sweep)


@on_objectives
@pytest.mark.parametrize("sweeps", [1, 4])
def test_unrolled_against_finite_differences(objective, sweeps):
    parameters, start = slds(6, 2, 3)
    found = jax.jit(lambda p: unrolled(SLDS(), objective, p, start, sweeps=sweeps))(parameters)
    assert name_of(found.info.status) == "exact_derivative"
    assert int(found.info.products) == sweeps
    assert np.isnan(found.info.residual)

    @jax.jit
    def value(parameters):
        return objective(parameters, coordinate_ascent(SLDS(), parameters, start, max_sweeps=sweeps).posterior)

    assert float(found.value) == pytest.approx(float(value(parameters)), rel=1e-13)
    scale = np.linalg.norm(ravel(found.gradient))
    for direction in (along_own(found.gradient), direction_like(parameters, 1)):
        slope = ravel(direction) @ ravel(found.gradient)
        assert central_difference(value, parameters, direction, 1e-6) == pytest.approx(slope, rel=0, abs=1e-6 * scale)


@on_objectives
def test_bicgstab_against_a_dense_solve(converged, objective):
    parameters, state, _ = converged
    found = jax.jit(lambda p, x: bicgstab(SLDS(), objective, p, x, tolerance=1e-13))(parameters, state)
    expected = dense_implicit_gradient(SLDS(), objective, parameters, state)
    # residual 1e-13 and rounding, amplified by (I - Jᵀ)⁻¹
    assert relative_error(found.gradient, expected) < 1e-10
    assert int(found.info.products) >= 1


@on_objectives
def test_bicgstab_against_the_whole_map(converged, objective):
    """Finite differences of parameters ↦ objective at the fixed point that belongs to them."""
    parameters, state, _ = converged
    found = jax.jit(lambda p, x: bicgstab(SLDS(), objective, p, x, tolerance=1e-12))(parameters, state)

    @jax.jit
    def value(parameters):
        return objective(parameters, coordinate_ascent(SLDS(), parameters, state, max_sweeps=MANY).posterior)

    scale = np.linalg.norm(ravel(found.gradient))
    direction = along_own(found.gradient)
    assert central_difference(value, parameters, direction) == pytest.approx(scale, rel=1e-6)


def test_bicgstab_equals_many_sweeps_unrolled(converged):
    parameters, state, start = converged
    implicit = jax.jit(lambda p, x: bicgstab(SLDS(), notebook_objective, p, x, tolerance=1e-13))(parameters, state)
    explicit = jax.jit(lambda p, x: unrolled(SLDS(), notebook_objective, p, x, sweeps=MANY))(parameters, start)
    assert float(implicit.value) == pytest.approx(float(explicit.value), rel=1e-12)
    assert relative_error(implicit.gradient, explicit.gradient) < 1e-10


def test_envelope_theorem(converged):
    """At a fixed point the bound's gradient is its explicit derivative: no adjoint is needed."""
    parameters, state, _ = converged
    problem = SLDS()
    found = bicgstab(problem, elbo(problem), parameters, state)
    explicit = jax.grad(lambda p: problem.elbo(problem.posterior(p, state)))(parameters)
    assert relative_error(found.gradient, explicit) < 1e-12


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
        lambda _, posterior: weights[0] * posterior["head"][0] + jnp.asarray(weights[1:]) @ posterior["tail"],
        parameters,
        coordinate_ascent(Affine(), parameters, start, max_sweeps=100).state,
    )
    assert float(found.value) == pytest.approx(weights @ x, rel=1e-13)
    np.testing.assert_allclose(found.gradient["offset"], adjoint, rtol=1e-12)
    np.testing.assert_allclose(found.gradient["matrix"], np.outer(adjoint, x), rtol=1e-12)


def test_product_limit(converged):
    parameters, state, _ = converged
    found = bicgstab(SLDS(), notebook_objective, parameters, state, tolerance=1e-12, max_products=2)
    assert name_of(found.info.status) == "product_limit"
    assert int(found.info.products) == 3  # one iteration, and the true residual
    assert 1e-11 < float(found.info.residual) < 1


def test_unreachable_tolerance_is_not_called_solved(converged):
    parameters, state, _ = converged
    found = bicgstab(SLDS(), notebook_objective, parameters, state, tolerance=1e-30, max_products=200)
    assert name_of(found.info.status) in ("product_limit", "stagnated", "nonfinite")


@pytest.mark.parametrize("estimator", [partial(unrolled, sweeps=2), bicgstab])
def test_not_a_number_is_reported(estimator):
    parameters, start = slds(4, 2, 2)
    nan = parameters.recognition.linear.at[1, 0].set(jnp.nan)
    broken = eqx.tree_at(lambda p: p.recognition.linear, parameters, nan)
    found = estimator(SLDS(), notebook_objective, broken, start)
    assert name_of(found.info.status) == "nonfinite"


def test_wrong_arguments():
    parameters, start = slds(2, 1, 2)
    with pytest.raises(ValueError, match="sweeps: expected at least 1, found 0"):
        unrolled(SLDS(), notebook_objective, parameters, start, sweeps=0)
    with pytest.raises(ValueError, match="max_products: expected at least 2, found 1"):
        bicgstab(SLDS(), notebook_objective, parameters, start, max_products=1)
