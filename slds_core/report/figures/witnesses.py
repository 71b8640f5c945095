"""Witnesses: how far the references agree with one another, by parameter group."""

from itertools import combinations
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from slds_core.report.figures.canvas import (
    INK,
    QUIET,
    WIDTH,
    footnote,
    listed,
    logarithmic,
    look,
    note,
    number,
    panel,
    plain,
    shortened,
    styled,
)
from slds_core.report.figures.compared import ALL, FLOOR
from slds_core.report.figures.labels import Label, legend
from slds_core.report.load import ModelResults
from slds_core.study.verdicts import unfit

TITLE = "Do the witnesses agree?"
_GROUPS = 30
_PAIRS = 6


@styled
def witnesses(results: ModelResults) -> Figure:
    """Returns the relative differences between the references, by parameter group, beside what finite differences can resolve."""
    pairs = _pairs(results)[:_PAIRS]
    assert results.comparison is not None
    groups = [str(g) for g in results.comparison["group"].values]
    groups = sorted((g for g in groups), key=lambda g: g != ALL)[:_GROUPS]
    found = {pair: _differences(results, pair, groups) for pair in pairs}
    resolution = _resolution(results, groups)
    every = [max(v, FLOOR) for values in [*found.values(), *resolution.values()] for v in values if np.isfinite(v)]
    if not every:
        return note("Witnesses: no finite difference between two of them.")
    left = 0.3 + 0.068 * max(len(g) for g in groups)
    entries = len(pairs) + len(resolution)
    figure = Figure(figsize=(WIDTH, 0.35 + 0.2 * len(groups) + 0.55 + 0.19 * entries + 0.15))
    axes = panel(figure, left, 0.35, WIDTH - left - 0.2, 0.2 * len(groups))
    logarithmic(axes, "x", every, most=9)
    low, high = axes.get_xlim()
    axes.set_xlim(low / 2, high * 2)
    place = np.arange(len(groups))
    for row in place:
        axes.axhline(float(row), color=QUIET, linewidth=0.4, alpha=0.45, zorder=0)
    labels, brief = [], shortened((name for pair in pairs for name in pair), 34)
    for values in resolution.values():
        axes.plot(np.maximum(values, FLOOR), place, "|", color=INK, markersize=9, markeredgewidth=1.4, zorder=2)
    for k, (pair, values) in enumerate(found.items()):
        colour, marker = look(k)
        axes.plot(np.maximum(values, FLOOR), place + 0.16 * (k - (len(found) - 1) / 2), marker, color=colour, zorder=3)
        words = f"{brief[pair[0]]} against {brief[pair[1]]}: {number(values[groups.index(ALL)])} in all"
        labels.append(Label(0, 0, words, colour, marker))
    labels += [
        Label(0, 0, f"what {shortened([name])[name]} can resolve, by its own estimate", INK, "|") for name in resolution
    ]
    axes.set_yticks(place, [plain(g.replace("_", " ")) for g in groups])
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("relative difference (1); further left is closer")
    axes.set_title("Differences between the witnesses", pad=8)
    legend(
        axes, labels, loc="lower left", bbox_to_anchor=(0.1 / WIDTH, 0.24 / figure.get_size_inches()[1]),
        bbox_transform=figure.transFigure, borderaxespad=0, labelspacing=0.3,
    )  # fmt: skip
    more = len(results.comparison["group"]) - len(groups), len(_pairs(results)) - len(pairs)
    if any(more):
        kinds = [f"{n} more {kind}{'s' if n > 1 else ''}" for n, kind in zip(more, ("group", "pair"), strict=True) if n]
        are = "are" if sum(more) > 1 else "is"
        footnote(figure, f"{listed(kinds)} {are} in the figure's data (CSV).")
    elif min(every) <= FLOOR:
        footnote(figure, "Exact agreement is drawn at 10⁻¹⁶.")
    return figure


def describe(results: ModelResults) -> str:
    """Returns what the figure shows: each pair's difference in all, and in the worst group."""
    sentences = []
    assert results.comparison is not None
    groups = [str(g) for g in results.comparison["group"].values if str(g) != ALL]
    for pair in _pairs(results)[:_PAIRS]:
        total = _differences(results, pair, [ALL])[0]
        text = f"{pair[0]} and {pair[1]} differ by {number(total)} in all"
        parts = _differences(results, pair, groups)
        if np.isfinite(parts).any():
            worst = int(np.nanargmax(np.where(np.isfinite(parts), parts, np.nan)))
            text += f", most in {groups[worst]} ({number(parts[worst])})"
        sentences.append(f"{text}.")
    for name, values in _resolution(results, [ALL]).items():
        sentences.append(f"{name} resolves {number(values[0])} by its own estimate.")
    statuses = {name: dataset.attrs.get("status", "") for name, dataset in results.gradient.items()}
    for name in results.comparison["reference"].values.tolist():
        if reason := unfit(statuses.get(name, "")):
            sentences.append(f"{name} {reason}: it is compared with, but is no witness.")
    return " ".join(sentences)


def table(results: ModelResults) -> list[dict[str, Any]]:
    """Returns a row for each pair of witnesses and group."""
    if not applies(results) or results.comparison is None:
        return []
    groups = [str(g) for g in results.comparison["group"].values]
    resolution = _resolution(results, groups)
    return [
        {"witness": pair[0], "against": pair[1], "group": group, "relative_l2": float(value)}
        | {"resolution_of_against": float(resolution[pair[1]][k]) if pair[1] in resolution else None}
        for pair in _pairs(results)
        for k, (group, value) in enumerate(zip(groups, _differences(results, pair, groups), strict=True))
    ]


def applies(results: ModelResults) -> bool:
    """Returns whether there are two witnesses to compare."""
    return results.comparison is not None and "relative_l2" in results.comparison and bool(_pairs(results))


def _pairs(results: ModelResults) -> list[tuple[str, str]]:
    """Returns the pairs of references of which at least one is a whole gradient, as (estimator, reference)."""
    assert results.comparison is not None
    whole = {str(name) for name in results.comparison["estimator"].values}
    names = [str(name) for name in results.comparison["reference"].values]
    pairs = [(a, b) if a in whole else (b, a) for a, b in combinations(names, 2)]
    return [(a, b) for a, b in pairs if a in whole]


def _differences(results: ModelResults, pair: tuple[str, str], groups: list[str]) -> np.ndarray:
    assert results.comparison is not None
    return (
        results.comparison["relative_l2"].sel(estimator=pair[0], reference=pair[1], group=groups).values.astype(float)
    )


def _resolution(results: ModelResults, groups: list[str]) -> dict[str, np.ndarray]:
    """Returns for each reference that knows it how well it resolves each group."""
    found = results.comparison
    if found is None or "resolution" not in found:
        return {}
    values = {
        str(r): found["resolution"].sel(reference=r, group=groups).values.astype(float)
        for r in found["reference"].values
    }
    return {name: row for name, row in values.items() if np.isfinite(row).any()}
