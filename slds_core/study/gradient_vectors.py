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


def comparable(references: dict[str, xr.Dataset], estimates: dict[str, Vectors]) -> list[tuple[Vectors, Vectors]]:
    """Returns, for each reference, all estimates and the reference, in whole or along the reference's directions.

    Args:
        references: gradients that are among the estimates, or derivatives along random directions, which their seed tells.
        estimates: arrays of whole gradients, at least one, all of the same groups.

    Returns:
        For each reference, by group and for ``ALL``: the estimates ``[estimator, entry]`` in their order, and the reference ``[entry]``.
    """
    # once for all references: copies for each may take gigabytes
    whole = _stacked(list(estimates.values()))
    rows = {name: row for row, name in enumerate(estimates)}
    return [
        _along_directions(reference, estimates)
        if directional(reference)
        else (whole, {group: every[rows[name]] for group, every in whole.items()})
        for name, reference in references.items()
    ]


def _stacked(estimates: list[Vectors]) -> Vectors:
    """Returns the estimates ``[estimator, entry]`` of each group, which are parts of those of ``ALL``."""
    sizes = [array.size for array in estimates[0].values()]
    every = np.empty((len(estimates), sum(sizes)))
    for row, arrays in zip(every, estimates, strict=True):
        np.concatenate([array.ravel() for array in arrays.values()], out=row)
    parts = np.split(every, np.cumsum(sizes)[:-1], axis=1)
    return dict(zip(estimates[0], parts, strict=True)) | {ALL: every}


def _along_directions(reference: xr.Dataset, estimates: dict[str, Vectors]) -> tuple[Vectors, Vectors]:
    first = next(iter(estimates.values()))
    seed = json.loads(reference.attrs["settings"])["parameters"].get("seed", 0)
    shapes = [array.shape for array in first.values()]
    directions = random_directions(shapes, count=reference.sizes["direction"], seed=seed)
    truth = dict(zip(first, reference["directional_derivative"].values, strict=True))
    return _stacked([_along(directions, arrays) for arrays in estimates.values()]), flat(truth)


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
