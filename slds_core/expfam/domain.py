"""Domains of the families: parameters may be traced, so that instead of an error what lies outside gives NaN."""

import jax.numpy as jnp
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, Float


def above(bound: float, values: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Returns the values, NaN where one is not above the bound."""
    return values + jnp.where(values > bound, 0, jnp.nan)  # a sum, so that the derivative is NaN too


def inverse(matrix: Float[Array, "row row"]) -> Float[Array, "row row"]:
    """Returns the inverse, NaN if the matrix is not positive definite."""
    return cho_solve((jnp.linalg.cholesky(matrix), True), jnp.eye(matrix.shape[0], dtype=matrix.dtype))


def log_determinant(matrix: Float[Array, "row row"]) -> Float[Array, ""]:
    """Returns the log-determinant, NaN if the matrix is not positive definite."""
    return 2 * jnp.sum(jnp.log(jnp.diagonal(jnp.linalg.cholesky(matrix))))
