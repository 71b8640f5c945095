"""The warm start beside what is known of its data: variances and directions, places and steps, and which clustering fits best."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import as_jax
from tolerances import DTYPE

from slds_core.learning import Batch, prior_factors, warm_start
from slds_core.learning.warm_start import cluster_transitions, principal_components

STEPS, CHANNELS = 60, 4
# the path is float64 NumPy in any case, the decoder in JAX's own precision
RTOL = 1e-11 if jnp.float64 == DTYPE else 1e-6


def correlated(seed=0):
    generator = np.random.default_rng(seed)
    return generator.standard_normal((STEPS, CHANNELS)) @ generator.standard_normal((CHANNELS, CHANNELS)) + 3


def test_components_are_the_covariance_s_eigenvectors():
    values = correlated()
    decoder, path = principal_components(values, np.ones_like(values, bool), 2)
    variances, directions = np.linalg.eigh(np.cov(values.T, bias=True))
    leading = directions[:, :-3:-1] * np.sqrt(variances[:-3:-1])
    np.testing.assert_allclose(decoder.offset, values.mean(0), rtol=RTOL)
    np.testing.assert_allclose(np.abs(decoder.loading), np.abs(leading), rtol=0, atol=10 * RTOL)  # signs are free
    # scores have mean zero, variance one, and no correlation
    np.testing.assert_allclose(path.mean(0), 0, rtol=0, atol=1e-12)
    np.testing.assert_allclose(path.T @ path / STEPS, np.eye(2), rtol=0, atol=1e-12)
    # by channel the noise is what the other components add to its variance
    noise = directions[:, :2] ** 2 @ variances[:2]
    np.testing.assert_allclose(np.exp(-np.asarray(decoder.log_precision)), noise, rtol=10 * RTOL)


def test_missing_entries_are_those_of_the_plane_that_all_steps_lie_in():
    """Two components without noise, six channels of equal share in them, one entry missing from every other step: each pass leaves
    a third of the error."""
    generator = np.random.default_rng(1)
    angles = np.pi / 3 * np.arange(6)
    values = generator.standard_normal((STEPS, 2)) @ np.stack([np.cos(angles), np.sin(angles)]) + 3
    observed = np.ones(values.shape, bool)
    observed[np.arange(0, STEPS, 2), generator.integers(6, size=STEPS // 2)] = False
    decoder, path = principal_components(np.where(observed, values, np.nan), observed, 2)
    rebuilt = path @ np.asarray(decoder.loading, np.float64).T + np.asarray(decoder.offset, np.float64)
    np.testing.assert_allclose(rebuilt, values, rtol=0, atol=100 * RTOL)
    np.testing.assert_allclose(path.T @ path / STEPS, np.eye(2), rtol=0, atol=1e-12)


def test_no_channel_is_free_of_noise():
    """One component holds all there is to two channels; a thousandth of their observed variance is left to noise."""
    values = np.outer(np.sin(np.arange(20.0)), [1.0, -2.0])
    decoder, _ = principal_components(values, np.ones_like(values, bool), 1)
    np.testing.assert_allclose(np.exp(-np.asarray(decoder.log_precision)), 1e-3 * values.var(0), rtol=RTOL)


def test_dimensions_beyond_the_components_are_small():
    """Three dimensions for two channels: the first two hold all, the third has something to start from."""
    values = correlated()[:, :2]
    decoder, path = principal_components(values, np.ones_like(values, bool), 3)
    loading = np.asarray(decoder.loading, np.float64)
    rebuilt = path[:, :2] @ loading[:, :2].T + np.asarray(decoder.offset, np.float64)
    np.testing.assert_allclose(rebuilt, values, rtol=10 * RTOL)
    assert 0 < np.abs(loading[:, 2]).max() < 0.5
    assert path[:, 2].std() < 0.2


def plateaus(lengths, levels):
    """Returns a path in one dimension that stays at a level for so many steps, then jumps."""
    return np.repeat(np.array(levels, float), lengths)[:, None]


def same_partition(found, wanted):
    """Whether two labellings by 0 and 1 are the same up to names."""
    return np.array_equal(found, wanted) or np.array_equal(found, 1 - np.asarray(wanted))


def test_places_are_told_apart_in_each_sequence_alone():
    """The second sequence begins where the first does not end: nothing is averaged across, and no step leads from one to the other."""
    path = plateaus([20, 15], [0, 10])
    found = cluster_transitions(path, (20, 15), 2, np.random.default_rng(0))
    assert same_partition(found, np.repeat([0, 1], [19, 14]))


def test_steps_are_told_apart_where_places_are_the_same():
    """Eight steps up, eight steps down, and so on: labels are those of the direction, but for the two at a turn that averages blur."""
    steps = np.tile(np.repeat([1.0, -1.0], 8), 5)
    path = np.concatenate([[0.0], np.cumsum(steps)])[:, None]
    found = cluster_transitions(path, (len(path),), 2, np.random.default_rng(0))
    inner = np.tile(np.isin(np.arange(8), range(2, 6)), 10)
    assert same_partition(found[inner], (steps < 0).astype(int)[inner])


@pytest.mark.parametrize(("lengths", "states"), [((1, 3, 1), 2), ((2, 1), 3), ((1, 1), 2), ((4,), 1)])
def test_each_transition_has_a_label_however_few_there_are(lengths, states):
    path = np.random.default_rng(0).standard_normal((sum(lengths), 2))
    found = cluster_transitions(path, lengths, states, np.random.default_rng(0))
    assert found.shape == (sum(lengths) - len(lengths),)
    assert np.all((found >= 0) & (found < states))


def test_the_best_of_several_clusterings_is_kept(monkeypatch):
    """A path whose steps are even in one half and swing in the other. Of three clusterings the second is by halves, the others mix them:
    one iteration leaves what each began with."""
    values = np.concatenate([0.2 * np.arange(30.0), 6 - np.sin(np.arange(30.0))])[:, None]
    batch = Batch(as_jax(values[None]), jnp.ones((1, STEPS, 1), bool), (STEPS,))
    prior = as_jax(jax.tree.map(np.asarray, prior_factors(1, 2)))
    halves, mixed = np.repeat([0, 1], [30, 29]), np.arange(STEPS - 1) // 4 % 2
    given = iter([mixed, halves, mixed])
    module = sys.modules["slds_core.learning.warm_start"]  # in the package the name is the function's
    monkeypatch.setattr(module, "cluster_transitions", lambda *_: next(given))
    found = warm_start(batch, prior, restarts=3, iterations=1)
    assert np.mean(np.argmax(found.marginals, axis=1) == halves) > 0.9  # else 0.56
