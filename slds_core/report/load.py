"""A study's files, sorted by model, kind and setting."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xarray as xr

from slds_core.study import store
from slds_core.study.errors import StudyError


@dataclass(frozen=True)
class Absence:
    """Why a result is not there."""

    state: str  # "skipped": its plugin declined; "failed": it ended in an error; "missing": it did not run, or not to its end
    reason: str
    log: str = ""  # last lines


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
    absent: dict[tuple[str, str], Absence] = field(default_factory=dict)  # all that is not there, by kind and setting

    def add(self, dataset: xr.Dataset) -> None:
        """Puts a file's dataset in its place."""
        kind, setting = dataset.attrs["slds_kind"], dataset.attrs["setting"]
        if dataset.attrs.get("status") == "declined":
            reason = str(dataset.attrs["status_message"])
            self.skipped[kind, setting] = reason
            self.absent[kind, setting] = Absence("skipped", reason)
        elif kind in ("inference", "residual", "gradient"):
            getattr(self, kind)[setting] = dataset
        else:
            setattr(self, kind, dataset)


StudyResults = dict[str, ModelResults]
"""All results of a study, by model."""


def load_results(paths: list[Path]) -> StudyResults:
    """Returns the results by model, in the order of the files.

    Raises:
        StudyError: a file cannot be used, or there is none.
    """
    results: StudyResults = {}
    for path in paths:
        dataset = store.read_any(path)
        results.setdefault(dataset.attrs["model"], ModelResults(dataset.attrs["model"])).add(dataset)
    if not results:
        raise StudyError("no files to report on")
    return results


def settings(dataset: xr.Dataset) -> dict[str, Any]:
    """Returns the slice of the configuration that a file was made with."""
    return json.loads(dataset.attrs["settings"])
