"""Figures: pure functions from a model's results to a matplotlib figure, usable by themselves."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib import style
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from slds_core.report.load import ModelResults
from slds_core.report.statistics import expected_statistics

STYLE = Path(__file__).parents[1] / "slds.mplstyle"
_MARKERS = "osD^vP*X"
_TINY = 1e-17  # stands for zero on a logarithmic axis

FigureFunction = Callable[[ModelResults], Figure]


def _styled(function: FigureFunction) -> FigureFunction:
    @wraps(function)
    def draw(results: ModelResults) -> Figure:
        with style.context(STYLE):
            return function(results)

    return draw


@_styled
def convergence(results: ModelResults) -> Figure:
    """Returns residual and distance from the best ELBO against sweeps, one line a setting (log scale)."""
    figure = Figure(figsize=(8, 3.2))
    left, right = figure.subplots(1, 2)
    best = max(float(np.nanmax(d["trace_elbo"])) for d in results.inference.values())
    # longest first, so that shorter runs of the same path stay visible on top of it
    ordered = sorted(results.inference.items(), key=lambda item: -int(item[1]["sweeps"]))
    for position, (name, dataset) in enumerate(ordered):
        sweeps = dataset["trace_sweeps"].values
        last = {"markevery": [-1], "marker": _MARKERS[position % len(_MARKERS)]}
        left.semilogy(sweeps, np.maximum(dataset["trace_residual_max"], _TINY), label=name, **last)
        gap = best - dataset["trace_elbo"].values
        right.semilogy(sweeps, np.where(gap > 0, gap, np.nan), **last)
    left.set(title="Residual", xlabel="sweeps and products", ylabel="largest change of the state")
    right.set(title="Gap to the best ELBO", xlabel="sweeps and products", ylabel="nats")
    left.legend()
    return figure


@_styled
def posterior(results: ModelResults) -> Figure:
    """Returns the states' probabilities and the smoothed latent means over time, of the setting furthest along.

    Of many sequences, the longest is shown; of a model that is no SLDS, its expected statistics as they are.
    """
    dataset = max(results.inference.values(), key=lambda d: int(d["sweeps"]))
    if not {"posterior_marginals", "posterior_gaussian_mean"} <= set(dataset.data_vars):
        return expected_statistics(dataset)
    dataset = _longest_sequence(dataset)
    figure = Figure(figsize=(8, 4))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.6))
    marginals = dataset["posterior_marginals"].values
    edges = np.arange(marginals.shape[0] + 1), np.arange(marginals.shape[1] + 1) - 0.5
    mesh = upper.pcolormesh(*edges, marginals.T, cmap="Blues", vmin=0, vmax=1, rasterized=True)
    upper.set(title=f"Probability of each discrete state ({dataset.attrs['setting']})", ylabel="state")
    upper.set_yticks(range(marginals.shape[1]))
    figure.colorbar(mesh, ax=upper, pad=0.01)
    mean = dataset["posterior_gaussian_mean"].values
    second = np.diagonal(dataset["posterior_gaussian_second_moment"].values, axis1=1, axis2=2)
    deviation = np.sqrt(np.maximum(second - mean**2, 0))
    time = np.arange(mean.shape[0])
    for k in range(mean.shape[1]):
        (line,) = lower.plot(time, mean[:, k], linewidth=1, label=f"dimension {k}")
        lower.fill_between(
            time,
            mean[:, k] - 2 * deviation[:, k],
            mean[:, k] + 2 * deviation[:, k],
            alpha=0.12,
            color=line.get_color(),
            linewidth=0,
        )
    lower.set(title="Smoothed latent means, bands of two standard deviations", xlabel="time step", ylabel="z")
    lower.legend(ncols=mean.shape[1], loc="upper right")
    return figure


def _longest_sequence(dataset: xr.Dataset) -> xr.Dataset:
    """Returns an inference with one sequence alone, the first of the longest."""
    if "length" not in dataset:
        return dataset
    lengths = dataset["length"].values
    chosen = int(np.argmax(lengths))
    start, length = int(lengths[:chosen].sum()), int(lengths[chosen])
    transitions = slice(start - chosen, start - chosen + length - 1)  # one fewer in each sequence before it
    return dataset.isel(packed_time=slice(start, start + length), packed_transition=transitions)


@_styled
def gradient_errors(results: ModelResults) -> Figure:
    """Returns the relative difference of each estimator from the first reference, by parameter group (heat map)."""
    comparison = results.comparison
    if comparison is None:
        raise ValueError("gradient_errors: expected results with a comparison, found none")
    reference = str(comparison["reference"].values[0])
    table = comparison["relative_l2"].sel(reference=reference).values
    figure = Figure(figsize=(8, 1.6 + 0.32 * table.shape[0]))
    axes = figure.subplots()
    shown = np.where(np.isfinite(table), np.maximum(table, 1e-16), np.nan)
    mesh = axes.imshow(shown, norm=LogNorm(1e-16, 1), cmap="cividis", aspect="auto")
    axes.set_xticks(range(table.shape[1]), comparison["group"].values, rotation=40, ha="right")
    axes.set_yticks(range(table.shape[0]), comparison["estimator"].values)
    for (row, column), value in np.ndenumerate(table):
        text = "0" if value == 0 else f"{value:.0e}".replace("e-0", "e-")
        axes.text(column, row, text, ha="center", va="center", fontsize=6.5, color="black" if value > 1e-8 else "white")
    axes.set_title(f"Relative difference from {reference}")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    figure.colorbar(mesh, ax=axes, pad=0.01)
    return figure


@_styled
def work_precision(results: ModelResults) -> Figure:
    """Returns each estimator's error against products, run time and memory (log scales), the Pareto front marked."""
    comparison = results.comparison
    if comparison is None:
        raise ValueError("work_precision: expected results with a comparison, found none")
    reference = str(comparison["reference"].values[0])
    names = [str(name) for name in comparison["estimator"].values if name != reference]
    errors = comparison["relative_l2"].sel(reference=reference, group="all")
    error = np.array([max(float(errors.sel(estimator=name)), 1e-16) for name in names])
    figure = Figure(figsize=(8, 3.4))
    panels = (
        ("products with the Jacobian", [max(float(results.gradient[n]["products"]), 0.5) for n in names]),
        ("run time (s)", [float(np.median(results.gradient[n]["run_seconds"])) for n in names]),
        ("temporary memory (byte)", [max(float(results.gradient[n]["temporary_bytes"]), 1) for n in names]),
    )
    for axes, (label, price) in zip(figure.subplots(1, 3, sharey=True), panels, strict=True):
        price = np.array(price)
        front = [
            not np.any((price <= p) & (error <= e) & ((price < p) | (error < e)))
            for p, e in zip(price, error, strict=True)
        ]
        for k, name in enumerate(names):
            filled = "full" if front[k] else "none"
            axes.plot(price[k], error[k], _MARKERS[k % len(_MARKERS)], color=f"C{k % 7}", fillstyle=filled, label=name)
        axes.set(xscale="log", yscale="log", xlabel=label)
    figure.axes[0].set(ylabel=f"error against {reference}", title="Filled: nothing is both cheaper and better")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


@_styled
def certificates(results: ModelResults) -> Figure:
    """Returns the certified error against the true one, for each estimator that has a certificate (log scales)."""
    comparison = results.comparison
    if comparison is None:
        raise ValueError("certificates: expected results with a comparison, found none")
    reference = str(comparison["reference"].values[0])
    figure = Figure(figsize=(4.6, 4))
    axes = figure.subplots()
    errors = comparison["relative_l2"].sel(reference=reference, group="all")
    for k, name in enumerate(comparison["estimator"].values):
        bound, error = float(comparison["certificate"].sel(estimator=name)), float(errors.sel(estimator=name))
        if np.isfinite(bound) and name != reference:
            axes.loglog(
                max(error, 1e-16), max(bound, 1e-16), _MARKERS[k % len(_MARKERS)], color=f"C{k % 7}", label=str(name)
            )
    low, high = 1e-17, 10
    axes.plot([low, high], [low, high], linewidth=0.8, color="0.5", zorder=0)
    axes.annotate("bound = error", (3e-6, 3e-6), rotation=45, fontsize=8, ha="center", va="top", color="0.4")
    axes.set(
        xlabel=f"true relative error, against {reference}",
        ylabel="certified relative error",
        xlim=(low, high),
        ylim=(low, high),
    )
    axes.legend()
    return figure


@_styled
def cost(results: ModelResults) -> Figure:
    """Returns compile time, run time and temporary memory of each estimator."""
    names = list(results.gradient)
    figure = Figure(figsize=(8, 1.1 + 0.3 * len(names)))
    panels = (
        ("Compile (s)", [float(d["compile_seconds"]) for d in results.gradient.values()]),
        ("Run, median (s)", [float(np.median(d["run_seconds"])) for d in results.gradient.values()]),
        ("Temporary memory (MiB)", [float(d["temporary_bytes"]) / 2**20 for d in results.gradient.values()]),
    )
    for axes, (title, values) in zip(figure.subplots(1, 3, sharey=True), panels, strict=True):
        bars = axes.barh(names, values, height=0.6)
        axes.bar_label(bars, [f"{value:.3g}" for value in values], padding=3, fontsize=7.5)
        axes.set(title=title, xlim=(0, 1.25 * max(values)), xticks=[])
        axes.invert_yaxis()
        axes.spines[["bottom", "left"]].set_visible(False)
        axes.tick_params(length=0)
    return figure
