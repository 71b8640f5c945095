"""Vector algebra on trees of arrays."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from slds_core.full_precision import in_full_precision


def add(a: PyTree, b: PyTree) -> PyTree:
    """Returns ``a + b``."""
    return jax.tree.map(jnp.add, a, b)


def subtract(a: PyTree, b: PyTree) -> PyTree:
    """Returns ``a - b``."""
    return jax.tree.map(jnp.subtract, a, b)


def scale(factor: Float[Array, ""] | float, a: PyTree) -> PyTree:
    """Returns ``factor · a``."""
    return jax.tree.map(lambda leaf: factor * leaf, a)


def add_scaled(a: PyTree, factor: Float[Array, ""] | float, b: PyTree) -> PyTree:
    """Returns ``a + factor · b``."""
    return jax.tree.map(lambda x, y: x + factor * y, a, b)


@in_full_precision
def inner(a: PyTree, b: PyTree) -> Float[Array, ""]:
    """Returns the inner product of all entries; zero for trees without entries."""
    products = [jnp.vdot(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)]
    return jnp.sum(jnp.stack(products or [jnp.zeros(())]))


def norm(a: PyTree) -> Float[Array, ""]:
    """Returns the Euclidean norm of all entries together."""
    return jnp.sqrt(inner(a, a))


def largest(a: PyTree) -> Float[Array, ""]:
    """Returns the largest magnitude among all entries, NaN if one is NaN; zero for trees without entries."""
    magnitudes = [_maximum(jnp.abs(leaf)) for leaf in jax.tree.leaves(a)]
    return jnp.max(jnp.stack(magnitudes or [jnp.zeros(())]))


def _maximum(magnitudes: Float[Array, "..."]) -> Float[Array, ""]:
    # On CPUs, XLA of JAX 0.10 hands maxima of 4096 and more entries to YNNPACK, which passes over NaN; sums do not.
    total = jnp.sum(magnitudes)
    return jnp.where(jnp.isnan(total), total, jnp.max(magnitudes, initial=0))


def zeros_like(a: PyTree) -> PyTree:
    """Returns zeros of the same structure."""
    return jax.tree.map(jnp.zeros_like, a)


def where(condition: Bool[Array, ""], a: PyTree, b: PyTree) -> PyTree:
    """Returns ``a`` where the condition holds, else ``b``."""
    return jax.tree.map(lambda x, y: jnp.where(condition, x, y), a, b)


def size(a: PyTree) -> int:
    """Returns the number of entries."""
    return sum(leaf.size for leaf in jax.tree.leaves(a))


def all_finite(a: PyTree) -> Bool[Array, ""]:
    """Returns whether no entry is NaN or infinite; true for trees without entries."""
    finite = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(a)]
    return jnp.all(jnp.stack(finite or [jnp.array(True)]))
