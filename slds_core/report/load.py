"""A study's files, sorted by model, kind and setting."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xarray as xr

from slds_core.study import store
from slds_core.study.errors import StudyError


@dataclass
class ModelResults:
    """All results of one model. What a study has not computed is missing from it."""

    name: str
    model: xr.Dataset | None = None
    inference: dict[str, xr.Dataset] = field(default_factory=dict)
    residual: dict[str, xr.Dataset] = field(default_factory=dict)
    gradient: dict[str, xr.Dataset] = field(default_factory=dict)
    comparison: xr.Dataset | None = None
    skipped: dict[tuple[str, str], str] = field(default_factory=dict)  # why, by kind and setting


def load_results(paths: list[Path]) -> dict[str, ModelResults]:
    """Returns the results by model, in the order of the files.

    Raises:
        StudyError: a file cannot be used, or there is none.
    """
    results: dict[str, ModelResults] = {}
    for path in paths:
        dataset = store.read_any(path)
        kind, model, setting = (dataset.attrs[key] for key in ("slds_kind", "model", "setting"))
        found = results.setdefault(model, ModelResults(model))
        if dataset.attrs.get("status") == "declined":
            found.skipped[kind, setting] = str(dataset.attrs["status_message"])
        elif kind in ("inference", "residual", "gradient"):
            getattr(found, kind)[setting] = dataset
        else:
            setattr(found, kind, dataset)
    if not results:
        raise StudyError("no files to report on")
    return results


def settings(dataset: xr.Dataset) -> dict[str, Any]:
    """Returns the slice of the configuration that a file was made with."""
    return json.loads(dataset.attrs["settings"])
