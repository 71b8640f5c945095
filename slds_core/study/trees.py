"""Between a model's trees of arrays and the variables of a dataset."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from slds_core.fixed_point.interface import Field
from slds_core.study.errors import StudyError


def to_variables(tree: Any, fields: Any, prefix: str = "") -> dict[str, xr.Variable]:
    """Returns the tree's arrays as named, described variables.

    Raises:
        ValueError: there are more or fewer arrays than fields, or one has not as many axes as its field has dimensions.
    """
    leaves, named = jax.tree.leaves(tree), named_fields(fields, prefix)
    if len(leaves) != len(named):
        raise ValueError(f"expected {len(named)} arrays ({', '.join(named)}), found {len(leaves)}")
    for (name, field), leaf in zip(named.items(), leaves, strict=True):
        if np.ndim(leaf) != len(field.dimensions):
            raise ValueError(f"{name}: expected the axes ({', '.join(field.dimensions)}), found shape {np.shape(leaf)}")
    return {
        name: xr.Variable(field.dimensions, np.asarray(leaf), {"long_name": field.long_name, "units": field.units})
        for (name, field), leaf in zip(named.items(), leaves, strict=True)
    }


def finite(tree: Any) -> bool:
    """Returns whether no entry is NaN or infinite: as ``all_finite`` does, without a program compiled for each shape."""
    return all(bool(np.isfinite(np.asarray(leaf)).all()) for leaf in jax.tree.leaves(tree))


def require_like(what: str, found: Any, expected: Any) -> None:
    """Refuses a tree that has not the structure, the shapes and the types of another.

    Args:
        what: the tree's name, for the message.
        found: the tree.
        expected: the other, whose leaves may be arrays or shapes alone; both may be traced.

    Raises:
        TypeError: names the first leaf that differs, what it is, and what was expected.
    """
    structure, other = jax.tree.structure(expected), jax.tree.structure(found)
    if other != structure:
        if _kind(found) != _kind(expected):
            structure, other = _kind(expected), _kind(found)
        raise TypeError(f"{what}: expected {structure}, found {other}")
    for (path, leaf), like in zip(jax.tree_util.tree_leaves_with_path(found), jax.tree.leaves(expected), strict=True):
        if (jnp.shape(leaf), jnp.result_type(leaf)) != (like.shape, like.dtype):
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            raise TypeError(
                f"{what}{name and '.'}{name}: expected shape {like.shape} in {like.dtype}, "
                f"found {jnp.shape(leaf)} in {jnp.result_type(leaf)}"
            )


def _kind(tree: Any) -> str:
    return "one array" if hasattr(tree, "shape") else type(tree).__name__


def from_dataset(dataset: xr.Dataset, fields: Any, prefix: str = "") -> Any:
    """Returns the tree that ``to_variables`` stored.

    Raises:
        StudyError: a variable is missing, or has other dimensions than expected.
    """
    leaves = []
    for name, field in named_fields(fields, prefix).items():
        if name not in dataset:
            raise StudyError(f"{source(dataset)}: variable '{name}' is missing")
        if dataset[name].dims != field.dimensions:
            expected = ", ".join(field.dimensions)
            raise StudyError(
                f"{source(dataset)}: variable '{name}' has dimensions ({', '.join(map(str, dataset[name].dims))}), "
                f"expected ({expected})"
            )
        leaves.append(jnp.asarray(dataset[name].values))
    return jax.tree.unflatten(jax.tree.structure(fields), leaves)


def named_fields(fields: Any, prefix: str = "") -> dict[str, Field]:
    """Returns the fields by variable name: the path in the tree, joined by underscores."""
    named = {}
    for path, field in jax.tree_util.tree_leaves_with_path(fields):
        parts = [prefix, jax.tree_util.keystr(path, simple=True, separator="_")]
        named["_".join(part for part in parts if part)] = field
    return named


def source(dataset: xr.Dataset) -> str:
    """Returns the path of the file that a dataset came from."""
    return str(dataset.encoding.get("source", "dataset"))
