"""Between a model's trees of arrays and the variables of a dataset."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from slds_core.fixed_point.interface import Field
from slds_core.study.errors import StudyError


def to_variables(tree: Any, fields: Any, prefix: str = "") -> dict[str, xr.Variable]:
    """Returns the tree's arrays as named, described variables."""
    leaves = jax.tree.leaves(tree)
    return {
        name: xr.Variable(field.dimensions, np.asarray(leaf), {"long_name": field.long_name, "units": field.units})
        for (name, field), leaf in zip(named_fields(fields, prefix).items(), leaves, strict=True)
    }


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
