"""Work and precision: each estimator's error against what it costs."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from slds_core.report.figures.canvas import (
    COLOURS,
    INK,
    MARKERS,
    QUIET,
    WIDTH,
    footnote,
    logarithmic,
    note,
    number,
    panel,
    plain,
    shortened,
    styled,
)
from slds_core.report.figures.compared import FLOOR, Estimate, compared, estimates, pareto, reference
from slds_core.report.figures.labels import Label, columns_of, label_points, legend
from slds_core.report.load import ModelResults

TITLE = "Error against cost"
_NAMED = 20  # estimators with their own mark; of more, only the front is named
_PRICES = (
    ("products", "products with the Jacobian (1)", "products"),
    ("seconds", "run time (s)", "run_time_s"),
    ("mebibytes", "temporary memory (MiB)", "temporary_memory_MiB"),
)


@styled
def work(results: ModelResults) -> Figure:
    """Returns each estimator's error against its products, run time and memory (log scales), the Pareto fronts drawn and named."""
    found = [e for e in estimates(results) if np.isfinite(e.error)]
    if not found:
        return note(f"Error against cost: no finite error beside the reference {plain(reference(results))}.")
    found.sort(key=lambda e: e.error)
    fronts = [pareto([getattr(e, price) for e in found], [e.error for e in found]) for price, _, _ in _PRICES]
    few = len(found) <= _NAMED
    keyed = list(range(len(found))) if few else [i for i in range(len(found)) if any(f[i] for f in fronts)][:_NAMED]
    marks = {i: _mark(k) for k, i in enumerate(keyed)}
    brief = shortened((found[i].name for i in keyed), 40)
    columns = columns_of(brief[found[i].name] for i in keyed)
    rows = -(-len(keyed) // columns)
    figure = Figure(figsize=(WIDTH, 3.05 + 0.17 * rows + 0.22))
    for k, ((price, label, _), front) in enumerate(zip(_PRICES, fronts, strict=True)):
        axes = panel(figure, 0.72 + k * 2.2, 0.32, 1.95, 2.2)
        prices = [_drawn(getattr(e, price), price) for e in found]
        errors = [max(e.error, FLOOR) for e in found]
        logarithmic(axes, "x", prices, most=4)
        logarithmic(axes, "y", errors, most=8)
        axes.set_xlim(axes.get_xlim()[0] / 1.25, axes.get_xlim()[1] * 1.25)
        low, high = axes.get_ylim()
        axes.set_ylim(low / 2, high * 2)
        best = sorted((prices[i], errors[i]) for i in range(len(found)) if front[i])
        steps = [(x, y) for (x, _), (_, y) in zip(best[1:], best, strict=False)]  # the corners between them
        joined = np.array(sorted([*best, *steps], key=lambda p: (p[0], -p[1]))).reshape(-1, 2).T
        axes.plot(*joined, color=QUIET, linewidth=1, zorder=1)
        for i, (x, y) in enumerate(zip(prices, errors, strict=True)):
            if i in marks:
                colour, marker = marks[i]
                axes.plot(x, y, marker, color=colour, fillstyle="full" if front[i] else "none", markersize=6, zorder=3)
            else:
                axes.plot(x, y, ".", color=QUIET, markersize=4, alpha=0.7, zorder=2)
        names = [Label(prices[i], errors[i], brief[found[i].name], marks[i][0]) for i in marks if front[i]]
        others = [(np.array([x]), np.array([y])) for x, y in zip(prices, errors, strict=True)]
        label_points(axes, names, clear=[*others, (joined[0], joined[1])])
        axes.set(xlabel=label)
        axes.tick_params(labelleft=k == 0)
        if not k:
            axes.set_ylabel("relative error (1)")
            axes.set_title("Filled, joined: nothing is both cheaper and better", pad=8)
    handles = [Label(0, 0, brief[found[i].name], *marks[i], filled=any(f[i] for f in fronts)) for i in keyed]
    legend(
        figure.axes[0], handles, loc="upper left", bbox_to_anchor=(0.1 / WIDTH, (0.17 * rows + 0.34) / figure.get_size_inches()[1]),
        bbox_transform=figure.transFigure, ncols=columns, columnspacing=1.2, labelspacing=0.35, borderaxespad=0,
    )  # fmt: skip
    text = f"Errors are against {plain(reference(results))}. From the best to the worst, down the columns."
    footnote(figure, text if few else f"{text} Grey dots: {len(found) - len(keyed)} others, in the table.")
    return figure


def describe(results: ModelResults) -> str:
    """Returns what the figure shows: the Pareto fronts, with the numbers of their best and their cheapest."""
    found = sorted((e for e in estimates(results) if np.isfinite(e.error)), key=lambda e: e.error)
    if not found:
        return f"No estimator has a finite error against {reference(results)}."
    best = found[0]
    sentences = [
        f"The smallest error against {reference(results)} is {number(best.error)}, by {best.name}: {_price(best)}."
    ]
    for price, _, _ in _PRICES[:2]:
        front = pareto([getattr(e, price) for e in found], [e.error for e in found])
        names = [f"{e.name} ({number(e.error)})" for e, on in zip(found, front, strict=True) if on]
        what = "products" if price == "products" else "run time"
        if names:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            sentences.append(f"On the Pareto front in {what}: {', '.join(names[:5])}{more}.")
    return " ".join(sentences)


def table(results: ModelResults) -> list[dict[str, Any]]:
    """Returns a row for each estimator, with its prices and on which Pareto fronts it is."""
    found = estimates(results) if compared(results) else []
    fronts = {price: pareto([getattr(e, price) for e in found], [e.error for e in found]) for price, _, _ in _PRICES}
    return [
        {"estimator": e.name, "reference": reference(results), "verdict": e.verdict, "relative_error": e.error}
        | {column: getattr(e, price) for price, _, column in _PRICES}
        | {f"on_front_of_{price}": fronts[price][i] for price, _, _ in _PRICES}
        for i, e in enumerate(found)
    ]


applies = compared


def _mark(position: int) -> tuple[str, str]:
    colours = (*COLOURS, INK)
    return colours[position % len(colours)], MARKERS[(position + position // len(colours)) % len(MARKERS)]


def _drawn(value: float, price: str) -> float:
    """Returns a price on a logarithmic axis: no products at all are drawn at a half."""
    return max(value, 0.5) if price == "products" else value if value > 0 else np.nan


def _price(found: Estimate) -> str:
    return f"{number(found.products)} products, {number(found.seconds)} s, {number(found.mebibytes)} MiB"
