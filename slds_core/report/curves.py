"""Curves of gradients against the sweeps that they differentiate: which settings belong to one, and what is known of each."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from slds_core.report.figures.compared import ALL
from slds_core.report.load import ModelResults, StudyResults, settings

_LEAST = 3  # settings for a curve


@dataclass(frozen=True)
class Point:
    """One setting of a series."""

    setting: str
    sweeps: int
    value: float


@dataclass(frozen=True)
class Series:
    """Settings of one model that differ in their sweeps alone, the fewest first."""

    name: str  # the model's, and what tells its series apart
    model: str
    at: str  # inference at whose result they differentiate; empty where they start where inference does
    points: list[Point]  # unknown and infinite ones too
    rate: float  # λ where they differentiate; NaN where unknown
    level: float  # what to compare with

    @property
    def finite(self) -> list[Point]:
        """Those that can be drawn."""
        return [p for p in self.points if np.isfinite(p.value)]


@dataclass(frozen=True)
class Curve:
    """What can be drawn of a series."""

    name: str
    x: np.ndarray
    y: np.ndarray
    rate: float
    level: float


def not_finite(study: StudyResults, plugin: str) -> list[tuple[str, Point]]:
    """Returns the settings of a plugin's series whose error is unknown or infinite, each with its model."""
    return [(s.model, p) for s in series_of(study, plugin, error_of) for p in s.points if not np.isfinite(p.value)]


def curves_of(study: StudyResults, plugin: str, value: Callable[[ModelResults, str], float]) -> list[Curve]:
    """Returns a curve for each series with enough finite points."""
    curves = []
    for s in series_of(study, plugin, value):
        if len({p.sweeps for p in s.finite}) >= _LEAST:
            x, y = np.array([(p.sweeps, p.value) for p in s.finite], dtype=float).T
            curves.append(Curve(s.name, x, y, s.rate, s.level))
    return curves


def series_of(study: StudyResults, plugin: str, value: Callable[[ModelResults, str], float]) -> list[Series]:
    """Returns the series of a plugin's settings that are long enough for a curve, model by model."""
    return [series for name, found in study.items() for series in _series_within(name, found, plugin, value)]


def _series_within(
    name: str, found: ModelResults, plugin: str, value: Callable[[ModelResults, str], float]
) -> list[Series]:
    # lines between settings that differ in more than their sweeps would show no effect of the sweeps
    alike: dict[tuple[str, str], list[str]] = {}
    for setting in compared_settings(found, plugin):
        if "sweeps" in _parameters(found, setting) and not (value is error_of and setting == judge(found)):
            others = {k: v for k, v in _parameters(found, setting).items() if k != "sweeps"}
            alike.setdefault((_at(found, setting), json.dumps(others, sort_keys=True)), []).append(setting)
    points = {
        key: sorted(
            (Point(s, int(_parameters(found, s)["sweeps"]), value(found, s)) for s in chosen), key=lambda p: p.sweeps
        )
        for key, chosen in alike.items()
    }
    long = {key: own for key, own in points.items() if len({p.sweeps for p in own}) >= _LEAST}
    implicit = compared_settings(found, "fisher_cg")[:1]
    level = mebibytes_of(found, implicit[0]) if implicit else np.nan
    return [
        Series(label, name, key[0], own, rate_at(found, own[0].setting), level)
        for label, (key, own) in zip(_labels(name, list(long)), long.items(), strict=True)
    ]


def _labels(model: str, keys: list[tuple[str, str]]) -> list[str]:
    """Returns a name for each series of a model: the model's, with the inference and the parameters that tell them apart."""
    parameters = [json.loads(others) for _, others in keys]
    several = len({at for at, _ in keys}) > 1
    differ = [
        k
        for k in sorted({k for own in parameters for k in own})
        if any(own.get(k) != parameters[0].get(k) for own in parameters)
    ]
    return [
        model
        + (f" at {at or 'no inference'}" if several else "")
        + (f" with {', '.join(f'{k} {own.get(k)}' for k in differ)}" if differ else "")
        for (at, _), own in zip(keys, parameters, strict=True)
    ]


def compared_settings(found: ModelResults, plugin: str) -> list[str]:
    """Returns the gradient settings of a plugin that were compared."""
    if found.comparison is None or "estimator" not in found.comparison:
        return []
    compared = found.comparison["estimator"].values
    return [name for name, d in found.gradient.items() if settings(d).get("plugin") == plugin and name in compared]


def judge(found: ModelResults) -> str:
    """Returns the setting that the others are judged by."""
    assert found.comparison is not None
    return str(found.comparison["reference"].values[0])


def error_of(found: ModelResults, setting: str) -> float:
    """Returns a setting's error against the judge; NaN for the judge, whose zero says nothing of how good it is."""
    if setting == judge(found):
        return np.nan
    assert found.comparison is not None
    return float(found.comparison["relative_l2"].sel(estimator=setting, reference=judge(found), group=ALL))


def _at(found: ModelResults, setting: str) -> str:
    """Returns the inference at whose result a setting differentiates; empty where it starts where inference does."""
    return settings(found.gradient[setting]).get("at") or ""


def _parameters(found: ModelResults, setting: str) -> dict[str, Any]:
    return settings(found.gradient[setting]).get("parameters", {})


def rate_at(found: ModelResults, setting: str) -> float:
    """Returns λ where a setting differentiates; NaN where it is unknown."""
    residual: xr.Dataset | None = found.residual.get(_at(found, setting))
    known = residual is not None and "eigenvalue" in residual and residual["eigenvalue"].size
    return float(residual["eigenvalue"][0]) if known and residual is not None else np.nan


def mebibytes_of(found: ModelResults, setting: str) -> float:
    """Returns a setting's temporary memory (MiB); NaN where it is unknown."""
    size = float(found.gradient[setting]["temporary_bytes"]) if "temporary_bytes" in found.gradient[setting] else -1
    return size / 2**20 if size >= 0 else np.nan
