"""The original's two gradients against its rules written out in dense NumPy, on a Boltzmann machine.

What is reproduced is the original's behaviour, its faults included, so its constants stand here too: damping ½, a limit of 100 on
the residual, as many iterations as sweeps. With the means of both layers side by side the coupled map is
``(y, x) ↦ (tanh(W x + a), tanh(Wᵀ y + b))``. Its Jacobian is ``[[0, D W], [E Wᵀ, 0]]``, where ``D`` and ``E`` hold ``1 - tanh²``.
"""

from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import as_jax
from tolerances import DTYPE, ravel

from slds_core.fixed_point.status import name_of
from slds_core.gradients import original_bicgstab, original_itersolve
from slds_core.testing import boltzmann

pytestmark = pytest.mark.skipif(jnp.float64 != DTYPE, reason="tolerances are those of float64")

CASE = boltzmann()
PARAMETERS, START = CASE.instances[0]
HIDDEN = PARAMETERS.hidden_bias.size
TOLERANCE = 1e-5
ENOUGH = 100  # sweeps, and iterations, that reach the tolerance
ROUNDING = 1e-13  # relative: some tens of products of seven terms, with nothing to amplify their rounding


class Dense(NamedTuple):
    """Where the sweeps ended, and the coupled system there."""

    sweeps: int
    hidden: np.ndarray  # y of the last sweep
    visible: np.ndarray  # x after it
    jacobian: np.ndarray  # of both layers together
    cotangent: np.ndarray

    def residual(self, adjoint, weight=1.0):
        return weight * self.cotangent + self.jacobian.T @ adjoint - adjoint

    def gradient(self, adjoint, weight=1.0):
        """Returns the derivative of the objective times ``weight`` in W, a and b, as one vector."""
        at_hidden = adjoint[:HIDDEN] * (1 - np.tanh(PARAMETERS.weight @ self.visible + PARAMETERS.hidden_bias) ** 2)
        at_visible = adjoint[HIDDEN:] * (1 - self.visible**2)
        couplings = np.outer(at_hidden, self.visible) + np.outer(self.hidden, at_visible)
        return ravel([weight * PARAMETERS.weight + couplings, at_hidden, at_visible])


@cache
def dense(max_sweeps=ENOUGH, tolerance=TOLERANCE):
    """Sweeps until the notebook's KL stands still in relation to itself, or the sweeps run out."""
    coupling, bias_y, bias_x = PARAMETERS.weight, PARAMETERS.hidden_bias, PARAMETERS.visible_bias
    x, kl, sweeps, change = START, np.nan, 0, np.inf
    while sweeps < max_sweeps and not change < tolerance:  # NaN in the first sweep
        before, kl_before = x, kl
        field_y = coupling @ before + bias_y
        y = np.tanh(field_y)
        message = coupling.T @ y
        x = np.tanh(message + bias_x)
        log_partitions = np.sum(np.log(2 * np.cosh(field_y))) + np.sum(np.log(2 * np.cosh(message + bias_x)))
        kl = message @ (x - before) - (log_partitions - message @ before)
        sweeps, change = sweeps + 1, abs((kl - kl_before) / kl_before)
    slope_y, slope_x = 1 - np.tanh(coupling @ x + bias_y) ** 2, 1 - x**2
    jacobian = np.zeros((y.size + x.size,) * 2)
    jacobian[: y.size, y.size :] = slope_y[:, None] * coupling
    jacobian[y.size :, : y.size] = slope_x[:, None] * coupling.T
    # the objective: 1 y₁ + 2 y₂ + … + 7 x₄ + |x|² + ½ |W|²
    cotangent = np.arange(1.0, 8.0) + np.concatenate([np.zeros_like(y), 2 * x])
    return Dense(sweeps, y, x, jacobian, cotangent)


def richardson(system, limit, weight=1.0, tolerance=TOLERANCE):
    """Returns the last damped iterate, and its number. The tolerance is of the mean of both layers' mean squared changes."""
    adjoint, count, change = weight * system.cotangent, 0, np.inf
    while count < limit and change > tolerance:
        step = 0.5 * system.residual(adjoint, weight)
        change = (np.mean(step[:HIDDEN] ** 2) + np.mean(step[HIDDEN:] ** 2)) / 2
        adjoint, count = adjoint + step, count + 1
    return adjoint, count


def bicgstab(system, iterations):
    """Van der Vorst's method from a start of zero, without a stopping rule."""
    matrix = np.eye(len(system.cotangent)) - system.jacobian.T
    shadow = residual = direction = system.cotangent
    found = np.zeros_like(residual)
    for _ in range(iterations):
        product = matrix @ direction
        step = (shadow @ residual) / (shadow @ product)
        halfway = residual - step * product
        second = matrix @ halfway
        smoothing = (second @ halfway) / (second @ second)
        found = found + step * direction + smoothing * halfway
        before, residual = shadow @ residual, halfway - smoothing * second
        turn = (shadow @ residual) / before * step / smoothing
        direction = residual + turn * (direction - smoothing * product)
    return found


@cache
def program(estimator, **settings):
    def estimate(parameters, state, weight):
        scaled = lambda *given: weight * CASE.objective(*given)
        return estimator(CASE.problem, scaled, parameters, state, **settings)

    return jax.jit(estimate)


def run(estimator, weight=1.0, *, max_sweeps=ENOUGH, tolerance=TOLERANCE, **settings):
    """Returns an estimate for the objective times ``weight``."""
    estimate = program(estimator, max_sweeps=max_sweeps, tolerance=tolerance, **settings)
    return estimate(*as_jax((PARAMETERS, START)), weight)


def assert_same(found, wanted, rtol=ROUNDING):
    """Asserts that a gradient is as expected, up to ``rtol`` of its length."""
    np.testing.assert_allclose(ravel(found.gradient), wanted, rtol=0, atol=rtol * np.linalg.norm(wanted))


@pytest.mark.parametrize("max_sweeps", [1, 3])
def test_iterations_end_with_the_sweeps(max_sweeps):
    system = dense(max_sweeps)
    adjoint, count = richardson(system, max_sweeps)
    found = run(original_itersolve, max_sweeps=max_sweeps, fallback=False)
    assert count == system.sweeps == max_sweeps
    assert_same(found, system.gradient(adjoint))
    assert int(found.info.products) == count + 1  # the residual's
    wanted = np.linalg.norm(system.residual(adjoint)) / np.linalg.norm(system.cotangent)
    assert float(found.info.residual) == pytest.approx(wanted, rel=1e-12)
    assert name_of(found.info.status) == "approximate"


@pytest.mark.parametrize("tolerance", [1e-2, TOLERANCE])
def test_iterations_end_when_they_move_by_less_than_the_tolerance(tolerance):
    """The forward pass ends before the limit too: nothing falls back."""
    system = dense(tolerance=tolerance)
    adjoint, count = richardson(system, ENOUGH, tolerance=tolerance)
    found = run(original_itersolve, tolerance=tolerance)
    assert max(count, system.sweeps) < ENOUGH
    assert int(found.info.products) == count + 1
    assert_same(found, system.gradient(adjoint))
    assert name_of(found.info.status) == "approximate"


@pytest.mark.parametrize("spare", [-1, 0, 1])
def test_falls_back_just_where_the_sweeps_run_out(spare):
    """The last sweep counts as running out even where it met the tolerance."""
    limit = dense().sweeps + spare
    system = dense(limit)
    found = run(original_itersolve, max_sweeps=limit)
    adjoint = system.cotangent if spare <= 0 else richardson(system, limit)[0]
    assert name_of(found.info.status) == ("fell_back" if spare <= 0 else "approximate")
    assert_same(found, system.gradient(adjoint))


@pytest.mark.parametrize("factor", [0.999, 1.001])
def test_falls_back_where_the_residual_exceeds_a_hundred(factor):
    """In root mean square of all entries. The objective's weight is chosen so that the sweeps suffice, and the iterations do not."""
    limit = dense().sweeps + 1
    # cut off by the limit the iterates are linear in the weight
    cut_off, _ = richardson(dense(), limit, tolerance=0.0)
    weight = factor * 100 / np.sqrt(np.mean(dense().residual(cut_off) ** 2))
    found = run(original_itersolve, weight, max_sweeps=limit)
    adjoint = weight * (cut_off if factor < 1 else dense().cotangent)
    assert name_of(found.info.status) == ("approximate" if factor < 1 else "fell_back")
    assert_same(found, dense().gradient(adjoint, weight))


def test_falls_back_where_iterates_are_no_numbers():
    """A weight at which the cotangent is just finite, and the adjoint, some times as long, is not."""
    weight = 2e307
    found = run(original_itersolve, weight)
    assert name_of(found.info.status) == "fell_back"
    np.testing.assert_allclose(ravel(found.gradient), dense().gradient(weight * dense().cotangent, weight), rtol=1e-12)


@pytest.mark.parametrize("max_sweeps", [1, 3])
def test_bicgstab_takes_as_many_iterations_as_sweeps(max_sweeps):
    """And never falls back."""
    system = dense(max_sweeps)
    found = run(original_bicgstab, max_sweeps=max_sweeps)
    assert_same(found, system.gradient(bicgstab(system, max_sweeps)), rtol=1e-12)  # quotients of inner products
    assert int(found.info.products) == 2 * max_sweeps + 1
    assert name_of(found.info.status) == "approximate"


def test_bicgstab_given_time_solves_the_system():
    """To JAX's own tolerance: a relative residual of 1e-5, which the inverse amplifies at most by its norm, 5.5."""
    system = dense(tolerance=0.0)
    exact = np.linalg.solve(np.eye(len(system.cotangent)) - system.jacobian.T, system.cotangent)
    found = run(original_bicgstab, tolerance=0.0)
    assert float(found.info.residual) <= 1e-5
    assert_same(found, system.gradient(exact), rtol=6e-5)
