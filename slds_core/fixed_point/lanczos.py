"""Lanczos' method for an operator that is self-adjoint in an inner product of one's choice."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PyTree


class Spectrum(eqx.Module):
    """Ritz values of an operator, largest first, each with a bound on its distance from an eigenvalue."""

    eigenvalues: Float[Array, " ritz"]
    errors: Float[Array, " ritz"]
    steps: Int[Array, ""]  # products until the Krylov space was exhausted or full; later entries are zero


def lanczos(product: Callable[[Any], tuple[Any, Any]], start: PyTree, *, steps: int) -> Spectrum:
    """Returns the Ritz values of an operator that is self-adjoint in ``⟨a, b⟩ = aᵀ metric b``.

    Args:
        product: ``v ↦ (operator v, metric v)``, linear maps of trees like ``start``; the metric is symmetric and positive
            semidefinite. One function, since the two often share their work.
        start: the first direction; what is orthogonal to it stays unseen.
        steps: most products.

    References:
        Parlett (1998), "The symmetric eigenvalue problem", §13.2, with full reorthogonalisation.
    """
    flat, unravel = ravel_pytree(start)
    steps = min(steps, flat.size)
    rounding = 100 * jnp.finfo(flat.dtype).eps

    def extend(carry, k):
        basis, images, vector, magnitude = carry
        operated, image = (ravel_pytree(tree)[0] for tree in product(unravel(vector)))
        length = jnp.sqrt(jnp.maximum(jnp.vdot(vector, image), 0))
        # a remainder at rounding level is no direction: the space is exhausted
        alive = length > rounding * magnitude
        unit = jnp.where(alive, 1 / jnp.where(alive, length, 1), 0)
        vector, image, operated = unit * vector, unit * image, unit * operated
        basis, images = basis.at[k].set(vector), images.at[k].set(image)
        diagonal = jnp.vdot(image, operated)
        for _ in range(2):  # twice is enough
            operated = operated - basis.T @ (images @ operated)
        # at the start any length will do; later, lengths are measured against the operator's size
        magnitude = jnp.maximum(magnitude, jnp.abs(diagonal) + jnp.where(k > 0, length, 0))
        return (basis, images, operated, magnitude), (diagonal, jnp.where(alive, length, 0))

    nothing = jnp.zeros((steps, flat.size), flat.dtype)
    carry = nothing, nothing, flat, jnp.zeros((), flat.dtype)
    (_, _, remainder, _), (diagonal, lengths) = lax.scan(extend, carry, jnp.arange(steps))
    beside = lengths[1:]
    matrix = jnp.diag(diagonal) + jnp.diag(beside, 1) + jnp.diag(beside, -1)
    values, vectors = jnp.linalg.eigh(matrix)
    order = jnp.argsort(-values)
    # what the space leaves out, in the Euclidean norm for want of a further product; zero once the space is exhausted
    last = jnp.where(lengths[-1] > 0, jnp.linalg.norm(remainder), 0)
    return Spectrum(values[order], jnp.abs(vectors[-1] * last)[order], jnp.sum(jnp.cumprod(lengths > 0)))


def random_direction(tree: PyTree) -> PyTree:
    """Returns a fixed pseudo-random direction: the same on every platform and in every run, generic for any model."""
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(jax.random.key(0), max(len(leaves), 1))
    drawn = [jax.random.normal(key, leaf.shape, leaf.dtype) for key, leaf in zip(keys, leaves, strict=False)]
    return jax.tree.unflatten(structure, drawn)
