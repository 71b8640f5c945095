"""Trainings by several estimators: what each ended with, what it took, and how wrong its gradients were on the way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from slds_core.report.figures.canvas import (
    INK,
    QUIET,
    WIDTH,
    common_start,
    fitted,
    footnote,
    logarithmic,
    look,
    number,
    panel,
    plain,
    shortened,
    styled,
)
from slds_core.report.load import StudyResults
from slds_core.report.trainings import Contest, Training, contests

TITLE = "One model, learnt with several gradients"
_FLOOR = 1e-16  # errors below rounding are drawn here
_ROWS = 12  # estimators; more are in the table


@dataclass(frozen=True)
class _Strip:
    title: str
    unit: str
    value: Callable[[Training], float]
    asked: Callable[[Training], bool]  # whether a run that has no value has something to say by that
    logarithmic: bool = False


@styled
def estimators(study: StudyResults) -> Figure | None:
    """Returns the bounds and times of all trainings of one model, a dot each, and their gradients' errors by epoch; None below two.

    Bounds are set beside those of the most accurate gradients at the same seed, where none was judged of the study's first. Of several
    models the one learnt by most estimators is drawn.
    """
    found = _largest(study)
    if found is None:
        return None
    names = list(found.runs)[:_ROWS]
    start = common_start(names)
    brief = shortened(name.removeprefix(start) for name in names)
    rows = [brief[name.removeprefix(start)] for name in names]
    left = 0.3 + 0.069 * max(len(name) for name in rows)
    strips, curves = _strips(found), _curves(found, names)
    width = (WIDTH - left - 0.2 - (len(strips) - 1) * 0.22) / len(strips)
    titles = [fitted(strip.title, width) for strip in strips]
    top = 0.26 + 0.16 * max(title.count("\n") + 1 for title in titles)
    height = 0.24 * len(names) + 0.1
    figure = Figure(figsize=(WIDTH, top + height + 0.45 + (2.78 if curves else 0) + 0.42))
    for k, (strip, title) in enumerate(zip(strips, titles, strict=True)):
        axes = panel(figure, left + k * (width + 0.22), top, width, height)
        values = {name: np.array([strip.value(run) for run in found.runs[name]]) for name in names}
        if strip.logarithmic:
            logarithmic(axes, "x", [v for own in values.values() for v in own], most=3, least_decades=1)
        else:
            axes.axvline(0, color=QUIET, linewidth=1, zorder=1)
            axes.locator_params(axis="x", nbins=3)
        for y, name in enumerate(names):
            _strip(axes, y, values[name], [strip.asked(run) for run in found.runs[name]], *look(y))
        axes.set_yticks(range(len(names)), [plain(name) for name in rows] if k == 0 else [])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(strip.unit)
        axes.set_title(title, pad=8)
    if curves:
        _errors(panel(figure, 0.72, top + height + 0.78, WIDTH - 0.72 - 0.25, 1.85), curves)
    footnote(figure, _note(found, names, start))
    return figure


def _strips(found: Contest) -> list[_Strip]:
    """Returns what is shown of each run: of sequences held out, and of the way, only where a run has numbers of it."""
    runs = [run for own in found.runs.values() for run in own]
    unit, every = "Δ bound (nat per entry)", lambda run: True
    strips = [_Strip("Sequences learnt from", unit, lambda run: found.difference(run, "bound"), every)]
    if not all(np.isnan(run.held_out_bound) for run in runs):
        strips += [_Strip("Sequences held out", unit, lambda run: found.difference(run, "held_out_bound"), every)]
    if any(run.judged for run in runs):
        # what was not judged may have got there
        seconds, judged = found.seconds_to_target, lambda run: bool(run.judged)
        strips += [_Strip("Time to 9/10 gain", "processor time (s)", seconds, judged, logarithmic=True)]
    return strips


def _note(found: Contest, names: list[str], start: str) -> str:
    """Returns how to read what is drawn, and what was not judged."""
    judged = [bool(run.judged) for own in found.runs.values() for run in own]
    parts = ["A dot is a seed, a bar its estimator's mean."]
    parts += [f"Names begin with {plain(start)}."] if start else []
    parts += [
        f"Bounds are less that of {plain(found.reference.removeprefix(start))} at the same seed; a cross at the edge: not known"
    ]
    parts[-1] += ", of the time: never got there." if any(judged) else "."
    if any(judged):
        parts += ["Below, in the same colours: median and range over seeds."]
    missing = judged.count(False)
    if missing == len(judged):
        parts += ["Not judged on the way: set 'judge'."]
    elif missing:
        parts += [
            f"Of {missing if missing > 1 else 'one'} run{'s' if missing > 1 else ''} nothing was judged on the way: set 'judge'."
        ]
    if len(names) < len(found.runs):
        parts += [f"{len(found.runs) - len(names)} more estimators are in the table."]
    return " ".join(parts)


def describe(study: StudyResults) -> str:
    """Returns what the figure shows: each estimator's differences in the bounds with their range over seeds, and its gradients' error."""
    found = _largest(study)
    if found is None:
        return "No model was learnt by two estimators."
    first = found.runs[found.reference]
    bounds = np.array([run.bound for run in first if np.isfinite(run.bound)])
    count = f"{len(first)}" if bounds.size == len(first) else f"{bounds.size} of {len(first)}"
    end = f"ends at {_spread(bounds)} nats per entry" if bounds.size else "has no finite bound"
    over = f" (mean, and range over {count} seeds)" if bounds.size else ""
    sentences = [f"{found.reference}, {_why(found)}, {end} after {first[0].epochs} epochs{over}."]
    for name in list(found.runs)[1:]:
        learnt, unseen = (found.differences(name, quantity) for quantity in ("bound", "held_out_bound"))
        runs = len(found.runs[name])
        text = f"{name}: {_spread(learnt, runs)} from that"
        text += f", {_spread(unseen, runs)} on sequences held out" if unseen.size else ""
        error = found.error(name)
        if np.isfinite(error):
            text += f"; gradients off by {number(error)}"
        elif np.isinf(error):
            text += "; its gradients' errors are not finite"
        sentences.append(f"{text}.")
    return " ".join(sentences)


def table(study: StudyResults) -> list[dict[str, Any]]:
    """Returns a row for each training of the models that two estimators or more have learnt."""
    return [
        {
            "model": run.model,
            "estimator": name,
            "seed": run.seed,
            "epochs": run.epochs,
            "bound_nat_an_entry": run.bound,
            "bound_difference": found.difference(run, "bound"),
            "best_bound_nat_an_entry": run.best,
            "held_out_bound_nat_an_entry": run.held_out_bound,
            "held_out_bound_difference": found.difference(run, "held_out_bound"),
            "median_gradient_error": run.error,
            "cpu_time_s": run.cpu_seconds,
            "cpu_time_to_nine_tenths_s": found.seconds_to_target(run),
            "steps_unsolved": run.unsolved,
            "steps_fallen_back": run.fell_back,
            "steps_unconverged": run.unconverged,
            "epochs_shortened": run.shortened,
        }
        for found in contests(study)
        for name, runs in found.runs.items()
        for run in runs
    ]


def _why(found: Contest) -> str:
    """Returns why others are set beside the reference."""
    errors = [found.error(name) for name in found.runs]
    if np.isfinite(errors[0]):
        return f"whose gradients are the most accurate{' of those judged' * bool(np.isnan(errors).any())}"
    judged = "no gradients' error is finite" if np.isinf(errors).any() else "the gradients' accuracy was not judged"
    return f"the first in the study, which others are set beside since {judged}"


def _largest(study: StudyResults) -> Contest | None:
    return max(contests(study), key=lambda found: len(found.runs), default=None)


def _strip(axes: Axes, row: int, values: np.ndarray, asked: list[bool], colour: str, marker: str) -> None:
    """Draws one estimator's values, side by side in their order, with their mean; a cross where there is none that was asked for."""
    places = row + 0.16 * np.linspace(-1, 1, len(values)) if len(values) > 1 else np.array([float(row)])
    known = np.isfinite(values)
    axes.plot(values[known], places[known], marker, color=colour, markersize=4, alpha=0.85, zorder=3)
    if known.any():
        axes.plot([values[known].mean()] * 2, [row - 0.32, row + 0.32], color=colour, linewidth=2, zorder=2)
    for place in places[~known & np.array(asked)]:
        axes.plot(1, place, "x", color=INK, markersize=4, transform=axes.get_yaxis_transform(), clip_on=False, zorder=3)


def _curves(found: Contest, names: list[str]) -> dict[int, tuple[list[int], np.ndarray]]:
    """Returns the epochs at which all runs of an estimator were judged, and its gradients' errors there by run; by the estimator's row."""
    curves = {}
    for k, name in enumerate(names):
        judged = [{epoch: max(error, _FLOOR) for epoch, _, error, _ in run.judged} for run in found.runs[name]]
        epochs = sorted(set.intersection(*map(set, judged))) if judged else []
        if epochs:
            curves[k] = epochs, np.array([[own[epoch] for epoch in epochs] for own in judged])
    return curves


def _errors(axes: Axes, curves: dict[int, tuple[list[int], np.ndarray]]) -> None:
    """Draws the relative error of the gradients by epoch: median over seeds, and range."""
    drawn = []
    for k, (epochs, errors) in curves.items():
        colour, marker = look(k)
        middle = np.median(errors, axis=0)
        axes.fill_between(epochs, errors.min(0), errors.max(0), color=colour, alpha=0.15, linewidth=0)
        axes.plot(epochs, middle, color=colour, marker=marker, markersize=4, linewidth=1.2)
        drawn += list(errors.ravel())
    logarithmic(axes, "y", drawn)
    axes.set(xlabel="epoch", ylabel="relative error (1)")
    axes.set_title("Gradient of each step, beside a converged one at the same parameters", pad=8)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))


def _spread(values: np.ndarray, runs: int | None = None) -> str:
    """Returns mean and range, and of how many runs they are where it is not of all."""
    if not values.size:
        return "no known difference"
    of = "" if runs in (None, values.size) else f", {values.size} of {runs} seeds"
    return f"{number(float(values.mean()))} ({number(float(values.min()))} to {number(float(values.max()))}{of})"


def applies(study: StudyResults) -> bool:
    """Returns whether a model was learnt by two estimators or more."""
    return bool(contests(study))
