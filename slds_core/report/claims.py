"""Figures across models and settings: what the literature claims, on this study's own problems."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from slds_core.report.curves import (
    Curve,
    compared_settings,
    curves_of,
    error_of,
    judge,
    mebibytes_of,
    not_finite,
    rate_at,
    series_of,
)
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
    shortened,
    styled,
)
from slds_core.report.figures.compared import FLOOR
from slds_core.report.figures.labels import Label, label_points, legend_below, legend_beside, write_clear
from slds_core.report.load import ModelResults, StudyResults

Row = dict[str, Any]

_WIDTH = 5.6
_MODELS = 6  # lines with names; more are grey
_SAID = 6  # models or curves of which a caption gives the numbers


@styled
def one_step_error(study: StudyResults) -> Figure | None:
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
    write_clear(axes, "shaded: error below ρ/(1−ρ)", zip(bounds, errors, strict=True))
    names, brief = [], shortened((str(r["model"]) for r in rows[:12]), 30)
    for k, row in enumerate(rows):
        colour, marker = look(k) if k < 12 else (QUIET, ".")
        axes.plot(bounds[k], errors[k], marker, color=colour, markersize=6, zorder=3)
        if k < 12:
            names.append(Label(bounds[k], errors[k], brief[str(row["model"])], colour, marker))
    legend_beside(axes, label_points(axes, names, [(line, line)]))
    axes.set(xlabel="ρ/(1−ρ) (1)", ylabel="relative error of the one-step gradient (1)")
    axes.set_title("One step's error, by the contraction rate ρ", pad=8)
    return figure


def one_step_table(study: StudyResults) -> list[Row]:
    """Returns a row for each model that can be drawn: ``0 < ρ < 1`` and the error is finite."""
    return [
        {
            "model": name,
            "setting": setting,
            "contraction_rate": rate,
            "rho_over_one_minus_rho": rate / (1 - rate),
            "relative_error": error,
        }
        for name, setting, rate, error in _one_steps(study)
        if 0 < rate < 1 and np.isfinite(error)
    ]


def _one_steps(study: StudyResults) -> list[tuple[str, str, float, float]]:
    """Returns each model's first one-step setting that is not the judge, with ρ and the error."""
    return [
        (name, setting, rate_at(found, setting), error_of(found, setting))
        for name, found in study.items()
        for setting in [s for s in compared_settings(found, "one_step") if s != judge(found)][:1]
    ]


def one_step_words(study: StudyResults) -> str:
    """Returns what the figure shows."""
    rows = one_step_table(study)
    above = [str(r["model"]) for r in rows if float(r["relative_error"]) > float(r["rho_over_one_minus_rho"])]
    parts = [
        f"{r['model']} {number(float(r['relative_error']))} at ρ = {rate(float(r['contraction_rate']))}" for r in rows
    ]
    text = (
        f"Error of the one-step gradient against ρ/(1−ρ), a point for each model (Bolte, Pauwels and Vaiter 2023): "
        f"{len(rows) - len(above)} of {len(rows)} models are below the line. "
    )
    text += f"Above it: {listed(above, _SAID)}. " if above else ""
    text += f"Errors, in the study's order: {_first(parts, 'models')}."
    drawn = {r["model"] for r in rows}
    lost = [
        f"{name} (error {number(e)}, ρ = {rate(rho)})" for name, _, rho, e in _one_steps(study) if name not in drawn
    ]
    return _joined(
        text, f"Not drawn, without a finite error or with ρ not between 0 and 1: {listed(lost, 6)}." if lost else ""
    )


@styled
def neumann_decay(study: StudyResults) -> Figure | None:
    """Returns the truncated series' error against its length beside ``ρᵏ`` (phantom gradients); None below three lengths."""
    curves = curves_of(study, "truncated", error_of)
    if not curves:
        return None
    figure, axes = _canvas()
    logarithmic(axes, "y", np.concatenate([np.maximum(c.y, FLOOR) for c in curves]))
    axes.set_xlim(0, max(float(c.x.max()) for c in curves) * 1.3)
    low = axes.get_ylim()[0]

    def expected(curve: Curve) -> None:
        if np.isfinite(curve.rate) and 0 < curve.rate < 1 and curve.y[0] > 0:
            steps = np.linspace(curve.x[0], curve.x[-1], 120)
            fall = curve.y[0] * curve.rate ** (steps - curve.x[0])
            axes.plot(
                steps, np.where(fall >= low, fall, np.nan), color=QUIET, linewidth=1, linestyle=(0, (4, 2.5)), zorder=1
            )

    _draw(axes, curves, expected)
    axes.set(xlabel="sweeps differentiated (1)", ylabel="relative error (1)")
    axes.set_title("Truncated series: error by length", pad=8)
    footnote(
        figure, _joined("Dashed: from the first point as ρᵏ.", _floor_note(curves), _lost_note(study, "truncated"))
    )
    return figure


def neumann_words(study: StudyResults) -> str:
    """Returns what the figure shows."""
    parts = []
    for c in curves_of(study, "truncated", error_of):
        good = np.flatnonzero((c.y > 1e-13) & (c.x > c.x[0]))
        if good.size and c.y[0] > 0:
            last = good[-1]
            seen = (c.y[last] / c.y[0]) ** (1 / (c.x[last] - c.x[0]))
            parts.append(f"{c.name} falls by {number(float(seen), 3)} a sweep (ρ = {rate(c.rate)})")
        else:
            parts.append(f"{c.name} ends at {number(float(c.y[-1]))}")
    text = f"Error of the truncated Neumann series against its length, beside lines that fall as ρᵏ: {_first(parts)}."
    return _joined(text, _lost(study, "truncated"))


@styled
def unrolling(study: StudyResults) -> Figure | None:
    """Returns the unrolled gradient's error against sweeps (Scieur et al. 2022); None below three settings."""
    curves = curves_of(study, "unrolled", error_of)
    if not curves:
        return None
    figure, axes = _canvas()
    _both_logarithmic(axes, curves)
    _draw(axes, curves, lambda curve: None, joined=True)
    axes.set(xlabel="sweeps unrolled (1)", ylabel="relative error (1)")
    axes.set_title("Unrolled from a cold start: error by sweeps", pad=8)
    footnote(figure, _joined(_floor_note(curves), _lost_note(study, "unrolled")))
    return figure


def unrolling_words(study: StudyResults) -> str:
    """Returns what the figure shows, for whom the error grew first, and for whom it did not fall again."""
    curves = curves_of(study, "unrolled", error_of)
    parts = [f"{c.name} from {number(float(c.y[0]))} to {number(float(c.y[-1]))}" for c in curves]
    text = f"Error of the unrolled gradient against the sweeps unrolled (Scieur et al. 2022): {_first(parts)}."
    grew = [c for c in curves if c.y.max() > 1.05 * c.y[0]]
    fell = [c for c in grew if c.y[-1] < c.y.max()]
    stayed = [c for c in grew if c.y[-1] == c.y.max()]
    return _joined(
        text,
        f"It grows before it falls at {_peaks(fell)}." if fell else "",
        f"It grows, and has not fallen again by the most sweeps, at {_peaks(stayed)}." if stayed else "",
        _lost(study, "unrolled"),
    )


def _peaks(curves: list[Curve]) -> str:
    return listed(f"{c.name} (to {number(float(c.y.max()))} at {int(c.x[c.y.argmax()])})" for c in curves)


@styled
def memory(study: StudyResults) -> Figure | None:
    """Returns temporary memory against sweeps, unrolled and implicit (Bendekgey et al. 2023); None below three settings."""
    curves = curves_of(study, "unrolled", mebibytes_of)
    if not curves:
        return None
    figure, axes = _canvas()
    logarithmic(axes, "x", np.concatenate([c.x for c in curves]))
    logarithmic(axes, "y", [v for c in curves for v in (*c.y, c.level)])
    axes.set_xlim(axes.get_xlim()[0] / 1.3, axes.get_xlim()[1] * 4)

    def implicit(curve: Curve) -> None:
        if np.isfinite(curve.level):
            axes.plot(curve.x[[0, -1]], [curve.level] * 2, color=INK, linewidth=1, linestyle=(0, (4, 2.5)), zorder=1)

    _draw(axes, curves, implicit, joined=True)
    axes.set(xlabel="sweeps unrolled (1)", ylabel="temporary memory (MiB)")
    axes.set_title("Memory of the gradient, by sweeps", pad=8)
    if any(np.isfinite(c.level) for c in curves):
        footnote(figure, "Dashed: implicit, by conjugate gradients; the same for any number of sweeps.")
    return figure


def memory_words(study: StudyResults) -> str:
    """Returns what the figure shows."""
    parts = []
    for c in curves_of(study, "unrolled", mebibytes_of):
        tail = f", implicit {number(c.level)} MiB" if np.isfinite(c.level) else ""
        parts.append(
            f"{c.name} from {number(float(c.y[0]))} MiB at {int(c.x[0])} to {number(float(c.y[-1]))} MiB at {int(c.x[-1])}{tail}"
        )
    return (
        "Temporary memory of the compiled gradient against the sweeps unrolled (Bendekgey, Hope and Sudderth 2023): "
        f"{_first(parts)}."
    )


def curve_table(
    plugin: str, value: Callable[[ModelResults, str], float], column: str
) -> Callable[[StudyResults], list[Row]]:
    """Returns the function that gives the data of a plugin's curves, a row for each setting; none where nothing is drawn."""

    def table(study: StudyResults) -> list[Row]:
        if not curves_of(study, plugin, value):
            return []
        return [
            {
                "model": s.model,
                "setting": p.setting,
                "at": s.at,
                "sweeps": p.sweeps,
                column: p.value,
                "contraction_rate": s.rate,
            }
            | ({"implicit_memory_MiB": s.level} if column.endswith("MiB") else {})
            for s in series_of(study, plugin, value)
            for p in s.points
        ]

    return table


def _canvas(width: float = _WIDTH):
    figure = Figure(figsize=(width, 3.75))
    return figure, panel(figure, 0.78, 0.34, width - 1.0, 2.65)


def _both_logarithmic(axes, curves: list[Curve]) -> None:
    logarithmic(axes, "x", np.concatenate([c.x for c in curves]))
    logarithmic(axes, "y", np.concatenate([np.maximum(c.y, FLOOR) for c in curves]))
    axes.set_xlim(axes.get_xlim()[0] / 1.3, axes.get_xlim()[1] * 4)  # room for the names


def _draw(axes, curves: list[Curve], beside: Callable[[Curve], None], *, joined: bool = False) -> None:
    """Draws the curves and what lies beside each, and names them at their ends."""
    labels, lines = [], []
    brief = shortened((c.name for c in curves), 30)
    curves = _together([replace(c, name=brief[c.name]) for c in curves])
    for k, curve in enumerate(curves):
        colour, marker = look(k) if k < _MODELS else (QUIET, ".")
        y = np.maximum(curve.y, FLOOR)
        beside(curve)
        axes.plot(curve.x, y, marker, color=colour, linestyle="-" if joined else "", linewidth=1.3, zorder=3)
        if k < _MODELS:
            at = _apart(curve, curves) if joined else -1
            labels.append(Label(float(curve.x[at]), float(y[at]), curve.name, colour, marker))
            lines.append((curve.x, y))
    left = label_points(axes, labels, lines)
    more = [Label(0, 0, f"{len(curves) - _MODELS} more curves", QUIET, ".")] if len(curves) > _MODELS else []
    legend_below(axes.figure, left + more)


def _together(curves: list[Curve]) -> list[Curve]:
    """Returns the curves, those whose numbers are all the same as one."""
    kept: dict[tuple[float, ...], list[Curve]] = {}
    for curve in curves:
        kept.setdefault((*curve.x, *curve.y), []).append(curve)
    return [replace(same[0], name=listed((c.name for c in same), 5)) for same in kept.values()]


def _apart(curve: Curve, curves: list[Curve]) -> int:
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


def _floor_note(curves: list[Curve]) -> str:
    return "Errors of zero are drawn at 10⁻¹⁶." if any((c.y < FLOOR).any() for c in curves) else ""


def _first(parts: list[str], what: str = "curves") -> str:
    """Returns what is said of each, of many of the first alone, and then how many are left out."""
    more = len(parts) - _SAID
    left = f"; and {more} more {what if more > 1 else what[:-1]}, in the figure's data" if more > 0 else ""
    return "; ".join(parts[:_SAID]) + left


def _joined(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


def _lost(study: StudyResults, plugin: str) -> str:
    """Returns the sentence on errors that cannot be drawn; empty if there are none."""
    named = [f"{model}'s {p.setting} ({number(p.value)})" for model, p in not_finite(study, plugin)]
    return f"Without a finite error, and so not drawn: {listed(named, 6)}." if named else ""


def _lost_note(study: StudyResults, plugin: str) -> str:
    """Returns the same in few words: a figure has room for two lines."""
    count = len(not_finite(study, plugin))
    return f"Not drawn: {count} without a finite error; the text names them." if count else ""


neumann_table = curve_table("truncated", error_of, "relative_error")
unrolling_table = curve_table("unrolled", error_of, "relative_error")
memory_table = curve_table("unrolled", mebibytes_of, "temporary_memory_MiB")
