"""Algebra of small matrices, written so that XLA fuses it into the body of a loop instead of calling a library."""

import math

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, Float

# Up to this size fused arithmetic beats a library call in each step of a loop on a CPU (benchmarks/chains.py).
_LARGEST_FUSED = 12


def matmul(
    a: Float[Array, "*batch rows inner"], b: Float[Array, "*batch inner columns"]
) -> Float[Array, "*batch rows columns"]:
    """Returns ``a b``."""
    if max(*a.shape[-2:], b.shape[-1]) > _LARGEST_FUSED:
        return a @ b
    return jnp.sum(a[..., :, :, None] * b[..., None, :, :], axis=-2)


def apply(a: Float[Array, "*batch rows inner"], x: Float[Array, "*batch inner"]) -> Float[Array, "*batch rows"]:
    """Returns ``a x``."""
    return matmul(a, x[..., None])[..., 0]


def inverse_and_log_determinant(
    matrix: Float[Array, "*batch size size"],
) -> tuple[Float[Array, "*batch size size"], Float[Array, "*batch"]]:
    """Returns the inverse and the log-determinant of a symmetric positive definite matrix.

    Args:
        matrix: symmetric; both triangles are read.

    Returns:
        The inverse and the natural logarithm of the determinant; NaN throughout where a pivot is not positive, so that
        an indefinite matrix never yields a plausible number.
    """
    if matrix.shape[-1] <= _LARGEST_FUSED:
        inverse, log_determinant, positive = _gauss_jordan(matrix)
    else:
        inverse, log_determinant, positive = _cholesky(matrix)
    inverse = jnp.where(positive[..., None, None], inverse, math.nan)
    return inverse, jnp.where(positive, log_determinant, math.nan)


def fused_inverse(matrix: Float[Array, "*batch size size"]) -> Float[Array, "*batch size size"]:
    """Returns the inverse of a symmetric positive definite matrix without a library call, whatever the size; NaN where it is not.

    Args:
        matrix: symmetric; both triangles are read. The program grows with its size.
    """
    inverse, _, positive = _gauss_jordan(matrix)
    return jnp.where(positive[..., None, None], inverse, math.nan)


def cholesky_factor(matrix: Float[Array, "*batch size size"]) -> Float[Array, "*batch size size"]:
    """Returns the lower triangular ``L`` with ``L Lᵀ`` the matrix; NaN or infinity in it where a pivot is not positive.

    Args:
        matrix: symmetric positive definite; the lower triangle is read. There is no library call; the program grows with the size.
    """
    columns = []
    for k in range(matrix.shape[-1]):
        below = np.arange(matrix.shape[-1]) >= k
        column = jnp.where(below, matrix[..., :, k], 0.0) / jnp.sqrt(matrix[..., k, k])[..., None]
        columns.append(column)
        matrix = matrix - column[..., :, None] * column[..., None, :]
    return jnp.stack(columns, axis=-1)


def _gauss_jordan(matrix):
    """Eliminates in place by one rank-one update a pivot; no pivoting is needed for positive definite matrices."""
    positive = jnp.ones(matrix.shape[:-2], bool)
    log_determinant = jnp.zeros(matrix.shape[:-2], matrix.dtype)
    for k in range(matrix.shape[-1]):
        here = np.arange(matrix.shape[-1]) == k
        pivot = matrix[..., k, k]
        positive &= pivot > 0
        log_determinant += jnp.log(pivot)
        row = jnp.where(here, 1.0, matrix[..., k, :]) / pivot[..., None]
        column = jnp.where(here, -1.0, matrix[..., :, k])
        others = jnp.where(here[:, None] | here[None, :], 0.0, matrix)
        matrix = others - column[..., :, None] * row[..., None, :]
    return matrix, log_determinant, positive


def _cholesky(matrix):
    factor = lax.linalg.cholesky(matrix, symmetrize_input=False)
    identity = jnp.broadcast_to(jnp.eye(matrix.shape[-1], dtype=matrix.dtype), matrix.shape)
    diagonal = jnp.diagonal(factor, axis1=-2, axis2=-1)
    inverse = cho_solve((factor, True), identity)
    return inverse, 2 * jnp.sum(jnp.log(diagonal), axis=-1), jnp.all(diagonal > 0, axis=-1)
