"""Cost: compile time, run time and memory of every setting."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from slds_core.report.figures.canvas import (
    COLOURS,
    INK,
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
from slds_core.report.load import ModelResults

TITLE = "Cost: compile time, run time and memory"
_ROWS = 44
_KINDS = {"inference": (COLOURS[2], "D"), "gradient": (COLOURS[0], "o")}


@dataclass(frozen=True)
class _Cost:
    kind: str
    name: str
    compile_seconds: float
    cached: bool
    run_seconds: float  # median
    fastest: float
    slowest: float
    mebibytes: float


@styled
def cost(results: ModelResults) -> Figure:
    """Returns compile time, run time (median and range) and temporary memory of each setting, the slowest first."""
    costs = _costs(results)
    if not costs:
        return note("Cost: nothing was timed.")
    shown = _chosen(costs)
    shown.sort(key=lambda c: (c.kind != "inference", -np.nan_to_num(c.run_seconds)))
    brief = shortened(c.name for c in shown)
    left = 0.3 + 0.069 * max(len(name) for name in brief.values())
    row = 0.19
    gaps = np.cumsum([i > 0 and c.kind != shown[i - 1].kind for i, c in enumerate(shown)]) * 0.9
    place = np.arange(len(shown)) + gaps
    height = row * (place[-1] + 1)
    figure = Figure(figsize=(WIDTH, 0.42 + height + 0.72))
    width = (WIDTH - left - 0.45 - 2 * 0.28) / 3
    panels = (
        ("Compile", "s", [c.compile_seconds for c in shown], None),
        ("Run", "s, median and range", [c.run_seconds for c in shown], [(c.fastest, c.slowest) for c in shown]),
        ("Temporary memory", "MiB", [c.mebibytes for c in shown], None),
    )
    for k, (title, unit, values, ranges) in enumerate(panels):
        axes = panel(figure, left + k * (width + 0.28), 0.42, width, height)
        spread = [v for pair in ranges for v in pair] if ranges else []
        logarithmic(axes, "x", [*values, *spread], most=max(2, min(4, int(width / 0.4))), least_decades=1)
        low, high = axes.get_xlim()
        axes.set_xlim(low, high * (high / low) ** 0.3)  # room for the numbers
        for y, c, value, pair in zip(place, shown, values, ranges or [None] * len(shown), strict=True):
            colour, marker = _KINDS[c.kind]
            if not np.isfinite(value) or value <= 0:
                axes.text(low, y, "  0" if value == 0 else "  unknown", va="center", fontsize=7, color=INK, alpha=0.8)
                continue
            hollow = k == 0 and c.cached
            axes.plot([low, value], [y, y], color=QUIET, linewidth=0.5, alpha=0.6, zorder=1)
            if pair and np.isfinite(pair).all():
                axes.plot(pair, [y, y], color=colour, linewidth=2.2, alpha=0.45, zorder=2, solid_capstyle="butt")
            axes.plot(value, y, marker, color=colour, fillstyle="none" if hollow else "full", markersize=5, zorder=3)
            furthest = max(value, pair[1]) if pair and np.isfinite(pair[1]) else value
            axes.annotate(
                _short(value), (furthest, y), (5, 0), textcoords="offset points", va="center", fontsize=7, color=INK
            )
        axes.set_yticks(place, [plain(brief[c.name]) for c in shown] if k == 0 else [])
        axes.set_ylim(place[-1] + 0.6, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"{title.lower()} ({unit})" if k != 2 else f"memory ({unit})")
        axes.set_title(title, pad=8)
    kinds = dict.fromkeys(c.kind for c in shown)
    words = [{"inference": "diamonds: inference", "gradient": "discs: gradients"}[kind] for kind in kinds]
    words += ["hollow: compiled before, from the cache"] if any(c.cached for c in shown) else []
    words += [f"{len(costs) - len(shown)} cheaper ones are in the table"] if len(shown) < len(costs) else []
    footnote(figure, "; ".join(words).capitalize())
    return figure


def describe(results: ModelResults) -> str:
    """Returns what the figure shows: the slowest and fastest run, the longest compilation, the most memory, by kind."""
    sentences = []
    for kind in _KINDS:
        costs = [c for c in _costs(results) if c.kind == kind and np.isfinite(c.run_seconds)]
        if not costs:
            continue
        slow, fast = max(costs, key=lambda c: c.run_seconds), min(costs, key=lambda c: c.run_seconds)
        text = f"{kind.capitalize()}: the slowest run is {slow.name} with {number(slow.run_seconds)} s"
        text += f", the fastest {fast.name} with {number(fast.run_seconds)} s" if len(costs) > 1 else ""
        compiled = [c for c in costs if np.isfinite(c.compile_seconds) and not c.cached]
        if compiled:
            longest = max(compiled, key=lambda c: c.compile_seconds)
            text += f"; the longest compilation {longest.name} with {number(longest.compile_seconds)} s"
        known = [c for c in costs if np.isfinite(c.mebibytes)]
        if known:
            most = max(known, key=lambda c: c.mebibytes)
            text += f"; the most temporary memory {most.name} with {number(most.mebibytes)} MiB"
        sentences.append(f"{text}.")
    return " ".join(sentences) or "Nothing was timed."


def table(results: ModelResults) -> list[dict[str, Any]]:
    """Returns a row for each setting."""
    return [
        {
            "kind": c.kind,
            "setting": c.name,
            "compile_time_s": c.compile_seconds,
            "compilation_cached": c.cached,
            "run_time_median_s": c.run_seconds,
            "run_time_fastest_s": c.fastest,
            "run_time_slowest_s": c.slowest,
            "temporary_memory_MiB": c.mebibytes,
        }
        for c in _costs(results)
    ]


def applies(results: ModelResults) -> bool:
    """Returns whether anything was timed."""
    return bool(_costs(results))


def _costs(results: ModelResults) -> list[_Cost]:
    found = [("inference", n, d) for n, d in results.inference.items()]
    found += [("gradient", n, d) for n, d in results.gradient.items()]
    return [_cost(kind, name, dataset) for kind, name, dataset in found if "run_seconds" in dataset]


def _cost(kind: str, name: str, dataset: xr.Dataset) -> _Cost:
    seconds = dataset["run_seconds"].values.astype(float)
    seconds = seconds[np.isfinite(seconds)]
    middle, fast, slow = (float(f(seconds)) for f in (np.median, np.min, np.max)) if seconds.size else (np.nan,) * 3
    memory = float(dataset["temporary_bytes"]) if "temporary_bytes" in dataset else np.nan
    compiled = float(dataset["compile_seconds"]) if "compile_seconds" in dataset else np.nan
    cached = "compilation_cached" in dataset and int(dataset["compilation_cached"]) == 1
    return _Cost(kind, name, compiled, cached, middle, fast, slow, memory / 2**20 if memory >= 0 else np.nan)


def _chosen(costs: list[_Cost]) -> list[_Cost]:
    """Returns all settings; of too many, the slowest."""
    return sorted(costs, key=lambda c: -np.nan_to_num(c.run_seconds))[:_ROWS] if len(costs) > _ROWS else list(costs)


def _short(value: float) -> str:
    return f"{value:.2g}" if 1e-3 <= value < 100 else f"{value:.0f}" if 100 <= value < 1e5 else number(value, 1)
