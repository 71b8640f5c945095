"""Measures of recovery: invariant to what they must not see, and right where the answer is known."""

import itertools

import numpy as np
import pytest
from recovery import Dynamics, in_basis_of, matched_states, recovery

from slds_core.evaluation.recovery import adjusted_rand_index


def known(seed=0, states=3, latent=2, channels=4):
    generator = np.random.default_rng(seed)
    dynamics = Dynamics(
        generator.standard_normal((states, latent, latent)), generator.standard_normal((states, latent))
    )
    return dynamics, generator.standard_normal((channels, latent)), generator.standard_normal(channels), generator


def test_adjusted_rand_index_by_its_definition():
    """The share of pairs on which two labellings agree, adjusted by its mean over all relabellings of the items."""
    a, b = np.array([0, 0, 1, 1, 2, 2, 2]), np.array([0, 0, 0, 1, 1, 2, 2])

    def together(a, b):
        return sum(a[i] == a[j] and b[i] == b[j] for i, j in itertools.combinations(range(len(a)), 2))

    chance = np.mean([together(a, np.array(order)) for order in itertools.permutations(b)])
    most = (together(a, a) + together(b, b)) / 2
    assert adjusted_rand_index(a, b) == pytest.approx((together(a, b) - chance) / (most - chance), rel=1e-12)
    assert adjusted_rand_index(a, (a + 1) % 3) == 1
    assert adjusted_rand_index(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])) == pytest.approx(-0.5)
    assert adjusted_rand_index(np.zeros(4, int), np.zeros(4, int)) == 1


@pytest.mark.parametrize("items", [0, 1])
def test_labellings_without_a_pair_are_the_same(items):
    assert adjusted_rand_index(np.zeros(items, int), np.ones(items, int)) == 1


def test_states_are_matched_by_all_permutations():
    generator = np.random.default_rng(0)
    found, true = generator.integers(4, size=(2, 200))
    names = matched_states(found, true, 4)
    best = max(np.mean(np.array(order)[found] == true) for order in itertools.permutations(range(4)))
    assert np.mean(names[found] == true) == best


def test_a_change_of_basis_is_undone():
    dynamics, loading, offset, generator = known()
    change, shift = generator.standard_normal((2, 2)), generator.standard_normal(2)  # z = change ẑ + shift
    back = np.linalg.inv(change)
    elsewhere = Dynamics(
        back @ dynamics.matrix @ change,
        (dynamics.offset + np.einsum("kij,j->ki", dynamics.matrix, shift) - shift) @ back.T,
    )
    found = in_basis_of(loading, offset, elsewhere, loading @ change, loading @ shift + offset)
    np.testing.assert_allclose(found.matrix, dynamics.matrix, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.offset, dynamics.offset, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="one rank and size"):
        in_basis_of(loading, offset, elsewhere, np.zeros_like(loading), offset)


def test_renamed_states_are_recovered_and_an_error_is_measured():
    dynamics, _, _, generator = known()
    true, before = generator.integers(3, size=50), generator.standard_normal((50, 2))
    order = np.array([2, 0, 1])
    renamed = Dynamics(dynamics.matrix[order], dynamics.offset[order])  # found state i is true state order[i]
    found = recovery(np.argsort(order)[true], renamed, true, dynamics, before)
    assert found.adjusted_rand_index == found.agreement == 1
    assert found.step_error == 0
    assert not found.matrix_error.any()
    # no motion at all is an error of one; a matrix scaled by 1.1 is off by a tenth
    still = Dynamics(np.tile(np.eye(2), (3, 1, 1)), np.zeros((3, 2)))
    assert recovery(true, still, true, dynamics, before).step_error == pytest.approx(1, rel=1e-12)
    scaled = Dynamics(1.1 * dynamics.matrix, dynamics.offset)
    np.testing.assert_allclose(recovery(true, scaled, true, dynamics, before).matrix_error, 0.1, rtol=1e-12)
