"""Lanczos' method for an operator that is self-adjoint in an inner product of one's choice."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PyTree

from slds_core.fixed_point.limits import require_size
from slds_core.full_precision import in_full_precision


class Spectrum(eqx.Module):
    """Ritz values of an operator, largest first, each with a bound on its distance from an eigenvalue."""

    eigenvalues: Float[Array, " ritz"]
    errors: Float[Array, " ritz"]
    steps: Int[Array, ""]  # products until the Krylov space was exhausted or full; later entries are zero


@in_full_precision
def lanczos(product: Callable[[Any], tuple[Any, Any]], start: PyTree, *, steps: int) -> Spectrum:
    """Returns the Ritz values of an operator that is self-adjoint in ``⟨a, b⟩ = aᵀ metric b``.

    Args:
        product: ``v ↦ (operator v, metric v)``, linear maps of trees like ``start``; the metric is symmetric and positive
            semidefinite. One function, since the two often share their work.
        start: the first direction; what is orthogonal to it stays unseen.
        steps: most dimensions of the Krylov space, at least 1; it takes one product more.

    Returns:
        The values; none for a space of no dimensions.

    Raises:
        ValueError: ``steps`` is below 1.

    References:
        Parlett (1998), "The symmetric eigenvalue problem", §11.3 (Rayleigh and Ritz) and chapter 12 (Krylov spaces). The basis is
        orthonormal in the Euclidean sense: where the metric is singular, a basis orthonormal in the metric would be all rounding.
    """
    require_size("steps", steps, 1)
    flat, unravel = ravel_pytree(start)
    if not flat.size:
        return Spectrum(flat, flat, jnp.array(0))
    steps = min(steps, flat.size)
    rounding = 100 * jnp.finfo(flat.dtype).eps

    def extend(carry, k):
        basis, vector, magnitude = carry
        length = jnp.linalg.norm(vector)
        alive = length > rounding * magnitude  # a remainder at rounding level is no direction: the space is exhausted
        vector = jnp.where(alive, vector / jnp.where(alive, length, 1), 0)
        operated, image = (ravel_pytree(tree)[0] for tree in product(unravel(vector)))
        basis = basis.at[k].set(vector)
        remainder = operated
        for _ in range(2):  # twice is enough
            remainder = remainder - basis.T @ (basis @ remainder)
        magnitude = jnp.maximum(magnitude, jnp.linalg.norm(operated))
        return (basis, remainder, magnitude), (operated, image, alive)

    # one product more than the space has dimensions: the metric along what the space leaves out
    nothing = jnp.zeros((steps + 1, flat.size), flat.dtype)
    carry = nothing, flat, jnp.zeros((), flat.dtype)
    (basis, _, _), (operated, images, alive) = lax.scan(extend, carry, jnp.arange(steps + 1))
    metric = _symmetric(basis @ images.T)
    operator = operated[:steps] @ basis.T  # row k: the coefficients of the image of basis vector k

    # The metric may all but vanish along some directions, where its own rounding decides; they are left out.
    lengths, axes = jnp.linalg.eigh(metric[:steps, :steps])
    kept = lengths > rounding * lengths[-1]
    axes = jnp.where(kept, axes / jnp.sqrt(jnp.where(kept, lengths, 1)), 0)
    values, vectors = jnp.linalg.eigh(_symmetric(axes.T @ (operator @ metric)[:, :steps] @ axes))
    order = jnp.argsort(-values)
    values, vectors = values[order], (axes @ vectors)[:, order]
    leftover = vectors.T @ operator - values[:, None] * jnp.pad(vectors.T, ((0, 0), (0, 1)))
    squared = jnp.sum((leftover @ metric) * leftover, axis=1)
    return Spectrum(values, jnp.sqrt(jnp.maximum(squared, 0)), jnp.minimum(jnp.sum(alive), steps))


def _symmetric(matrix: Float[Array, "size size"]) -> Float[Array, "size size"]:
    return 0.5 * (matrix + matrix.T)


def random_direction(tree: PyTree) -> PyTree:
    """Returns a fixed pseudo-random direction: the same on every platform and in every run, generic for any model."""
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(jax.random.key(0), max(len(leaves), 1))
    drawn = [jax.random.normal(key, leaf.shape, leaf.dtype) for key, leaf in zip(keys, leaves, strict=False)]
    return jax.tree.unflatten(structure, drawn)
