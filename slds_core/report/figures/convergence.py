"""Convergence: residual and gap to the best bound, against sweeps and against time, with what the spectrum predicts."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
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
    rate,
    shortened,
    styled,
    thinned,
)
from slds_core.report.figures.labels import Label, label_points, legend_below
from slds_core.report.load import ModelResults, settings
from slds_core.report.rows import convergence_rows

TITLE = "Convergence: residual and gap to the best ELBO"
_NAMED = 8  # lines; more would be a tangle
_QUIET = 60  # further ones, in grey
_POINTS = 240  # of a line
_BELOW = 1e3  # how far below rounding the axis reaches
_ANCHOR = 10  # sweeps; the first contract otherwise than the last
_PANELS = (
    ("residual", "sweeps", "Residual against sweeps", "largest change of the state (1)", "sweeps and products"),
    ("residual", "seconds", "Residual against run time", "", "run time (s)"),
    ("gap", "sweeps", "Gap to the best ELBO against sweeps", "gap (nat)", "sweeps and products"),
    ("gap", "seconds", "Gap to the best ELBO against run time", "", "run time (s)"),
)


@dataclass(frozen=True)
class _Trace:
    name: str
    status: str
    sweeps: np.ndarray
    seconds: np.ndarray
    residual: np.ndarray
    gap: np.ndarray
    rate: float  # λ by which sweeps are predicted; NaN where unknown, or where sweeping was not the method
    tolerance: float

    @property
    def last(self) -> float:
        """The last residual, infinite where it is no number."""
        return float(self.residual[-1]) if len(self.residual) and np.isfinite(self.residual[-1]) else math.inf


@styled
def convergence(results: ModelResults) -> Figure:
    """Returns residual and distance from the best ELBO, against sweeps and against run time, a line for each setting.

    Dashed: what the spectrum's largest eigenvalue at the most converged state predicts for sweeps. Dotted: the tolerances.
    Shaded: below rounding.
    """
    traces = _traces(results)
    if not any(_positive(t.residual).any() for t in traces):
        return note("Convergence: no setting has a trace with a finite residual above zero.")
    named, quiet = _chosen(traces)
    # as far as it goes, a setting looks the same in all models' figures
    places = {t.name: k for k, t in enumerate(traces if len(traces) <= _NAMED else named)}
    looks = [look(places[t.name]) for t in named]
    figure = Figure(figsize=(WIDTH, 5.6))
    rounding, unnamed = _rounding(results), list[Label]()
    brief = shortened((t.name for t in named), 40)
    for position, (what, against, title, ylabel, xlabel) in enumerate(_PANELS):
        axes = panel(figure, 0.72 + (position % 2) * 3.3, 0.32 + (position // 2) * 2.62, 2.95, 1.85)
        _draw(axes, named, looks, quiet, what, against, rounding[what])
        axes.set_title(title, pad=8)
        axes.set(xlabel=xlabel, ylabel=ylabel)
        axes.locator_params(axis="x", nbins=5)  # short times have long labels
        if position % 2:
            axes.tick_params(labelleft=False)
        lines = [(getattr(t, against), getattr(t, what)) for t in named]
        if position == 0:
            across = np.array(axes.get_xlim())
            lines += [(across, np.full(2, t.tolerance)) for t in named if math.isfinite(t.tolerance)][:1]
            ends = [
                _end(t, brief[t.name], *own, what, against, _floor(axes)) for t, own in zip(named, looks, strict=True)
            ]
            unnamed = label_points(axes, [e for e in ends if e], lines)
    legend_below(figure, unnamed)
    footnote(figure, _legend_text(traces, named, quiet, _settled(results)[0]))
    return figure


def describe(results: ModelResults) -> str:
    """Returns what the figure shows: who converged, how fast, and what was predicted."""
    traces = _traces(results)
    if not traces:
        return "No inference setting has a trace."
    sentences = []
    ended = sorted(traces, key=lambda t: t.last)
    best = ended[0]
    if math.isfinite(best.last):
        sentences.append(
            f"The smallest last change of the state is {number(best.last)}, by {best.name} after "
            f"{number(best.sweeps[-1])} sweeps and products and {number(best.seconds[-1])} s."
        )
    rows = {row.setting: row for row in convergence_rows(results)}  # what the table says
    done = [t for t in traces if rows[t.name].tone == "good"]
    if done:
        first = min(done, key=lambda t: t.sweeps[-1])
        sentences.append(
            f"{len(done)} of {len(traces)} settings reached the fixed point, {first.name} with the fewest sweeps and products "
            f"({number(first.sweeps[-1])})."
        )
    else:
        sentences.append(f"None of {len(traces)} settings reached the fixed point.")
    others = [t for t in traces if rows[t.name].tone != "good"]
    if others:
        worst = ", ".join(f"{t.name} ({rows[t.name].verdict}, {number(t.last)})" for t in others[:3])
        sentences.append(f"Not there: {worst}{f' and {len(others) - 3} more' if len(others) > 3 else ''}.")
    for trace in [t for t in ended if _predictable(t)][:1]:
        own = results.residual.get(trace.name)
        measured = float(own["measured_rate"]) if own is not None and "measured_rate" in own else math.nan
        tail = f"; {rate(measured)} was measured for {trace.name}" if np.isfinite(measured) else ""
        sentences.append(
            f"The spectrum at {_settled(results)[0]}, the most converged, predicts that a sweep leaves "
            f"λ = {rate(trace.rate)} of the residual{tail}."
        )
    return " ".join(sentences)


def table(results: ModelResults) -> list[dict[str, Any]]:
    """Returns a row for each setting and iteration."""
    return [
        {
            "setting": trace.name,
            "iteration": n,
            "sweeps_and_products": float(trace.sweeps[n]),
            "run_time_s": float(trace.seconds[n]),
            "residual_max": float(trace.residual[n]),
            "elbo_gap_nat": float(trace.gap[n]),
            "predicted_residual_max": float(predicted[n]),
        }
        for trace in _traces(results)
        for predicted in [_prediction(trace)]
        for n in range(len(trace.residual))
    ]


def applies(results: ModelResults) -> bool:
    """Returns whether any inference left a trace."""
    return bool(_traces(results))


def _traces(results: ModelResults) -> list[_Trace]:
    found = {n: d for n, d in results.inference.items() if "trace_residual_max" in d and d["trace_residual_max"].size}
    bounds = [d["trace_elbo"].values for d in found.values() if "trace_elbo" in d]
    finite = np.concatenate([b[np.isfinite(b)] for b in bounds]) if bounds else np.zeros(0)
    best = float(finite.max()) if finite.size else math.nan
    settled = _settled(results)[1]
    return [_trace(name, dataset, best, settled) for name, dataset in found.items()]


def _settled(results: ModelResults) -> tuple[str, float]:
    """Returns the most converged of the settings with a spectrum and its λ: elsewhere λ is not that of the fixed point."""
    found = []
    for name, dataset in results.residual.items():
        if "eigenvalue" in dataset and dataset["eigenvalue"].size and np.isfinite(dataset["eigenvalue"][0]):
            left = float(dataset["residual_max"]) if "residual_max" in dataset else math.nan
            found.append((left if math.isfinite(left) else math.inf, name, float(dataset["eigenvalue"][0])))
    _, name, largest = min(found, key=lambda one: one[0], default=(math.inf, "", math.nan))
    return name, largest


def _trace(name: str, dataset: xr.Dataset, best: float, settled: float) -> _Trace:
    change = dataset["trace_residual_max"].values.astype(float)
    chosen = settings(dataset)
    parameters = chosen.get("parameters", {})
    by_sweeps = chosen.get("plugin") == "coordinate_ascent"
    by_change = parameters.get("criterion", "residual") == "residual"
    empty = np.full(change.shape, np.nan)
    return _Trace(
        name,
        str(dataset.attrs.get("status", "")),
        dataset["trace_sweeps"].values.astype(float),
        dataset["trace_seconds"].values.astype(float) if "trace_seconds" in dataset else empty,
        change,
        best - dataset["trace_elbo"].values.astype(float) if "trace_elbo" in dataset else empty,
        settled if by_sweeps else math.nan,
        float(parameters.get("tolerance") or math.nan) if by_change else math.nan,
    )


def _chosen(traces: list[_Trace]) -> tuple[list[_Trace], list[_Trace]]:
    """Returns the settings to name, longest first so that shorter runs of the same path stay visible, and the others.

    Of too many, named are those with the smallest last residual, fewest sweeps first, and the worst.
    """
    if len(traces) > _NAMED:
        best = sorted(traces, key=lambda t: (t.status != "converged", t.sweeps[-1]))[: _NAMED - 2]
        worst = sorted((t for t in traces if t not in best), key=lambda t: -t.last)[:2]
        named = best + worst
    else:
        named = traces
    quiet = [t for t in traces if not any(t is n for n in named)]
    return sorted(named, key=lambda t: -len(t.sweeps)), quiet[:_QUIET]


def _rounding(results: ModelResults) -> dict[str, float]:
    """Returns below what residuals and bounds are rounding: the coarsest of the settings' precisions."""
    precisions = {str(d.attrs.get("precision", "float64")) for d in results.inference.values()}
    unit = float(np.finfo("float32" if "float32" in precisions else "float64").eps)
    bounds = [np.abs(d["trace_elbo"].values) for d in results.inference.values() if "trace_elbo" in d]
    finite = [float(b[np.isfinite(b)].max()) for b in bounds if np.isfinite(b).any()]
    return {"residual": unit, "gap": unit * max(finite) if finite and max(finite) > 0 else math.nan}


def _draw(
    axes: Axes,
    named: list[_Trace],
    looks: list[tuple[str, str]],
    quiet: list[_Trace],
    what: str,
    against: str,
    rounding: float,
) -> None:
    shown = [*named, *quiet]
    values = np.concatenate([getattr(t, what) for t in shown] or [np.zeros(0)])
    tolerances = sorted({t.tolerance for t in shown if what == "residual" and math.isfinite(t.tolerance)})
    values = np.where(values < rounding / _BELOW, np.nan, values) if math.isfinite(rounding) else values
    logarithmic(axes, "y", [*values, *tolerances, *([rounding * 0.6] if math.isfinite(rounding) else [])])
    low, high = axes.get_ylim()
    floor = _floor(axes)
    for trace in quiet:
        at = thinned(len(trace.sweeps), 60)
        x, y = getattr(trace, against)[at], getattr(trace, what)[at]
        axes.plot(x, _drawn(y, floor), color=QUIET, alpha=0.5, linewidth=0.6, rasterized=True)
    for trace, (colour, marker) in zip(named, looks, strict=True):
        at = thinned(len(trace.sweeps), _POINTS)
        x, y = getattr(trace, against)[at], getattr(trace, what)[at]
        y = _drawn(y, floor)
        visible = np.flatnonzero(np.isfinite(y))
        axes.plot(x, y, color=colour, marker=marker, markevery=visible[-1:].tolist(), zorder=3)
        if what == "residual" and _predictable(trace):
            predicted = _prediction(trace)[at]
            predicted = np.where(predicted >= max(low, rounding), predicted, np.nan)
            axes.plot(x, predicted, color=INK, linewidth=1, linestyle=(0, (4, 2.5)), zorder=4)
    right = max(
        (float(np.nanmax(getattr(t, against))) for t in shown if np.isfinite(getattr(t, against)).any()), default=1.0
    )
    axes.set_xlim(0, (right or 1.0) * 1.04)
    for tolerance in tolerances[:3]:
        axes.axhline(tolerance, color=QUIET, linewidth=1, linestyle=":", zorder=1)
    if math.isfinite(rounding) and rounding > low:
        axes.axhspan(low, rounding, color=QUIET, alpha=0.18, linewidth=0, zorder=0)
    axes.set_ylim(low, high)


def _end(trace: _Trace, name: str, colour: str, marker: str, what: str, against: str, floor: float) -> Label | None:
    y = _drawn(getattr(trace, what), floor)
    visible = np.flatnonzero(np.isfinite(y))
    if not visible.size:
        return None
    return Label(float(getattr(trace, against)[visible[-1]]), float(y[visible[-1]]), name, colour, marker)


def _predictable(trace: _Trace) -> bool:
    return 0 < trace.rate < 1 and len(trace.residual) > _ANCHOR + 1 and bool(_positive(trace.residual)[_ANCHOR])


def _prediction(trace: _Trace) -> np.ndarray:
    """Returns the residual as it would fall from the anchor at the rate λ; NaN before it, and where nothing is predicted."""
    predicted = np.full(trace.residual.shape, np.nan)
    if _predictable(trace):
        steps = trace.sweeps[_ANCHOR:] - trace.sweeps[_ANCHOR]
        predicted[_ANCHOR:] = trace.residual[_ANCHOR] * trace.rate**steps
    return predicted


def _positive(values: np.ndarray) -> np.ndarray:
    return np.isfinite(values) & (values > 0)


def _floor(axes: Axes) -> float:
    """Returns where zero is drawn: at the lower end of a logarithmic axis, with room for half a mark."""
    low, high = axes.get_ylim()
    return low * (high / low) ** 0.02


def _drawn(values: np.ndarray, floor: float) -> np.ndarray:
    """Returns values as they are drawn: zero, and what is smaller than the axis shows, at its floor, so that no line breaks there."""
    known = np.isfinite(values) & (values >= 0)
    return np.where(known, np.maximum(values, floor), np.nan)


def _legend_text(traces: list[_Trace], named: list[_Trace], quiet: list[_Trace], settled: str) -> str:
    parts = []
    predicted = [t for t in named if _predictable(t)]
    if predicted:
        at = plain(shortened([settled], 40)[settled])
        parts.append(f"dashed: predicted from λ = {rate(predicted[0].rate)} at {at}, the most converged")
    tolerances = sorted({t.tolerance for t in traces if math.isfinite(t.tolerance)})
    if tolerances:
        parts.append(f"dotted: tolerance {listed(number(t, 1) for t in tolerances[:3])}")
    parts.append("shaded: below rounding")
    if any((getattr(t, what) == 0).any() for t in [*named, *quiet] for what in ("residual", "gap")):
        parts.append("zeros: at the lower end")
    if quiet:
        parts.append(f"grey: {len(quiet)} of {len(traces) - len(named)} other settings")
    text = "; ".join(parts)
    return text[:1].upper() + text[1:]  # names keep their letters
