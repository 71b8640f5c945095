"""The stage ``residual``: rates of traces that are known, and the envelope defect beside finite differences in NumPy."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from problems import as_jax
from tolerances import DTYPE, ravel

from slds_core.study.stages.residual import _measure, _measured_rate
from slds_core.testing import boltzmann


def inference(changes, plugin="coordinate_ascent"):
    """Returns as much of an inference's file as the rate is measured from."""
    return xr.Dataset(
        {"trace_residual_max": ("iteration", changes)}, attrs={"settings": json.dumps({"plugin": plugin})}
    )


@pytest.mark.parametrize("rate", [0.3, 0.95])
def test_the_rate_is_that_of_a_geometric_trace(rate):
    changes = 0.5 * rate ** np.arange(60.0)
    assert _measured_rate(inference(changes)) == pytest.approx(rate, rel=1e-12)


def test_the_rate_is_that_of_the_last_twenty_sweeps():
    """Fast components die out first, and the slowest is what remains."""
    changes = np.cumprod([1e-2, *[0.2] * 5, *[0.9] * 20])
    assert _measured_rate(inference(changes)) == pytest.approx(0.9, rel=1e-12)
    assert _measured_rate(inference(np.cumprod([1e-2, 0.2, *[0.9] * 19]))) == pytest.approx(
        (0.2 * 0.9**19) ** (1 / 20), rel=1e-12
    )


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_rounding_takes_no_part_in_the_rate(precision):
    """Residuals wander at rounding, here at 100 units of it."""
    epsilon = float(np.finfo(precision).eps)
    falling = 0.5 * 0.4 ** np.arange(100.0)
    changes = np.where(falling > 1000 * epsilon, falling, 100 * epsilon).astype(precision)
    assert _measured_rate(inference(changes)) == pytest.approx(0.4, rel=10 * epsilon)


@pytest.mark.parametrize(
    ("changes", "plugin"),
    [
        (0.5 ** np.arange(20.0), "newton_cg"),  # its steps are no sweeps
        (np.array([1e-1, 1e-2]), "coordinate_ascent"),  # too few
        (np.full(20, 1e-14), "coordinate_ascent"),  # all at rounding
        (np.zeros(0), "coordinate_ascent"),
    ],
)
def test_without_sweeps_to_measure_it_on_there_is_no_rate(changes, plugin):
    assert np.isnan(_measured_rate(inference(changes, plugin)))


CASE = boltzmann()
measure = jax.jit(lambda parameters, state: _measure(CASE.problem, parameters, state))


def bound(weight, hidden_bias, visible_bias, state):
    """The Boltzmann machine's bound after the first layer's update from a state and the second's from that, at that state."""
    field = weight @ state + hidden_bias
    message = weight.T @ np.tanh(field)
    fields = np.concatenate([field, message + visible_bias])
    return np.sum(np.logaddexp(fields, -fields)) - message @ state


def sweep(weight, hidden_bias, visible_bias, state):
    return np.tanh(weight.T @ np.tanh(weight @ state + hidden_bias) + visible_bias)


def slopes(function, arrays, number, step=1e-6):
    """Returns the derivative of a function in one of its arrays, by central differences."""

    def slope(index):
        up, down = (np.array(arrays[number]) for _ in range(2))
        up[index] += step
        down[index] -= step
        values = [function(*arrays[:number], moved, *arrays[number + 1 :]) for moved in (up, down)]
        return (values[0] - values[1]) / (2 * step)

    return np.array([slope(index) for index in np.ndindex(arrays[number].shape)])


@pytest.mark.skipif(jnp.float64 != DTYPE, reason="tolerances are those of float64")
@pytest.mark.parametrize("sweeps", [0, 5, 200])
def test_the_envelope_defect_is_what_one_adjoint_step_adds(sweeps):
    """``|(∂Φ/∂θ)ᵀ ∂L/∂x| / |∂L/∂θ|``. At the fixed point ``∂L/∂x`` is zero."""
    parameters, state = CASE.instances[0]
    arrays = parameters.weight, parameters.hidden_bias, parameters.visible_bias
    for _ in range(sweeps):
        state = sweep(*arrays, state)
    adjoint = slopes(bound, (*arrays, state), 3)
    explicit = [slopes(bound, (*arrays, state), number) for number in range(3)]
    added = [slopes(lambda *given: adjoint @ sweep(*given), (*arrays, state), number) for number in range(3)]
    wanted = np.linalg.norm(ravel(added)) / np.linalg.norm(ravel(explicit))
    residual, _, found, _ = measure(*as_jax((parameters, state)))
    # central differences: truncation and rounding of 1e-10 each
    assert float(found) == pytest.approx(wanted, rel=1e-6, abs=1e-9)
    assert (float(found) < 1e-13) == (sweeps == 200)
    assert float(residual.maximum) == pytest.approx(np.abs(sweep(*arrays, state) - state).max(), rel=1e-12, abs=1e-15)
