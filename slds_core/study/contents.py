"""What a file holds, as a hash: equal for equal results, however fast they were computed. Files name what they were made from by it."""

import hashlib
import json
from typing import Any

import xarray as xr

_MEASURED_IN = {"s", "byte"}
"""Units of what differs from run to run, where the results are the same: an inference's time, a training's."""


def contents_hash(dataset: xr.Dataset, provenance: dict[str, Any]) -> str:
    """Returns a hash of a file's settings, plugins, status and variables, measurements of its cost aside.

    Args:
        dataset: what the file holds.
        provenance: how it was made, as ``provenance`` gives it.
    """
    told = {key: dataset.attrs.get(key) for key in ("status", "status_message")}
    told |= {key: provenance.get(key) for key in ("settings", "precision", "plugins")}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for name, variable in sorted(dataset.variables.items(), key=lambda item: str(item[0])):
        if name == "compilation_cached" or variable.attrs.get("units") in _MEASURED_IN:
            continue
        values = variable.values
        digest.update(f"{name} {variable.dims} {values.shape} {values.dtype}".encode())
        # texts are objects, whose bytes are addresses
        digest.update(json.dumps(values.tolist()).encode() if values.dtype.hasobject else values.tobytes())
    return digest.hexdigest()[:16]


def source(dataset: xr.Dataset) -> dict[str, str]:
    """Returns a file as an entry of ``made_from``: what it is, and the hash of what it holds."""
    return {place(dataset): str(dataset.attrs.get("contents_hash"))}


def place(dataset: xr.Dataset) -> str:
    """Returns where a file belongs in its model's folder, without its ending: ``"model"``, ``"inference/newton"``."""
    kind, setting = dataset.attrs["slds_kind"], dataset.attrs["setting"]
    return kind if kind in ("model", "comparison") else f"{kind}/{setting}"


def made_from(dataset: xr.Dataset) -> dict[str, str]:
    """Returns the files that a file was made from, by their places, as hashes of what they held."""
    return json.loads(dataset.attrs.get("made_from", "{}"))
