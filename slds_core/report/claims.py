"""Figures across models and settings: what the literature claims, on this study's own problems."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from slds_core.report.figures.canvas import (
    INK,
    QUIET,
    footnote,
    listed,
    logarithmic,
    look,
    number,
    panel,
    rate,
    styled,
)
from slds_core.report.figures.compared import ALL, FLOOR
from slds_core.report.figures.labels import Label, label_points, legend
from slds_core.report.load import ModelResults, settings

Study = dict[str, ModelResults]
Row = dict[str, Any]

_WIDTH = 5.6
_MODELS = 6  # lines with names; more are grey
_LEAST = 3  # settings for a curve


@dataclass(frozen=True)
class _Curve:
    model: str
    x: np.ndarray
    y: np.ndarray
    rate: float  # λ where the settings differentiate; NaN where unknown
    level: float = np.nan  # what to compare with


@styled
def one_step_error(study: Study) -> Figure | None:
    """Returns the one-step gradient's error against ``ρ/(1-ρ)`` over models (Bolte, Pauwels and Vaiter 2023); None below two."""
    rows = one_step_table(study)
    if len(rows) < 2:
        return None
    figure, axes = _canvas(4.9)
    bounds, errors = (np.array([float(r[key]) for r in rows]) for key in ("rho_over_one_minus_rho", "relative_error"))
    errors = np.maximum(errors, FLOOR)
    logarithmic(axes, "x", bounds)
    logarithmic(axes, "y", [*errors, *bounds])
    line = np.geomspace(*axes.get_xlim(), 50)
    axes.plot(line, line, color=QUIET, linewidth=1, zorder=1)
    axes.fill_between(line, axes.get_ylim()[0], line, color=QUIET, alpha=0.14, linewidth=0, zorder=0)
    axes.text(0.97, 0.04, "shaded: error below ρ/(1−ρ)", transform=axes.transAxes, ha="right", fontsize=8, color=INK)
    names = []
    for k, row in enumerate(rows):
        colour, marker = look(k) if k < 12 else (QUIET, ".")
        axes.plot(bounds[k], errors[k], marker, color=colour, markersize=6, zorder=3)
        if k < 12:
            names.append(Label(bounds[k], errors[k], str(row["model"]), colour, marker))
    legend(axes, label_points(axes, names, [(line, line)]), loc="upper left")
    axes.set(xlabel="ρ/(1−ρ) (1)", ylabel="relative error of the one-step gradient (1)")
    axes.set_title("One step's error, by the contraction rate ρ", pad=8)
    return figure


def one_step_table(study: Study) -> list[Row]:
    """Returns a row for each model."""
    return [
        {
            "model": name,
            "setting": setting,
            "contraction_rate": rate,
            "rho_over_one_minus_rho": rate / (1 - rate),
            "relative_error": _error(found, setting),
        }
        for name, found in study.items()
        for setting in [s for s in _settings(found, "one_step") if s != _judge(found)][:1]
        if np.isfinite(rate := _rate(found, setting)) and 0 < rate < 1 and np.isfinite(_error(found, setting))
    ]


def one_step_words(study: Study) -> str:
    """Returns what the figure shows."""
    rows = one_step_table(study)
    ratios = [(float(r["relative_error"]) / float(r["rho_over_one_minus_rho"]), r) for r in rows]
    below = sum(ratio <= 1 for ratio, _ in ratios)
    parts = [
        f"{r['model']} {number(float(r['relative_error']))} at ρ = {rate(float(r['contraction_rate']))}"
        for _, r in ratios[:6]
    ]
    return (
        f"Error of the one-step gradient against ρ/(1−ρ), a point for each model (Bolte, Pauwels and Vaiter 2023): "
        f"{below} of {len(rows)} models are below the line. {'; '.join(parts)}."
    )


@styled
def neumann_decay(study: Study) -> Figure | None:
    """Returns the truncated series' error against its length beside ``ρᵏ`` (phantom gradients); None below three lengths."""
    curves = _curves(study, "truncated", _error)
    if not curves:
        return None
    figure, axes = _canvas()
    logarithmic(axes, "y", np.concatenate([np.maximum(c.y, FLOOR) for c in curves]))
    axes.set_xlim(0, max(float(c.x.max()) for c in curves) * 1.3)
    low = axes.get_ylim()[0]

    def expected(curve: _Curve) -> None:
        if np.isfinite(curve.rate) and 0 < curve.rate < 1 and curve.y[0] > 0:
            steps = np.linspace(curve.x[0], curve.x[-1], 120)
            fall = curve.y[0] * curve.rate ** (steps - curve.x[0])
            axes.plot(
                steps, np.where(fall >= low, fall, np.nan), color=QUIET, linewidth=1, linestyle=(0, (4, 2.5)), zorder=1
            )

    _draw(axes, curves, expected)
    axes.set(xlabel="sweeps differentiated (1)", ylabel="relative error (1)")
    axes.set_title("Truncated series: error by length", pad=8)
    footnote(figure, f"Dashed: from the first point as ρᵏ. {_floor_note(curves)}")
    return figure


def neumann_words(study: Study) -> str:
    """Returns what the figure shows."""
    parts = []
    for c in _curves(study, "truncated", _error)[:6]:
        good = np.flatnonzero((c.y > 1e-13) & (c.x > c.x[0]))
        if good.size and c.y[0] > 0:
            last = good[-1]
            seen = (c.y[last] / c.y[0]) ** (1 / (c.x[last] - c.x[0]))
            parts.append(f"{c.model} falls by {number(float(seen), 3)} a sweep (ρ = {rate(c.rate)})")
        else:
            parts.append(f"{c.model} ends at {number(float(c.y[-1]))}")
    return (
        f"Error of the truncated Neumann series against its length, beside lines that fall as ρᵏ: {'; '.join(parts)}."
    )


@styled
def unrolling(study: Study) -> Figure | None:
    """Returns the unrolled gradient's error against sweeps (Scieur et al. 2022); None below three settings."""
    curves = _curves(study, "unrolled", _error)
    if not curves:
        return None
    figure, axes = _canvas()
    _both_logarithmic(axes, curves)
    _draw(axes, curves, lambda curve: None, joined=True)
    axes.set(xlabel="sweeps unrolled (1)", ylabel="relative error (1)")
    axes.set_title("Unrolled from a cold start: error by sweeps", pad=8)
    footnote(figure, _floor_note(curves))
    return figure


def unrolling_words(study: Study) -> str:
    """Returns what the figure shows, and for whom the error grew first."""
    curves = _curves(study, "unrolled", _error)
    grew = [c for c in curves if c.y.max() > 1.05 * c.y[0]]
    parts = [f"{c.model} from {number(float(c.y[0]))} to {number(float(c.y[-1]))}" for c in curves[:6]]
    text = f"Error of the unrolled gradient against the sweeps unrolled (Scieur et al. 2022): {'; '.join(parts)}."
    if grew:
        peaks = [f"{c.model} (to {number(float(c.y.max()))} at {int(c.x[c.y.argmax()])})" for c in grew]
        text += f" It grows before it falls at {listed(peaks)}."
    return text


@styled
def memory(study: Study) -> Figure | None:
    """Returns temporary memory against sweeps, unrolled and implicit (Bendekgey et al. 2023); None below three settings."""
    curves = _curves(study, "unrolled", _mebibytes)
    if not curves:
        return None
    figure, axes = _canvas()
    logarithmic(axes, "x", np.concatenate([c.x for c in curves]))
    logarithmic(axes, "y", [v for c in curves for v in (*c.y, c.level)])
    axes.set_xlim(axes.get_xlim()[0] / 1.3, axes.get_xlim()[1] * 4)

    def implicit(curve: _Curve) -> None:
        if np.isfinite(curve.level):
            axes.plot(curve.x[[0, -1]], [curve.level] * 2, color=INK, linewidth=1, linestyle=(0, (4, 2.5)), zorder=1)

    _draw(axes, curves, implicit, joined=True)
    axes.set(xlabel="sweeps unrolled (1)", ylabel="temporary memory (MiB)")
    axes.set_title("Memory of the gradient, by sweeps", pad=8)
    if any(np.isfinite(c.level) for c in curves):
        footnote(figure, "Dashed: implicit, by conjugate gradients; the same for any number of sweeps.")
    return figure


def memory_words(study: Study) -> str:
    """Returns what the figure shows."""
    parts = []
    for c in _curves(study, "unrolled", _mebibytes)[:6]:
        tail = f", implicit {number(c.level)} MiB" if np.isfinite(c.level) else ""
        parts.append(
            f"{c.model} from {number(float(c.y[0]))} MiB at {int(c.x[0])} to {number(float(c.y[-1]))} MiB at {int(c.x[-1])}{tail}"
        )
    return (
        "Temporary memory of the compiled gradient against the sweeps unrolled (Bendekgey, Hope and Sudderth 2023): "
        f"{'; '.join(parts)}."
    )


def curve_table(plugin: str, value: Callable[[ModelResults, str], float], column: str) -> Callable[[Study], list[Row]]:
    """Returns the function that gives a curve's data, a row for each model and number of sweeps."""

    def table(study: Study) -> list[Row]:
        return [
            {"model": c.model, "sweeps": int(x), column: float(y), "contraction_rate": c.rate}
            | ({"implicit_memory_MiB": c.level} if column.endswith("MiB") else {})
            for c in _curves(study, plugin, value)
            for x, y in zip(c.x, c.y, strict=True)
        ]

    return table


def _canvas(width: float = _WIDTH):
    figure = Figure(figsize=(width, 3.75))
    return figure, panel(figure, 0.78, 0.34, width - 1.0, 2.65)


def _both_logarithmic(axes, curves: list[_Curve]) -> None:
    logarithmic(axes, "x", np.concatenate([c.x for c in curves]))
    logarithmic(axes, "y", np.concatenate([np.maximum(c.y, FLOOR) for c in curves]))
    axes.set_xlim(axes.get_xlim()[0] / 1.3, axes.get_xlim()[1] * 4)  # room for the names


def _draw(axes, curves: list[_Curve], beside: Callable[[_Curve], None], *, joined: bool = False) -> None:
    """Draws the curves and what lies beside each, and names them at their ends."""
    labels, lines = [], []
    curves = _together(curves)
    for k, curve in enumerate(curves):
        colour, marker = look(k) if k < _MODELS else (QUIET, ".")
        y = np.maximum(curve.y, FLOOR)
        beside(curve)
        axes.plot(curve.x, y, marker, color=colour, linestyle="-" if joined else "", linewidth=1.3, zorder=3)
        if k < _MODELS:
            at = _apart(curve, curves) if joined else -1
            labels.append(Label(float(curve.x[at]), float(y[at]), curve.model, colour, marker))
            lines.append((curve.x, y))
    left = label_points(axes, labels, lines)
    more = [Label(0, 0, f"{len(curves) - _MODELS} more models", QUIET, ".")] if len(curves) > _MODELS else []
    legend(axes, left + more, loc="best")


def _together(curves: list[_Curve]) -> list[_Curve]:
    """Returns the curves, models whose numbers are all the same as one."""
    kept: dict[tuple[float, ...], list[_Curve]] = {}
    for curve in curves:
        kept.setdefault((*curve.x, *curve.y), []).append(curve)
    return [
        _Curve(listed((c.model for c in same), 5), same[0].x, same[0].y, same[0].rate, same[0].level)
        for same in kept.values()
    ]


def _apart(curve: _Curve, curves: list[_Curve]) -> int:
    """Returns the position at which a curve is furthest from the others, in decades; the last if it is alone."""
    others = [c for c in curves if c is not curve]
    if not others:
        return len(curve.x) - 1
    own = np.log10(np.maximum(curve.y, FLOOR))
    distances = np.full(len(own), np.inf)
    for other in others:
        there = np.interp(np.log10(curve.x), np.log10(other.x), np.log10(np.maximum(other.y, FLOOR)))
        distances = np.minimum(distances, np.abs(own - there))
    return int(distances.argmax())


def _floor_note(curves: list[_Curve]) -> str:
    return "Errors of zero are drawn at 10⁻¹⁶." if any((c.y < FLOOR).any() for c in curves) else ""


def _curves(study: Study, plugin: str, value: Callable[[ModelResults, str], float]) -> list[_Curve]:
    curves = []
    for name, found in study.items():
        chosen = [s for s in _settings(found, plugin) if "sweeps" in settings(found.gradient[s]).get("parameters", {})]
        points = sorted((int(settings(found.gradient[s])["parameters"]["sweeps"]), value(found, s)) for s in chosen)
        points = [(x, y) for x, y in points if np.isfinite(y)]
        if len({x for x, _ in points}) < _LEAST:
            continue
        x, y = np.array(points, dtype=float).T
        implicit = _settings(found, "fisher_cg")[:1]
        level = _mebibytes(found, implicit[0]) if implicit else np.nan
        curves.append(_Curve(name, x, y, _rate(found, chosen[0]), level))
    return curves


def _settings(found: ModelResults, plugin: str) -> list[str]:
    """Returns the gradient settings of a plugin that were compared."""
    if found.comparison is None or "estimator" not in found.comparison:
        return []
    compared = found.comparison["estimator"].values
    return [name for name, d in found.gradient.items() if settings(d).get("plugin") == plugin and name in compared]


def _judge(found: ModelResults) -> str:
    """Returns the setting that the others are judged by."""
    assert found.comparison is not None
    return str(found.comparison["reference"].values[0])


def _error(found: ModelResults, setting: str) -> float:
    """Returns a setting's error against the judge; NaN for the judge, whose zero says nothing of how good it is."""
    if setting == _judge(found):
        return np.nan
    assert found.comparison is not None
    return float(found.comparison["relative_l2"].sel(estimator=setting, reference=_judge(found), group=ALL))


def _rate(found: ModelResults, setting: str) -> float:
    residual: xr.Dataset | None = found.residual.get(settings(found.gradient[setting]).get("at", ""))
    known = residual is not None and "eigenvalue" in residual and residual["eigenvalue"].size
    return float(residual["eigenvalue"][0]) if known and residual is not None else np.nan


def _mebibytes(found: ModelResults, setting: str) -> float:
    size = float(found.gradient[setting]["temporary_bytes"]) if "temporary_bytes" in found.gradient[setting] else -1
    return size / 2**20 if size >= 0 else np.nan


neumann_table = curve_table("truncated", _error, "relative_error")
unrolling_table = curve_table("unrolled", _error, "relative_error")
memory_table = curve_table("unrolled", _mebibytes, "temporary_memory_MiB")
