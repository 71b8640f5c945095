"""What was held out and what is made of it: imputations and forecasts with their spread, beside the truth and the baselines."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from slds_core.report.figures.canvas import (
    COLOURS,
    INK,
    QUIET,
    WIDTH,
    footnote,
    name_steps,
    number,
    panel,
    plain,
    styled,
)
from slds_core.report.learnt import FORECAST, IMPUTED, METHODS, TASKS, Judged, channels, judged_sequences, methods
from slds_core.report.load import ModelResults

TITLE = "Held out, and predicted"
_CURVES = 6  # channels as curves at most; more are shown as an image
_BEFORE = 40  # steps shown before the first that was held out
_LEFT = 0.95


@styled
def predictions(results: ModelResults) -> Figure:
    """Returns predictions of the sequence of which most was held out: as curves with bands, or as images where there are many channels."""
    found, names = _most(results), _names(results)
    window = _window(found)
    draw = _curves if len(names) <= _CURVES else _images
    return draw(found, names, window, _note(results, found, len(names) <= _CURVES))


def describe(results: ModelResults) -> str:
    """Returns what the figure shows: each method's errors over all that was held out, and how often the truth is in the band."""
    assert results.model is not None
    sentences = []
    for code, task in TASKS.items():
        if f"training_{task}_scaled_error" not in results.model:
            continue
        errors = results.model[f"training_{task}_scaled_error"].values
        named = zip(methods(results.model), errors, strict=True)
        parts = [f"{METHODS.get(name, name)} {number(float(value))}" for name, value in named if np.isfinite(value)]
        inside = _coverage(results, code)
        sentences.append(
            f"Root mean square error of {task}, in units of each channel's scale: {', '.join(parts)}; "
            f"{number(100 * inside)} % of the entries lie within two of the model's standard deviations."
        )
    return " ".join(sentences)


def table(results: ModelResults) -> list[dict[str, Any]]:
    """Returns a row for each entry that was held out."""
    if not applies(results):
        return []
    names, rows = _names(results), []
    for found in judged_sequences(results):
        for t, c in np.argwhere(found.role >= IMPUTED):
            row: dict[str, Any] = {
                "sequence": found.number,
                "time_step": int(t),
                "channel": names[c],
                "asked": TASKS[int(found.role[t, c])],
                "value": float(found.values[t, c]),
            }
            for name, mean in found.mean.items():
                row[f"{name}_mean"] = float(mean[t, c])
                row[f"{name}_standard_deviation"] = float(found.deviation[name][t, c])
            rows.append(row)
    return rows


def applies(results: ModelResults) -> bool:
    """Returns whether something was held out and predicted."""
    return any((own.role >= IMPUTED).any() for own in judged_sequences(results))


def _names(results: ModelResults) -> list[str]:
    assert results.model is not None
    return channels(results.model)


def _most(results: ModelResults) -> Judged:
    return max(judged_sequences(results), key=lambda own: int((own.role >= IMPUTED).sum()))


def _window(found: Judged) -> tuple[int, int]:
    """Returns the steps to show: from a little before the first that was held out."""
    asked = np.flatnonzero((found.role >= IMPUTED).any(1))
    return max(int(asked[0]) - _BEFORE, 0), len(found.values)


def _coverage(results: ModelResults, code: int) -> float:
    inside = [
        np.abs(own.values - own.mean["model"])[own.role == code] <= 2 * own.deviation["model"][own.role == code]
        for own in judged_sequences(results)
    ]
    return float(np.concatenate(inside).mean())


def _curves(found: Judged, names: list[str], window: tuple[int, int], note: str) -> Figure:
    row = 0.95
    figure = Figure(figsize=(WIDTH, 0.32 + len(names) * (row + 0.27) + 0.75))
    steps = np.arange(*window)
    for k, name in enumerate(names):
        axes = panel(figure, _LEFT, 0.32 + k * (row + 0.27), WIDTH - _LEFT - 0.35, row)
        value, role = (array[window[0] : window[1], k] for array in (found.values, found.role))
        mean, deviation = (own["model"][window[0] : window[1], k] for own in (found.mean, found.deviation))
        axes.fill_between(
            steps, mean - 2 * deviation, mean + 2 * deviation, color=COLOURS[0], alpha=0.22, linewidth=0, zorder=1
        )
        axes.plot(steps, mean, color=COLOURS[0], linewidth=1.2, zorder=2)
        if "lds" in found.mean:
            other = found.mean["lds"][window[0] : window[1], k]
            axes.plot(steps[role >= IMPUTED], other[role >= IMPUTED], "x", color=COLOURS[1], markersize=3.5, zorder=5)
        axes.plot(steps[role == 1], value[role == 1], ".", color=QUIET, markersize=3, zorder=3)
        axes.plot(
            steps[role >= IMPUTED], value[role >= IMPUTED], "o", color=INK, fillstyle="none", markersize=4, zorder=4
        )
        axes.set_title(plain(name), pad=2, fontsize=8, fontweight="normal")
        axes.set_xlim(window[0] - 0.5, window[1] - 0.5)
        axes.locator_params(axis="y", nbins=4)
        axes.tick_params(labelbottom=k == len(names) - 1)
        if k == len(names) - 1:
            name_steps(axes, found.labels, *window)
    footnote(figure, note)
    return figure


def _images(found: Judged, names: list[str], window: tuple[int, int], note: str) -> Figure:
    """Draws channels over time as an image for the truth and for each method, on one scale, which the note says."""
    shown = {"truth": found.values} | {METHODS.get(name, name): own for name, own in found.mean.items()}
    row = min(max(0.075 * len(names), 0.55), 1.6)
    figure = Figure(figsize=(WIDTH, 0.2 + len(shown) * (row + 0.12) + 0.8))
    low, high = np.nanpercentile(found.values, [1, 99])  # single outliers would leave all else one colour
    limits = {"vmin": low, "vmax": high}
    for k, (name, values) in enumerate(shown.items()):
        axes = panel(figure, _LEFT, 0.2 + k * (row + 0.12), WIDTH - _LEFT - 0.35, row)
        cut = values[window[0] : window[1]].T
        extent = (window[0] - 0.5, window[1] - 0.5, len(names) - 0.5, -0.5)
        axes.imshow(cut, aspect="auto", cmap="cividis", interpolation="none", extent=extent, **limits)
        _outline(axes, found)
        axes.set_xlim(window[0] - 0.5, window[1] - 0.5)
        axes.set_yticks([])
        axes.set_ylabel(plain(name), rotation=0, ha="right", va="center")
        axes.tick_params(labelbottom=k == len(shown) - 1)
        if k == len(shown) - 1:
            name_steps(axes, found.labels, *window)
    scale = f"Colours: from {number(low)} to {number(high)}, the truth's 1st to 99th percentile; what is beyond is drawn as these."
    footnote(figure, f"{note} {scale}")
    return figure


def _outline(axes: Axes, found: Judged) -> None:
    """Marks where whole steps were held out."""
    whole = (found.role >= IMPUTED).any(1) & (found.role != 1).all(1)
    for edge in np.flatnonzero(np.diff(np.concatenate([[0], whole.astype(int), [0]]))):
        axes.axvline(edge - 0.5, color=COLOURS[1], linewidth=1.2)


def _note(results: ModelResults, found: Judged, curves: bool) -> str:
    asked = [word for code, word in ((IMPUTED, "imputed"), (FORECAST, "forecast")) if (found.role == code).any()]
    what = " and ".join(asked)
    if curves:
        text = (
            f"Circles: held out, {what}; points: given. Line and band: this model's mean and two standard deviations."
        )
        text += " Crosses: the LDS." if "lds" in found.mean else ""
    else:
        text = f"Each channel is a row. Between the lines: held out, {what}."
    count = len(judged_sequences(results))
    return text + (f" Sequence {plain(found.name) or found.number + 1} of {count} judged." if count > 1 else "")
