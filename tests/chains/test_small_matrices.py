"""Algebra of small matrices without a library call, beside NumPy's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import as_jax, positive_definite
from tolerances import assert_close

from slds_core.chains.small_matrices import cholesky_factor, fused_inverse


@pytest.mark.parametrize("size", [1, 2, 5, 14])
def test_factor_and_inverse(size):
    matrix = positive_definite(np.random.default_rng(size), size, (3,))
    assert_close(cholesky_factor(as_jax(matrix)), np.linalg.cholesky(matrix), ulps=200)
    assert_close(fused_inverse(as_jax(matrix)), np.linalg.inv(matrix), ulps=200)


def test_an_indefinite_matrix_has_no_finite_factor():
    matrix = as_jax(np.array([[1.0, 2.0], [2.0, 1.0]]))
    assert not jnp.all(jnp.isfinite(cholesky_factor(matrix)))
    assert jnp.all(jnp.isnan(fused_inverse(matrix)))


def test_the_factors_derivative_is_that_of_the_library():
    generator = np.random.default_rng(0)
    matrix, weight = as_jax((positive_definite(generator, 4), generator.standard_normal((4, 4))))
    own, known = (
        jax.grad(lambda a, f=factor: jnp.vdot(weight, f(0.5 * (a + a.T))))(matrix)
        for factor in (cholesky_factor, lambda a: jnp.linalg.cholesky(a, symmetrize_input=False))
    )
    assert_close(own, known, ulps=500)
