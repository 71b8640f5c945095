"""How close is close: multiples of the machine epsilon, relative to the largest entry that is expected."""

import jax
import jax.numpy as jnp
import numpy as np

DTYPE = jnp.result_type(float)  # conftest chose it
EPS = float(jnp.finfo(DTYPE).eps)


def assert_close(actual, expected, *, ulps, scale=None):
    """Asserts that two trees of arrays agree leaf by leaf, to ``ulps`` machine epsilons of the leaf's largest entry.

    Args:
        actual, expected: trees of the same leaves; the containers may differ.
        ulps: how many epsilons.
        scale: what the epsilons are relative to, where it is not the expected leaf's largest entry.
    """
    actual, expected = jax.tree.leaves(actual), jax.tree.leaves(expected)
    assert len(actual) == len(expected)
    for found, wanted in zip(actual, expected, strict=True):
        found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
        assert found.shape == wanted.shape
        unit = np.max(np.abs(wanted), initial=0.0) if scale is None else scale
        np.testing.assert_allclose(found, wanted, rtol=0, atol=ulps * EPS * unit)


def dense(tree):
    """Returns a tree's arrays in float64 NumPy, for an oracle."""
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


def ravel(tree):
    """Returns all entries of a tree as one float64 vector."""
    return np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(tree)])
