"""Changes of states against NumPy, of states so large that XLA passes over NaN where it takes a maximum."""

import jax
import numpy as np
import pytest
from tolerances import DTYPE

from slds_core.chains.packing import owners, split, transitions
from slds_core.fixed_point.residual import change, change_by_sequence
from slds_core.models.slds import SLDSSequences

LENGTHS = (2001, 1001, 2, 1501)
OWNERS = owners(transitions(LENGTHS))


@pytest.fixture
def states():
    generator = np.random.default_rng(0)
    return generator.standard_normal((2, OWNERS.size, 3)).astype(DTYPE)


def test_the_change_is_that_of_all_entries(states):
    found = jax.jit(change)(*states)
    difference = np.abs(states[0] - states[1])
    np.testing.assert_allclose([found.mean, found.maximum], [difference.mean(), difference.max()], rtol=1e-6)


def test_the_change_of_each_sequence_is_that_of_it_alone(states):
    found = by_sequence(*states)
    new, old = (split(transitions(LENGTHS), state) for state in states)
    for number in range(len(LENGTHS)):
        alone = change(new[number], old[number])
        np.testing.assert_allclose(found.mean[number], alone.mean, rtol=1e-5)
        assert found.maximum[number] == alone.maximum


@pytest.mark.parametrize("entry", [(0, 0), (2500, 1), (-1, 2)])
def test_one_bad_entry_is_told_of_its_sequence_alone(states, entry):
    states[0][entry] = np.nan
    found = jax.jit(change)(*states)
    assert np.isnan([found.mean, found.maximum]).all()
    found = by_sequence(*states)
    bad = np.arange(4) == OWNERS[entry[0]]
    np.testing.assert_array_equal(np.isnan(found.mean), bad)
    np.testing.assert_array_equal(np.isnan(found.maximum), bad)


def by_sequence(new, old):
    return jax.jit(lambda new, old: change_by_sequence(SLDSSequences(LENGTHS), new, old))(new, old)
