"""Errors of the gradients by parameter group: a heat map."""

from typing import Any

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from slds_core.report.figures.canvas import (
    INK,
    MISSING,
    WIDTH,
    footnote,
    listed,
    note,
    number,
    panel,
    plain,
    shortened,
    styled,
    text_width,
)
from slds_core.report.figures.compared import ALL, compared, reference
from slds_core.report.load import ModelResults

TITLE = "Error of the gradient, by parameter group"
_ROWS = 40
_NAME = 8.0  # points
_RIGHT = 0.12  # inches beside the panel
_APART = 3.0  # points between the numbers of two cells
_LOWEST, _HIGHEST = -16.0, 0.0  # decades
# from a good blue through pale to a bad vermilion; told apart in all common colour blindnesses, and the numbers stand in the cells
_MAP = LinearSegmentedColormap.from_list("errors", ["#0072B2", "#7fb8d9", "#f2f0ea", "#eeae7c", "#D55E00"])
_DARK_BELOW = 0.14  # where white is read better than black


@styled
def gradient_errors(results: ModelResults) -> Figure:
    """Returns each estimator's relative difference from the first reference, by parameter group, the worst estimators first."""
    first = reference(results)
    assert results.comparison is not None
    errors = results.comparison["relative_l2"].sel(reference=first)
    groups = [str(g) for g in errors["group"].values if g != ALL] + [ALL]
    names = [str(n) for n in errors["estimator"].values if str(n) != first]
    if not names:
        return note(f"Gradient errors: nothing beside the reference {plain(first)}.")
    total = {n: float(errors.sel(estimator=n, group=ALL)) for n in names}
    order = sorted(names, key=lambda n: -np.nan_to_num(total[n], nan=np.inf))
    shown = order[:_ROWS]
    values = errors.sel(estimator=shown, group=groups).values.astype(float)
    brief, left, points = _layout(shown, len(groups), {_cell(v) for v in values.flat})
    families, short = _families(groups)
    row, top = 0.225, 0.5 + 0.045 * max(len(s) for s in short)
    left_out = len(order) - len(shown)
    noted = _noted(left_out, points is None)
    figure = Figure(figsize=(WIDTH, top + row * len(shown) + (0.55 if noted else 0.42)))
    axes = panel(figure, left, top, WIDTH - left - _RIGHT, row * len(shown))
    with np.errstate(divide="ignore"):
        decades = np.clip(np.log10(values), _LOWEST, _HIGHEST)
    shade = (decades - _LOWEST) / (_HIGHEST - _LOWEST)
    cells = [(i, j) for i, j in np.ndindex(shade.shape) if np.isfinite(shade[i, j])]
    colours = _MAP([shade[cell] for cell in cells])
    axes.add_collection(
        PolyCollection([_square(i, j, groups[j] == ALL) for i, j in cells], facecolors=colours, linewidths=0)
    )
    for (i, j), value in np.ndenumerate(values if points else values[:0]):
        colour = "white" if shade[i, j] < _DARK_BELOW else "black" if np.isfinite(shade[i, j]) else INK
        axes.text(j, i, _cell(value), ha="center", va="center", fontsize=points, color=colour)
    axes.set_yticks(range(len(shown)), [plain(brief[n]) for n in shown])
    axes.set_xticks(
        range(len(groups)), [plain(s) for s in short], rotation=38, ha="left", rotation_mode="anchor", fontsize=7.5
    )
    axes.xaxis.tick_top()
    axes.tick_params(length=0, pad=3)
    axes.tick_params(axis="x", pad=1)
    axes.spines[:].set_visible(False)
    for name, begin, end in families:
        axes.annotate(
            plain(name), ((begin + end) / 2, 1), (0, -row * 72 * len(shown) - 6), xycoords=("data", "axes fraction"),
            textcoords="offset points", ha="center", va="top", fontsize=7.5,
        )  # fmt: skip
        axes.plot([begin - 0.4, end + 0.4], [len(shown) - 0.42] * 2, color=INK, linewidth=0.8, clip_on=False)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(-0.5, len(groups) - 0.5)
    title = f"Relative difference from {plain(shortened([first], 40)[first])}, the worst first"
    height = figure.get_size_inches()[1]
    figure.text(0.1 / WIDTH, 1 - 0.22 / height, title, fontsize=9.5, fontweight="bold", va="center")
    if noted:
        footnote(figure, noted)
    return figure


def describe(results: ModelResults) -> str:
    """Returns what the figure shows: the best, the worst, and the group that suffers most."""
    rows = [
        row for row in table(results) if row["reference"] == reference(results) and row["estimator"] != row["reference"]
    ]
    total = sorted(
        (float(r["relative_l2"]), str(r["estimator"]))
        for r in rows
        if r["group"] == ALL and np.isfinite(float(r["relative_l2"]))
    )
    if not total:
        return f"No estimator but the reference {reference(results)} has a finite error."
    good = [n for e, n in total if e < 1e-6]
    every = [(float(r["relative_l2"]), str(r["estimator"])) for r in rows if r["group"] == ALL]
    lost = [f"{n} ({number(e)})" for e, n in every if not np.isfinite(e)]
    text = f"Against {reference(results)}: {len(good)} of {len(every)} estimators are within 10⁻⁶"
    text += f" ({listed(good, 5)})" if good else ""
    text += f". Without a finite error: {listed(lost, 5)}. Of the others, the worst" if lost else ". The worst"
    text += f" is {total[-1][1]} with {number(total[-1][0])}, the best {total[0][1]} with {number(total[0][0])}."
    single = [
        (float(r["relative_l2"]), str(r["group"]), str(r["estimator"]))
        for r in rows
        if r["group"] != ALL and np.isfinite(float(r["relative_l2"]))
    ]
    if single:
        worst = max(single)
        # a group's error is infinite where its reference is zero, though the error of all together is finite
        every_finite = all(np.isfinite(float(r["relative_l2"])) for r in rows)
        largest = "largest error" if every_finite else "largest finite error"
        text += f" The {largest} of a single group is {number(worst[0])}, in {worst[1]} by {worst[2]}."
    return text


def table(results: ModelResults) -> list[dict[str, Any]]:
    """Returns a row for each estimator, reference and group."""
    comparison = results.comparison
    if comparison is None or "relative_l2" not in comparison:
        return []
    measures = [m for m in ("relative_l2", "max_abs", "cosine", "abs_mean") if m in comparison]
    return [
        {"estimator": str(e), "reference": str(r), "group": str(g)}
        | {m: float(comparison[m].values[i, j, k]) for m in measures}
        for i, e in enumerate(comparison["estimator"].values)
        for j, r in enumerate(comparison["reference"].values)
        for k, g in enumerate(comparison["group"].values)
    ]


applies = compared


def _layout(names: list[str], columns: int, cells: set[str]) -> tuple[dict[str, str], float, float | None]:
    """Returns the rows' names, the panel's left edge in inches and the size of the numbers in points; None where they have no room.

    Names are cut before numbers become smaller than can be read: the table has the names, in full.
    """
    for points in (7.5, 6.3, 5.5) if columns <= 10 else (6.3, 5.5):
        least = max(text_width(cell, points) for cell in cells) + _APART
        for most in (36, 30, 24, 18):
            brief = shortened(names, most)
            left = 0.25 + max(text_width(name, _NAME) for name in brief.values()) / 72
            if (WIDTH - left - _RIGHT) * 72 / columns >= least:
                return brief, left, points
    brief = shortened(names)
    return brief, 0.25 + max(text_width(name, _NAME) for name in brief.values()) / 72, None


def _noted(left_out: int, without_numbers: bool) -> str:
    one = left_out == 1
    parts = []
    if left_out:
        parts.append(
            f"{left_out} {'estimator with a smaller error is' if one else 'estimators with smaller errors are'} "
            f"left out here; the table has {'it' if one else 'them'}."
        )
    if without_numbers:
        parts.append("The numbers find no room in the cells; the figure's data (CSV) have them.")
    return " ".join(parts)


def _square(row: int, column: int, last: bool) -> list[tuple[float, float]]:
    left, right = column - (0.42 if last else 0.48), column + 0.48
    return [(left, row - 0.47), (right, row - 0.47), (right, row + 0.47), (left, row + 0.47)]


def _cell(value: float) -> str:
    if not np.isfinite(value):
        return "∞" if np.isinf(value) else MISSING
    return (
        "0"
        if value == 0
        else f"{value:.2f}"
        if 0.01 <= value < 10
        else f"{value:.0e}".replace("e-0", "e−").replace("e-", "e−").replace("e+0", "e")
    )


def _families(groups: list[str]) -> tuple[list[tuple[str, int, int]], list[str]]:
    """Returns runs of groups whose names begin with the same word, with their ends; and the names without it."""
    words = [g.split("_", 1) for g in groups]
    families, short, begin = [], [], 0
    while begin < len(groups):
        end = begin
        while end + 1 < len(groups) and words[end + 1][0] == words[begin][0]:
            end += 1
        shared = end > begin and all(len(w) == 2 for w in words[begin : end + 1])
        if shared:
            families.append((words[begin][0], begin, end))
        short += [w[1].replace("_", " ") if shared else "_".join(w).replace("_", " ") for w in words[begin : end + 1]]
        begin = end + 1
    return families, short
