"""Regimes over time: the data, the probability of each state, and the intervals that the data source labels."""

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
    listed,
    name_steps,
    number,
    panel,
    plain,
    styled,
)
from slds_core.report.learnt import Learnt, channels, learnt_sequences
from slds_core.report.load import ModelResults

TITLE = "Regimes over time"
_CHANNELS = 5  # rows of data at most
_LEFT = 0.72


@styled
def regimes(results: ModelResults) -> Figure:
    """Returns data and state probabilities of the longest sequence learnt from, in one column over time; labelled intervals are shaded."""
    found, names = _longest(results), _names(results)[:_CHANNELS]
    row, upper = 0.62, 0.9
    figure = Figure(figsize=(WIDTH, 0.3 + len(names) * (row + 0.24) + 0.22 + upper + 0.85))
    width = WIDTH - _LEFT - 0.35
    for k, name in enumerate(names):
        axes = panel(figure, _LEFT, 0.3 + k * (row + 0.24), width, row)
        _shade(axes, found)
        axes.plot(found.values[:, k], color=INK, linewidth=0.9)
        alone = _alone(found.values[:, k])
        axes.plot(np.flatnonzero(alone), found.values[alone, k], ".", color=INK, markersize=4)
        axes.set_title(plain(name), pad=2, fontsize=8, fontweight="normal")
        axes.locator_params(axis="y", nbins=3)
        axes.set_xlim(-0.5, len(found.values) - 0.5)
        axes.tick_params(labelbottom=False, axis="x", length=0)
        axes.spines["bottom"].set_visible(False)
    axes = panel(figure, _LEFT, 0.3 + len(names) * (row + 0.24) + 0.2, width, upper)
    _stack(axes, found)
    axes.set_xlim(-0.5, len(found.values) - 0.5)
    name_steps(axes, found.labels, 0, len(found.values))
    axes.set_title("Probability of each state", pad=4)
    footnote(figure, _note(results, found))
    return figure


def describe(results: ModelResults) -> str:
    """Returns what the figure shows: how each state's time lies to the labelled intervals."""
    found = _longest(results)
    label = found.states.argmax(1)
    shares = np.bincount(label, minlength=found.states.shape[1]) / max(len(label), 1)
    text = "Most probable states by share of the transitions: " + ", ".join(
        f"{k}: {number(100 * float(share))} %" for k, share in enumerate(shares)
    )
    for name in dict.fromkeys(label for _, _, label in found.intervals):
        inside = _inside(found, name)[1:]
        parts = [f"{number(100 * float(inside[label == k].mean()))} % of state {k}" for k in np.unique(label)]
        text += f". Labelled '{name}': {number(100 * float(inside.mean()))} % of all steps, {listed(parts)}"
    return text + "."


def table(results: ModelResults) -> list[dict[str, Any]]:
    """Returns a row for each step of the sequence shown; the states are those of the transition that leads to it."""
    if not applies(results):
        return []
    found, names = _longest(results), _names(results)
    labels = dict.fromkeys(label for _, _, label in found.intervals)
    inside = {f"inside_{label}": _inside(found, label) for label in labels}
    of_states = [f"state_{k}_probability" for k in range(found.states.shape[1])]
    titles = _titles(names, {"time_step", "step_label", *of_states, *inside})
    rows = []
    for t in range(len(found.values)):
        states = found.states[t - 1].tolist() if t else [None] * found.states.shape[1]
        step: dict[str, Any] = {"time_step": t, "step_label": found.labels[t] if found.labels else ""}
        regime = dict(zip(of_states, states, strict=True)) | {name: bool(own[t]) for name, own in inside.items()}
        values = [
            None if np.isnan(value) else value for value in found.values[t].tolist()
        ]  # missing ones are left empty
        rows.append(step | dict(zip(titles, values, strict=True)) | regime)
    return rows


def _titles(channels: list[str], taken: set[str]) -> list[str]:
    """Returns the titles of the channels' columns: their names, which may be those of other columns, and then have a word before them."""
    titles = []
    for name in channels:
        title = name
        while title in taken or (title != name and title in channels):
            title = f"channel_{title}"
        titles.append(title)
    return titles


def applies(results: ModelResults) -> bool:
    """Returns whether the model was learnt, with two states or more, from two steps or more."""
    return any(own.states.shape[1] > 1 and len(own.states) > 0 for own in learnt_sequences(results))


def _names(results: ModelResults) -> list[str]:
    assert results.model is not None
    return channels(results.model)


def _longest(results: ModelResults) -> Learnt:
    return max(learnt_sequences(results), key=lambda own: len(own.values))


def _inside(found: Learnt, name: str) -> np.ndarray:
    steps = np.arange(len(found.values))
    return np.any([(start <= steps) & (steps < stop) for start, stop, own in found.intervals if own == name], axis=0)


def _alone(values: np.ndarray) -> np.ndarray:
    """Returns which values have no observed neighbour: no line would show them."""
    known = np.pad(np.isfinite(values), 1)
    return known[1:-1] & ~known[:-2] & ~known[2:]


def _shade(axes: Axes, found: Learnt) -> None:
    for start, stop, _ in found.intervals:
        axes.axvspan(start - 0.5, stop - 0.5, color=QUIET, alpha=0.28, linewidth=0, zorder=0)


def _stack(axes: Axes, found: Learnt) -> None:
    """Draws probabilities on top of each other; a transition is drawn at the step that it leads to."""
    steps = np.arange(1, len(found.values))
    below = np.zeros(len(steps))
    for k, own in enumerate(found.states.T):
        axes.fill_between(
            steps, below, below + own, step="mid", color=COLOURS[k % len(COLOURS)], linewidth=0, alpha=0.75
        )
        below = below + own
    for start, stop, _ in found.intervals:
        for edge in (start - 0.5, stop - 0.5):
            axes.axvline(edge, color=INK, linewidth=0.7)
    axes.set(ylim=(0, 1), yticks=(0, 0.5, 1))


def _note(results: ModelResults, found: Learnt) -> str:
    states = [f"{k} {_WORDS[k % len(_WORDS)]}" for k in range(found.states.shape[1])]
    parts = [f"States from below: {listed(states, most=len(states))}."]
    if found.intervals:
        names = listed(dict.fromkeys(plain(label) for _, _, label in found.intervals))
        parts.append(f"Shaded, and between lines below: {names}.")
    count = len(learnt_sequences(results))
    if count > 1:
        parts.append(f"Sequence {plain(found.name) or found.number}, the longest of {count}.")
    if len(_names(results)) > _CHANNELS:
        parts.append(f"The first {_CHANNELS} of {len(_names(results))} channels.")
    return " ".join(parts)


_WORDS = ("blue", "vermilion", "green", "pink", "orange", "light blue")
