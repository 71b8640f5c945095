"""A file of a study as a person reads it: what it holds, how it ended, where it came from."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from slds_core.study import store
from slds_core.study.errors import StudyError

_ORIGIN = ("settings_hash", "code_hash", "precision", "platform", "xla_flags")


def file_contents(path: Path) -> str:
    """Returns a summary of a NetCDF file: verdict, variables with shapes, units and values or ranges, provenance.

    Raises:
        StudyError: the file cannot be used.
    """
    try:
        dataset = store.read_any(path)
    except StudyError as error:
        return _foreign(path, error)
    attributes = dataset.attrs
    blocks = [f"{path}: {_title(attributes)}"]
    if "status" in attributes:
        blocks.append(f"Verdict: {attributes['status']}. {attributes.get('status_message', '')}".strip())
    if "verdict" in dataset:
        names, reasons = dataset["verdict"].values, dataset["verdict_reason"].values
        width = max(len(str(name)) for name in dataset["estimator"].values)
        lines = [
            f"  {estimator!s:{width}}  {name}: {reason}"
            for estimator, name, reason in zip(dataset["estimator"].values, names, reasons, strict=True)
        ]
        blocks.append("\n".join(["Verdicts", *lines]))
    blocks.append("\n".join(["Variables", *(_variable(dataset[name]) for name in dataset.data_vars)]))
    settings = json.loads(attributes["settings"]) if "settings" in attributes else {}
    origin = [f"  {key}: {json.dumps(value)}" for key, value in settings.items()]
    plugins = json.loads(attributes.get("plugins", "{}"))
    origin += [f"  plugin of {kind}: {identity}" for kind, identity in plugins.items()]
    files = json.loads(attributes.get("input_files", "{}"))
    origin += [f"  input file {file}: {digest}" for file, digest in files.items()]
    origin += [f"  {key}: {attributes[key]}" for key in _ORIGIN if attributes.get(key)]
    packages = json.loads(attributes.get("packages", "{}"))
    if packages:
        origin.append("  packages: " + ", ".join(f"{name} {version}" for name, version in packages.items()))
    blocks.append("\n".join(["Provenance", *origin]))
    return "\n\n".join(blocks)


def _title(attributes: Mapping[str, Any]) -> str:
    """Returns what a file is, by its name in the study; a model and a comparison have none but the model's."""
    kind, model = attributes["slds_kind"], f"model '{attributes.get('model', '')}'"
    if kind == "model":
        return model
    return f"{kind} of {model}" if kind == "comparison" else f"{kind} '{attributes.get('setting', '')}' of {model}"


def _foreign(path: Path, error: StudyError) -> str:
    """Returns what is in a NetCDF file of another origin, such as a model of the user's own; raises where it is none."""
    try:
        dataset = store.open_whole(path)
    except StudyError:
        raise error from None
    lines = [_variable(dataset[name]) for name in dataset.variables]
    hint = f"A study reads it as a model by {{plugin: netcdf, path: {path}}}, if its variables are those of docs/own_model.md."
    return "\n\n".join([str(error), "\n".join(["Variables", *lines]), hint])


def _variable(array: xr.DataArray) -> str:
    shape = ", ".join(f"{name} {size}" for name, size in array.sizes.items())
    unit = str(array.attrs.get("units", "1"))
    unit = "" if unit == "1" else f" {unit}"
    return f"  {array.name} ({shape}) {_values(array.values)}{unit}: {array.attrs.get('long_name', '')}".replace(
        " () ", " "
    )


def _values(values: np.ndarray) -> str:
    if values.size == 0:
        return "empty"
    if values.dtype.kind not in "fiub":
        return "text"
    if values.size == 1:
        return f"{values.item():.6g}"
    finite = values[np.isfinite(values)]
    missing = values.size - finite.size
    spread = f"{finite.min():.3g} to {finite.max():.3g}" if finite.size else "no finite value"
    return f"{spread}, {missing} not finite" if missing else spread
