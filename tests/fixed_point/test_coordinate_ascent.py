"""Coordinate ascent against a plain Python loop, on an SLDS and on a stranger's model."""

from functools import partial
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import Affine, affine, slds
from tolerances import EPS, assert_close

from slds_core.fixed_point import InferenceStatus, coordinate_ascent, fixed_point_residual
from slds_core.fixed_point.status import name_of
from slds_core.models.slds import SLDS

PROBLEMS = {"slds": (SLDS(), partial(slds, 6, 2, 3, seed=1)), "affine": (Affine(), affine)}
on_problems = pytest.mark.parametrize("name", PROBLEMS)


def plain_loop(problem, parameters, state, sweeps):
    """Returns the states, and the bound of each sweep."""
    posterior = jax.jit(problem.posterior)
    states, bounds = [state], []
    for _ in range(sweeps):
        found = posterior(parameters, states[-1])
        states.append(problem.state(found))
        bounds.append(float(problem.elbo(found)))
    return states, bounds


@partial(jax.jit, static_argnums=0, static_argnames=("max_sweeps", "criterion"))
def ascend(problem, parameters, state, **settings):
    return coordinate_ascent(problem, parameters, state, **settings)


def flat(state):
    return np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(state)])


@on_problems
def test_all_sweeps_at_tolerance_zero(name):
    problem, make = PROBLEMS[name]
    parameters, start = make()
    states, bounds = plain_loop(problem, parameters, start, 7)
    inference = ascend(problem, parameters, start, max_sweeps=7)
    assert name_of(inference.status) == "sweep_limit"
    assert int(inference.sweeps) == 7
    assert_close(inference.state, states[-1], ulps=100)
    changes = np.array([np.abs(flat(new) - flat(old)) for old, new in pairwise(states)])
    assert_close(inference.trace.residual.mean, changes.mean(1), ulps=100, scale=1)
    assert_close(inference.trace.residual.maximum, changes.max(1), ulps=100, scale=1)
    assert_close(inference.trace.monitors["elbo"], np.array(bounds), ulps=100)
    once_more = plain_loop(problem, parameters, states[-1], 1)[0]
    residual = fixed_point_residual(problem, parameters, inference.state)
    assert_close(residual.maximum, np.max(np.abs(flat(once_more[1]) - flat(once_more[0]))), ulps=100, scale=1)


@on_problems
def test_stops_at_the_first_small_change(name):
    problem, make = PROBLEMS[name]
    parameters, start = make()
    inference = ascend(problem, parameters, start, max_sweeps=200, tolerance=1e-4)
    sweeps, change = int(inference.sweeps), np.asarray(inference.trace.residual.maximum)
    assert name_of(inference.status) == "converged"
    assert 1 < sweeps < 200
    assert np.all(change[: sweeps - 1] >= 1e-4)
    assert change[sweeps - 1] < 1e-4
    for series in jax.tree.leaves(inference.trace):
        assert series.shape == (200,)
        assert np.all(np.isnan(series[sweeps:]))
        assert np.all(np.isfinite(series[:sweeps]))


@pytest.mark.parametrize("criterion", ["elbo", "kl_notebook"])
def test_relative_change_of_a_monitor(criterion):
    parameters, start = slds(6, 2, 3)
    everything = ascend(SLDS(), parameters, start, max_sweeps=40).trace.monitors[criterion]
    values = np.asarray(everything, np.float64)
    relative = np.abs(np.diff(values) / values[:-1])
    expected = 2 + int(np.argmax(relative < 1e-4))  # sweeps are counted from one, changes begin at the second
    inference = ascend(SLDS(), parameters, start, max_sweeps=40, tolerance=1e-4, criterion=criterion)
    assert int(inference.sweeps) == expected
    assert name_of(inference.status) == "converged"


def test_a_monitor_that_stays_zero_has_converged():
    parameters, start = jax.tree.map(jnp.zeros_like, affine(size=3))
    inference = ascend(Affine(), parameters, start, max_sweeps=40, tolerance=1e-4, criterion="elbo")
    assert float(inference.trace.monitors["elbo"][0]) == 0
    assert name_of(inference.status) == "converged"
    assert int(inference.sweeps) == 2


def test_exact_limit():
    """The affine model's fixed point is a linear solve."""
    parameters, start = affine(size=5, contraction=0.5)
    inference = ascend(Affine(), parameters, start, max_sweeps=100)
    matrix, offset = (np.asarray(parameters[key], np.float64) for key in ("matrix", "offset"))
    assert_close(flat(inference.state), np.linalg.solve(np.eye(5) - matrix, offset), ulps=20)


def test_not_a_number_ends_inference():
    parameters, start = slds(6, 2, 3)
    broken = eqx.tree_at(
        lambda p: p.recognition.linear, parameters, parameters.recognition.linear.at[2, 0].set(jnp.nan)
    )
    inference = ascend(SLDS(), broken, start, max_sweeps=50, tolerance=1e-3)
    assert name_of(inference.status) == "nonfinite"
    assert int(inference.sweeps) == 1
    assert "positive definiteness" in InferenceStatus[inference.status]


def test_a_state_without_entries_converges_at_once():
    parameters, start = slds(1, 2, 3)
    inference = ascend(SLDS(), parameters, start, max_sweeps=9, tolerance=EPS)
    assert int(inference.sweeps) == 1
    assert name_of(inference.status) == "converged"


@pytest.mark.skipif(EPS > 1e-10, reason="needs two types")
def test_a_start_of_another_type_is_taken():
    parameters, start = slds(6, 2, 3, seed=1)
    found = ascend(SLDS(), parameters, start.astype(jnp.float32), max_sweeps=500, tolerance=1e-12)
    assert found.state.dtype == jnp.float64
    np.testing.assert_allclose(
        found.state, ascend(SLDS(), parameters, start, max_sweeps=500, tolerance=1e-12).state, rtol=0, atol=1e-10
    )


@pytest.mark.parametrize("shape", [(5, 2), (4, 3), (6, 3), (5,)])
def test_a_start_of_another_shape_is_refused(shape):
    parameters, _ = slds(6, 2, 3)
    with pytest.raises(ValueError, match=r"state: expected marginals of shape \(5, 3\), found"):
        coordinate_ascent(SLDS(), parameters, jnp.zeros(shape), max_sweeps=1)


def test_wrong_arguments():
    parameters, start = slds(2, 1, 2)
    with pytest.raises(ValueError, match="max_sweeps: expected at least 1, found 0"):
        coordinate_ascent(SLDS(), parameters, start, max_sweeps=0)
    with pytest.raises(ValueError, match=r"criterion: expected one of residual, .*kl_notebook.*, found 'elbow'"):
        coordinate_ascent(SLDS(), parameters, start, max_sweeps=1, criterion="elbow")


def test_another_tolerance_does_not_compile_anew():
    parameters, start = affine()
    traces = []

    @jax.jit
    def infer(tolerance):
        traces.append(tolerance)
        return coordinate_ascent(Affine(), parameters, start, max_sweeps=50, tolerance=tolerance).sweeps

    assert int(infer(1e-2)) < int(infer(1e-4))
    assert len(traces) == 1


def test_limits_are_whole_numbers():
    parameters, start = slds(2, 1, 2)
    with pytest.raises(ValueError, match=r"max_sweeps: expected a whole number, found 3\.0"):
        coordinate_ascent(SLDS(), parameters, start, max_sweeps=3.0)
