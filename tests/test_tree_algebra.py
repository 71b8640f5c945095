"""Vector algebra on trees against NumPy on the flat vectors, trees without entries included."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import DTYPE, ravel

from slds_core.study.trees import finite
from slds_core.trees import all_finite, inner, largest, norm, size


def test_trees_are_their_flat_vectors():
    generator = np.random.default_rng(0)
    a, b = (
        {"x": jnp.asarray(generator.standard_normal((2, 3))), "y": jnp.zeros((0, 4)), "z": jnp.array(-2.5)}
        for _ in range(2)
    )
    np.testing.assert_allclose(inner(a, b), ravel(a) @ ravel(b), rtol=1e-5)
    np.testing.assert_allclose(norm(a), np.linalg.norm(ravel(a)), rtol=1e-5)
    assert largest(a) == np.abs(ravel(a)).max()
    assert size(a) == 7


@pytest.mark.parametrize("size", [10, 10_000])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 5, -1])
def test_what_is_not_finite_passes(size, bad, place):
    """XLA's own maximum of many entries passes over NaN on CPUs."""
    entries = np.linspace(-1, 1, size)
    assert all_finite(entries)
    assert finite({"entries": entries, "none": ()})
    entries[place] = bad
    assert not jax.jit(all_finite)(entries)
    assert not finite((1.0, jnp.asarray(entries)))
    np.testing.assert_equal(float(jax.jit(largest)(entries)), abs(bad))


@pytest.mark.parametrize("empty", [(), {}, {"x": jnp.zeros((0, 3))}], ids=["no leaves", "no names", "no entries"])
def test_trees_without_entries(empty):
    for found in (inner(empty, empty), norm(empty), largest(empty)):
        assert found == 0
        assert found.shape == ()
        assert found.dtype == DTYPE
    assert all_finite(empty)
    assert size(empty) == 0
