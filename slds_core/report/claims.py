"""Figures across models and settings: what the literature claims, on this study's own problems."""

from collections.abc import Callable

import numpy as np
import xarray as xr
from matplotlib import style
from matplotlib.figure import Figure

from slds_core.report.figures import STYLE
from slds_core.report.load import ModelResults, settings

Study = dict[str, ModelResults]

_FLOOR = 1e-16  # errors below rounding are drawn here


def one_step_error(study: Study) -> Figure | None:
    """Returns the one-step gradient's error against ``ρ/(1-ρ)`` over models (Bolte, Pauwels and Vaiter 2023); None below two."""
    points = [
        (name, rate, _error(found, setting))
        for name, found in study.items()
        for setting in _settings(found, "one_step")[:1]
        if (rate := _rate(found, setting)) is not None and rate < 1
    ]
    if len(points) < 2:
        return None
    figure = Figure(figsize=(4.8, 3.6))
    axes = figure.subplots()
    bounds = np.array([rate / (1 - rate) for _, rate, _ in points])
    for k, (name, _, error) in enumerate(points):
        axes.loglog(bounds[k], error, "o", color=f"C{k % 7}")
        axes.annotate(name, (bounds[k], error), xytext=(5, 4), textcoords="offset points", fontsize=7.5)
    line = np.array([bounds.min() / 2, bounds.max() * 2])
    axes.plot(line, line, linewidth=0.8, color="0.5")
    axes.set(xlabel="ρ / (1 - ρ)", ylabel="relative error of the one-step gradient", title="One step: below ρ/(1-ρ)")
    return figure


def neumann_decay(study: Study) -> Figure | None:
    """Returns the truncated series' error against its length beside ``ρᵏ`` (phantom gradients); None below three lengths."""

    def shown(found: ModelResults) -> list[tuple[int, float]]:
        return sorted((_parameter(found, s, "sweeps"), _error(found, s)) for s in _settings(found, "truncated"))

    def draw(axes, k, name, found, points):
        length, error = np.array(points).T
        axes.semilogy(length, np.maximum(error, _FLOOR), "o", color=f"C{k % 7}", label=name)
        rate = _rate(found, _settings(found, "truncated")[0])
        if rate is not None:
            steps = np.arange(length[0], length[-1] + 1)
            expected = error[0] * rate ** (steps - length[0])
            visible = expected >= _FLOOR
            axes.semilogy(steps[visible], expected[visible], color=f"C{k % 7}", linewidth=0.8)

    return _per_model(
        study,
        shown,
        draw,
        "sweeps differentiated",
        "relative error",
        "Truncated series: lines fall as ρᵏ from the first",
    )


def unrolling(study: Study) -> Figure | None:
    """Returns the unrolled gradient's error against sweeps (Scieur et al. 2022); None below three settings."""

    def shown(found: ModelResults) -> list[tuple[int, float]]:
        return sorted((_parameter(found, s, "sweeps"), _error(found, s)) for s in _settings(found, "unrolled"))

    def draw(axes, k, name, found, points):
        sweeps, error = np.array(points).T
        axes.loglog(sweeps, np.maximum(error, _FLOOR), "o-", color=f"C{k % 7}", label=name, linewidth=1)

    return _per_model(study, shown, draw, "sweeps unrolled", "relative error", "Unrolled from a cold start")


def memory(study: Study) -> Figure | None:
    """Returns temporary memory against sweeps, unrolled and implicit (Bendekgey et al. 2023); None below three settings."""

    def shown(found: ModelResults) -> list[tuple[int, float]]:
        return sorted((_parameter(found, s, "sweeps"), _mebibytes(found, s)) for s in _settings(found, "unrolled"))

    def draw(axes, k, name, found, points):
        sweeps, size = np.array(points).T
        axes.loglog(sweeps, size, "o-", color=f"C{k % 7}", label=f"{name}, unrolled", linewidth=1)
        for setting in _settings(found, "fisher_cg")[:1]:
            axes.plot(
                sweeps[[0, -1]], [_mebibytes(found, setting)] * 2, "--", color=f"C{k % 7}", label=f"{name}, implicit"
            )

    return _per_model(study, shown, draw, "sweeps", "temporary memory (MiB)", "Memory against sweeps")


CLAIMS: dict[str, tuple[Callable[[Study], Figure | None], str]] = {
    "one-step": (
        one_step_error,
        "Error of the one-step gradient against ρ/(1-ρ), one point a model (Bolte, Pauwels and Vaiter 2023).",
    ),
    "neumann": (neumann_decay, "Error of the truncated Neumann series against its length, with lines that fall as ρᵏ."),
    "unrolling": (
        unrolling,
        "Error of the unrolled gradient against sweeps: it grows before it falls (Scieur et al. 2022).",
    ),
    "memory": (memory, "Temporary memory of the compiled gradient against sweeps (Bendekgey, Hope and Sudderth 2023)."),
}


def draw_claims(study: Study) -> dict[str, Figure]:
    """Returns the figures that the study has the settings for, by name."""
    with style.context(STYLE):
        drawn = {name: function(study) for name, (function, _) in CLAIMS.items()}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _per_model(study: Study, shown, draw, xlabel: str, ylabel: str, title: str) -> Figure | None:
    series = {name: (found, shown(found)) for name, found in study.items() if found.comparison is not None}
    series = {name: (found, points) for name, (found, points) in series.items() if len(points) >= 3}
    if not series:
        return None
    figure = Figure(figsize=(5.6, 3.6))
    axes = figure.subplots()
    for k, (name, (found, points)) in enumerate(series.items()):
        draw(axes, k, name, found, points)
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    axes.legend()
    return figure


def _settings(found: ModelResults, plugin: str) -> list[str]:
    """Returns the gradient settings of a plugin that were compared."""
    if found.comparison is None:
        return []
    compared = found.comparison["estimator"].values
    return [name for name, d in found.gradient.items() if settings(d)["plugin"] == plugin and name in compared]


def _error(found: ModelResults, setting: str) -> float:
    comparison = found.comparison
    assert comparison is not None
    reference = comparison["reference"].values[0]
    return float(comparison["relative_l2"].sel(estimator=setting, reference=reference, group="all"))


def _rate(found: ModelResults, setting: str) -> float | None:
    residual: xr.Dataset | None = found.residual.get(settings(found.gradient[setting]).get("at", ""))
    return None if residual is None or "eigenvalue" not in residual else float(residual["eigenvalue"][0])


def _parameter(found: ModelResults, setting: str, key: str) -> int:
    return int(settings(found.gradient[setting])["parameters"][key])


def _mebibytes(found: ModelResults, setting: str) -> float:
    return float(found.gradient[setting]["temporary_bytes"]) / 2**20
