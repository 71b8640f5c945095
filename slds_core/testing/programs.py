"""How results of compiled functions are laid side by side."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from slds_core.testing.outcome import require

PRECISIONS = ("float64", "float32")


def closeness(precision: str) -> float:
    """Returns the relative difference up to which two ways to compute the same thing agree: they round differently."""
    return 30 * float(jnp.finfo(precision).eps) ** 0.5


def flat(tree: Any) -> np.ndarray:
    """Returns all entries of a tree as one float64 vector."""
    return np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(tree)])


def require_close(found: Any, wanted: Any, precision: str, what: str) -> None:
    """Requires two trees of numbers to agree up to rounding; NaN equals NaN."""
    a, b = flat(found), flat(wanted)
    require(a.shape == b.shape, f"{what}: expected {b.size} numbers, found {a.size}")
    require(np.array_equal(np.isfinite(a), np.isfinite(b)), f"{what}: expected finite numbers in the same places")
    finite = np.isfinite(b)
    scale = np.linalg.norm(b[finite]) + 1e-300
    difference = np.linalg.norm(a[finite] - b[finite]) / scale
    allowed = closeness(precision)
    require(
        difference <= allowed,
        f"{what}: expected the same to {allowed:.0e}, found a relative difference of {difference:.1e}",
    )


def require_precision(tree: Any, precision: str, what: str) -> None:
    """Requires all floating-point arrays of a tree to be in a precision."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            where = jax.tree_util.keystr(path)
            require(leaf.dtype == precision, f"{what}{where}: expected {precision}, found {leaf.dtype}")


def require_shapes(found: Any, like: Any, what: str) -> None:
    """Requires two trees to have the same structure and arrays of the same shapes."""
    structures = jax.tree.structure(found), jax.tree.structure(like)
    require(structures[0] == structures[1], f"{what}: expected the structure {structures[1]}, found {structures[0]}")
    for a, (path, b) in zip(jax.tree.leaves(found), jax.tree_util.tree_leaves_with_path(like), strict=True):
        where = jax.tree_util.keystr(path)
        require(np.shape(a) == np.shape(b), f"{what}{where}: expected shape {np.shape(b)}, found {np.shape(a)}")


def stack(trees: tuple[Any, ...]) -> Any:
    """Returns trees of the same shapes as one with a leading axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def broken(tree: Any) -> list[tuple[str, Any]]:
    """Returns copies of a tree with one NaN each, in the first entry of one array after the other, and the arrays' names."""
    paths = jax.tree_util.tree_leaves_with_path(tree)
    copies = []
    for number, (path, leaf) in enumerate(paths):
        if not leaf.size:
            continue
        leaves = [other for _, other in paths]
        leaves[number] = leaf.at[(0,) * leaf.ndim].set(jnp.nan)
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        copies.append((name, jax.tree.unflatten(jax.tree.structure(tree), leaves)))
    return copies
