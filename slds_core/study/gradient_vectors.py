"""A gradient file's arrays as vectors that can be compared: by parameter group, and all groups together."""

import json

import numpy as np
import xarray as xr

from slds_core.directions import random_directions

ALL = "all"
_PREFIX = "gradient_"

Vectors = dict[str, np.ndarray]


def directional(dataset: xr.Dataset) -> bool:
    """Returns whether only derivatives along a few directions are known."""
    return "directional_derivative" in dataset


def arrays_of(dataset: xr.Dataset) -> Vectors:
    """Returns each parameter group's gradient."""
    names = [str(name) for name in dataset.data_vars if str(name).startswith(_PREFIX)]
    return {name.removeprefix(_PREFIX): dataset[name].values.astype(np.float64, copy=False) for name in names}


def flat(arrays: Vectors) -> Vectors:
    """Returns each group as a vector, and all of them end to end as ``ALL``."""
    vectors = {name: array.ravel() for name, array in arrays.items()}
    return vectors | {ALL: np.concatenate(list(vectors.values()))}


def comparable(
    references: dict[str, xr.Dataset], estimates: dict[str, Vectors]
) -> list[tuple[dict[str, Vectors], Vectors]]:
    """Returns, for each reference, every estimate and the reference as vectors, in whole or along the reference's directions.

    Args:
        references: gradients that are among the estimates, or derivatives along random directions, which their seed tells.
        estimates: arrays of whole gradients, at least one, all of the same groups.
    """
    # once for all references: copies for each may take gigabytes
    whole = {name: flat(arrays) for name, arrays in estimates.items()}
    return [
        _along_directions(reference, estimates) if directional(reference) else (whole, whole[name])
        for name, reference in references.items()
    ]


def _along_directions(reference: xr.Dataset, estimates: dict[str, Vectors]) -> tuple[dict[str, Vectors], Vectors]:
    first = next(iter(estimates.values()))
    seed = json.loads(reference.attrs["settings"])["parameters"].get("seed", 0)
    shapes = [array.shape for array in first.values()]
    directions = random_directions(shapes, count=reference.sizes["direction"], seed=seed)
    truth = dict(zip(first, reference["directional_derivative"].values, strict=True))
    return {name: flat(_along(directions, arrays)) for name, arrays in estimates.items()}, flat(truth)


def resolution_of(reference: xr.Dataset, group: str) -> float:
    """Returns the relative error of the reference itself in a group or in ``ALL``; NaN where it does not estimate it."""
    if not directional(reference):
        return float("nan")
    chosen = reference if group == ALL else reference.isel(group=list(reference["group"].values).index(group))
    scale = np.linalg.norm(chosen["directional_derivative"].values)
    return float(np.linalg.norm(chosen["directional_error"].values) / scale) if scale > 0 else float("nan")


def _along(directions: list[np.ndarray], arrays: Vectors) -> Vectors:
    return {
        group: np.array([np.vdot(array, direction) for direction in drawn])
        for (group, array), drawn in zip(arrays.items(), directions, strict=True)
    }
