"""The bound along training, and beside it the bound on sequences held out, of the model and of its baselines."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from slds_core.report.figures.canvas import COLOURS, INK, QUIET, WIDTH, footnote, number, panel, styled
from slds_core.report.learnt import METHODS, NOT_FINITE, held_out_bounds
from slds_core.report.load import ModelResults

TITLE = "Bound along training"  # what was held out has a panel of its own, where there is some


@styled
def learning(results: ModelResults) -> Figure:
    """Returns the bound by epoch; at its right the bounds on the sequences held out, where there are some."""
    bound, final, held_out = _numbers(results)
    figure = Figure(figsize=(WIDTH, 2.75))
    left, gap, right = 0.78, 0.5, 2.2
    width = WIDTH - left - 0.2 - (gap + right if held_out else 0)
    axes = panel(figure, left, 0.42, width, 1.5)
    axes.plot(np.arange(len(bound)), bound, color=COLOURS[0])
    if np.isfinite(final):
        axes.plot(len(bound), final, "o", color=COLOURS[0], clip_on=False, zorder=3)
        axes.annotate(
            number(final), (len(bound), final), (-4, 7), textcoords="offset points", ha="right", fontsize=8, color=INK
        )
    axes.set(xlabel="epochs before", ylabel="nat per entry", xlim=(0, max(len(bound), 1)))
    axes.margins(y=0.12)
    axes.locator_params(axis="x", integer=True)
    axes.set_title("Learnt from", pad=8)
    if held_out:
        axes = panel(figure, left + width + gap + 0.75, 0.42, right - 0.75, 1.5)
        for row, (name, value) in enumerate(held_out.items()):
            colour = COLOURS[0] if name == "model" else QUIET
            if not np.isfinite(value):
                axes.text(
                    0.5,
                    row,
                    NOT_FINITE,
                    transform=axes.get_yaxis_transform(),
                    ha="center",
                    va="center",
                    fontsize=8,
                    color=INK,
                )
                continue
            axes.plot(value, row, "o", color=colour, clip_on=False)
            axes.annotate(
                number(value), (value, row), (0, 6), textcoords="offset points", ha="center", fontsize=8, color=INK
            )
        axes.set_yticks(range(len(held_out)), [METHODS.get(name, name) for name in held_out])
        axes.set_ylim(len(held_out) - 0.5, -0.7)
        axes.margins(x=0.25)
        axes.tick_params(axis="y", length=0)
        axes.locator_params(axis="x", nbins=3)
        axes.set_xlabel("nat per entry")
        axes.set_title("Held out", pad=8)
    footnote(figure, _note(final, held_out))
    return figure


def _note(final: float, held_out: dict[str, float]) -> str:
    text = "Line: before each epoch's update. Higher is better."
    text += " Blue dot: after the last, inference converged." if np.isfinite(final) else ""
    return f"{text} Of the HMM the log-likelihood itself." if "hmm" in held_out else text


def describe(results: ModelResults) -> str:
    """Returns what the figure shows: where the bound began and ended, and how it compares on what was held out."""
    bound, final, held_out = _numbers(results)
    last = final if np.isfinite(final) or not len(bound) else float(bound[-1])
    text = f"After {len(bound)} epochs the bound is {number(last)} nats per observed entry"
    text += f", from {number(float(bound[0]))} at the warm start." if len(bound) else "."
    if held_out:
        others = [f"{METHODS.get(name, name)} {_said(value)}" for name, value in held_out.items() if name != "model"]
        text += f" On sequences held out it is {_said(held_out['model'])}"
        text += f"; {', '.join(others)}." if others else "."
    return text


def _said(value: float) -> str:
    return number(value) if np.isfinite(value) else NOT_FINITE


def table(results: ModelResults) -> list[dict[str, Any]]:
    """Returns a row for each epoch, and one for each method on the sequences held out."""
    if not applies(results):
        return []
    bound, final, held_out = _numbers(results)
    rows: list[dict[str, Any]] = [
        {"data": "learnt from", "method": "model", "epochs_before": epoch, "bound_nat_an_entry": float(value)}
        for epoch, value in enumerate([*bound, final])
    ]
    for name, value in held_out.items():
        rows.append(
            {"data": "held out", "method": name, "epochs_before": len(bound), "bound_nat_an_entry": float(value)}
        )
    return rows


def applies(results: ModelResults) -> bool:
    """Returns whether the model was learnt, and there is a bound to show."""
    if results.model is None or "training_bound" not in results.model:
        return False
    return bool(results.model["training_bound"].size or held_out_bounds(results.model))


def _numbers(results: ModelResults) -> tuple[np.ndarray, float, dict[str, float]]:
    assert results.model is not None
    model = results.model
    final = float(model["training_final_bound"]) if "training_final_bound" in model else np.nan
    return model["training_bound"].values, final, held_out_bounds(model)
