"""Changes of states against NumPy, of states so large that XLA passes over NaN where it takes a maximum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import Affine
from tolerances import DTYPE

from slds_core.chains.packing import owners, split, transitions
from slds_core.fixed_point import coordinate_ascent
from slds_core.fixed_point.residual import change, change_by_sequence
from slds_core.fixed_point.status import name_of
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


class BlindBound(Affine):
    """A model whose bound does not see its state, with ``A = I / 2``."""

    def posterior(self, parameters, state):
        new = 0.5 * state["tail"] + parameters["offset"]
        return {"state": {"head": state["head"], "tail": new}, "elbo": jnp.zeros((), new.dtype)}


def test_a_solver_tells_what_the_bound_does_not():
    offset = jnp.ones(10_000, DTYPE).at[5000].set(jnp.nan)
    start = {"head": jnp.zeros(1, DTYPE), "tail": jnp.zeros(10_000, DTYPE)}
    infer = jax.jit(lambda p, s: coordinate_ascent(BlindBound(), p, s, max_sweeps=100, tolerance=1e-3))
    found = infer({"offset": offset}, start)
    assert name_of(found.status) == "nonfinite"


def by_sequence(new, old):
    return jax.jit(lambda new, old: change_by_sequence(SLDSSequences(LENGTHS), new, old))(new, old)
