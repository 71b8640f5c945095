"""The posterior over time: probabilities of the discrete states, the most likely state sequence, smoothed latent means."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from slds_core.report.figures.canvas import COLOURS, INK, QUIET, WIDTH, footnote, number, panel, plain, styled
from slds_core.report.load import ModelResults
from slds_core.report.statistics import expected_statistics

TITLE = "Posterior over time"
_SEQUENCES = 4  # columns at most
_DIMENSIONS = 6  # rows at most
_POINTS = 600  # of a curve
_CLEAR = LinearSegmentedColormap.from_list("probability", [(0, 0.447, 0.698, 0.0), (0, 0.447, 0.698, 1.0)])
_NEEDED = {"posterior_marginals", "posterior_gaussian_mean", "posterior_gaussian_second_moment"}


@dataclass(frozen=True)
class _Sequence:
    index: int
    marginals: np.ndarray  # (T - 1, K)
    states: np.ndarray  # (T - 1,) most likely sequence
    mean: np.ndarray  # (T, D)
    deviation: np.ndarray  # (T, D)
    missing: np.ndarray  # (T,)


@styled
def posterior(results: ModelResults) -> Figure:
    """Returns state probabilities with the most likely state sequence, and smoothed latent means, of the best converged setting.

    Missing steps are shaded. Of many sequences the longest are shown, side by side; of a model that is no SLDS, its expected
    statistics as they are.
    """
    setting, dataset = _best(results)
    if not set(dataset.data_vars) >= _NEEDED:
        return expected_statistics(dataset)
    sequences = _sequences(results.model, dataset)
    shown = sorted(sorted(sequences, key=lambda s: -len(s.mean))[:_SEQUENCES], key=lambda s: s.index)
    states, latent = dataset["posterior_marginals"].shape[1], dataset["posterior_gaussian_mean"].shape[1]
    rows = min(latent, _DIMENSIONS)
    upper, lower = min(max(0.17 * states, 0.6), 2.4), 0.52
    figure = Figure(figsize=(WIDTH, 0.42 + upper + 0.42 + rows * (lower + 0.09) + 0.66))
    total = WIDTH - 0.72 - 0.25 - 0.18 * (len(shown) - 1)
    shares = np.array([max(len(s.mean), 1) for s in shown], dtype=float)
    shares = np.maximum(shares / shares.sum(), 0.12)
    widths, left = total * shares / shares.sum(), 0.72
    limits = [_limits([s.mean[:, d] for s in shown], [s.deviation[:, d] for s in shown]) for d in range(rows)]
    for column, (found, width) in enumerate(zip(shown, widths, strict=True)):
        first = column == 0
        axes = panel(figure, left, 0.42, width, upper)
        _draw_states(axes, found)
        axes.set_xlim(-0.5, max(len(found.mean) - 0.5, 0.5))
        axes.set_ylim(states - 0.5, -0.5)
        axes.set_yticks(range(0, states, max(states // 8, 1)))
        axes.tick_params(labelbottom=False, labelleft=first, length=0)
        axes.spines[:].set_visible(False)
        if first:
            axes.set_ylabel("state")
        if first:
            axes.set_title(
                "Probability of each discrete state; line: the most likely sequence", pad=14 if len(shown) > 1 else 6
            )
        if len(shown) > 1:
            axes.text(0, 1.02, f"sequence {found.index}", transform=axes.transAxes, va="bottom", fontsize=8, color=INK)
        for d in range(rows):
            axes = panel(figure, left, 0.42 + upper + 0.42 + d * (lower + 0.09), width, lower)
            _draw_latent(axes, found, d)
            axes.set(xlim=(-0.5, max(len(found.mean) - 0.5, 0.5)), ylim=limits[d])
            axes.tick_params(labelbottom=d == rows - 1, labelleft=first, labelsize=7)
            axes.locator_params(axis="y", nbins=3)
            if len(found.mean) > 2:
                axes.locator_params(axis="x", nbins=max(int(width * 1.6), 2), integer=True)
            else:
                axes.set_xticks(range(len(found.mean)))
            if d < rows - 1:
                axes.spines["bottom"].set_visible(False)
                axes.tick_params(axis="x", length=0)
            if first:
                axes.set_ylabel(f"z {d}", rotation=0, ha="left", va="center")
                axes.yaxis.set_label_coords(-0.62 / width, 0.5)
            if first and d == 0:
                axes.set_title("Smoothed latent means (1), bands of two standard deviations", pad=5)
            if d == rows - 1:
                axes.set_xlabel("time step")
        left += width + 0.18
    parts = [f"Setting {plain(setting)}. Blue: from probability 0 (clear) to 1."]
    if any(s.missing.any() for s in shown):
        parts.append("Shaded: steps without observation.")
    if len(sequences) > len(shown):
        parts.append(f"The {len(shown)} longest of {len(sequences)} sequences.")
    if latent > rows:
        parts.append(f"The first {rows} of {latent} dimensions.")
    footnote(figure, " ".join(parts))
    return figure


def describe(results: ModelResults) -> str:
    """Returns what the figure shows: which states are held for how long, how sure the posterior is, what is missing."""
    setting, dataset = _best(results)
    if not set(dataset.data_vars) >= _NEEDED:
        names = [str(n) for n in dataset.data_vars if str(n).startswith("posterior_")]
        return f"Expected statistics at {setting}: {len(names)} arrays, each over its own dimensions."
    sequences = _sequences(results.model, dataset)
    steps, states = sum(len(s.mean) for s in sequences), dataset["posterior_marginals"].shape[1]
    many = f" in {len(sequences)} sequences" if len(sequences) > 1 else ""
    text = f"Posterior at {setting}: {steps} time steps{many}, {states} states."
    path = np.concatenate([s.states for s in sequences]) if sequences else np.zeros(0, int)
    marginals = dataset["posterior_marginals"].values
    if path.size:
        share = np.bincount(path[path >= 0], minlength=states) / path.size
        switches = sum(int((np.diff(s.states) != 0).sum()) for s in sequences)
        sure = np.mean(marginals.max(1) > 0.9)
        text += (
            f" The most likely sequence switches {switches} times and is in state {int(share.argmax())} most, "
            f"{number(100 * float(share.max()))} % of the transitions; the most probable state has more than 0.9 probability "
            f"in {number(100 * float(sure))} %."
        )
    deviation = np.concatenate([s.deviation.ravel() for s in sequences]) if sequences else np.zeros(0)
    if np.isfinite(deviation).any():
        text += f" The latent means' median standard deviation is {number(float(np.nanmedian(deviation)))}."
    missing = sum(int(s.missing.sum()) for s in sequences)
    return text + (f" {missing} of {steps} steps are without observation." if missing else "")


def table(results: ModelResults) -> list[dict[str, Any]]:
    """Returns a row for each sequence and time step; the states are those of the transition that leaves it."""
    if not applies(results):
        return []
    _, dataset = _best(results)
    if not set(dataset.data_vars) >= _NEEDED:
        return [
            {"statistic": str(name), "position": "/".join(map(str, at)), "value": float(value)}
            for name in dataset.data_vars
            if str(name).startswith("posterior_") and dataset[name].ndim in (1, 2)
            for at, value in np.ndenumerate(dataset[name].values)
        ]
    rows: list[dict[str, Any]] = []
    for found in _sequences(results.model, dataset):
        for t in range(len(found.mean)):
            row: dict[str, Any] = {"sequence": found.index, "time_step": t, "observed": not found.missing[t]}
            inside = t < len(found.states)
            row["most_likely_state"] = int(found.states[t]) if inside else None
            for k in range(found.marginals.shape[1]):
                row[f"state_{k}_probability"] = float(found.marginals[t, k]) if inside else None
            for d in range(found.mean.shape[1]):
                row[f"latent_{d}_mean"] = float(found.mean[t, d])
                row[f"latent_{d}_standard_deviation"] = float(found.deviation[t, d])
            rows.append(row)
    return rows


def applies(results: ModelResults) -> bool:
    """Returns whether any inference has expected statistics."""
    return any(str(name).startswith("posterior_") for d in results.inference.values() for name in d.data_vars)


def _best(results: ModelResults) -> tuple[str, xr.Dataset]:
    """Returns the setting that came closest to the fixed point, by the last change of its state."""

    def last(item: tuple[str, xr.Dataset]) -> float:
        dataset = item[1]
        change = dataset["trace_residual_max"].values if "trace_residual_max" in dataset else np.zeros(0)
        return float(change[-1]) if change.size and np.isfinite(change[-1]) else np.inf

    with_posterior = {
        n: d for n, d in results.inference.items() if any(str(v).startswith("posterior_") for v in d.data_vars)
    }
    return min(with_posterior.items(), key=last)


def _sequences(model: xr.Dataset | None, dataset: xr.Dataset) -> list[_Sequence]:
    marginals, mean = dataset["posterior_marginals"].values, _finite(dataset["posterior_gaussian_mean"].values)
    second = _finite(np.diagonal(dataset["posterior_gaussian_second_moment"].values, axis1=1, axis2=2))
    deviation = np.sqrt(np.maximum(second - mean**2, 0))
    lengths = dataset["length"].values.astype(int) if "length" in dataset else np.array([len(mean)])
    sequences, begin, passed = [], 0, 0
    for index, length in enumerate(lengths):
        steps, transitions = slice(begin, begin + length), slice(passed, passed + max(length - 1, 0))
        part = dataset.isel(
            {d: s for d, s in {"packed_time": steps, "packed_transition": transitions}.items() if d in dataset.dims}
        )
        sequences.append(
            _Sequence(
                index,
                marginals[transitions],
                most_likely_states(model, part),
                mean[steps],
                deviation[steps],
                _missing(model, index, int(length), many="length" in dataset),
            )
        )
        begin, passed = begin + length, passed + max(length - 1, 0)
    return sequences


def most_likely_states(model: xr.Dataset | None, inference: xr.Dataset) -> np.ndarray:
    """Returns the most likely sequence of states under q(k), one sequence's (Viterbi); -1 where there are no numbers.

    Without the model's potentials, the most probable state of each transition alone.

    Args:
        model: the model's file, or nothing.
        inference: one sequence's expected statistics.
    """
    marginals = inference["posterior_marginals"].values
    if not len(marginals):
        return np.zeros(0, int)
    if not np.isfinite(marginals).all():
        return np.where(np.isfinite(marginals).all(1), np.nan_to_num(marginals).argmax(1), -1)
    unary = _unary_potentials(model, inference)
    if model is None or unary is None:
        return marginals.argmax(1)
    transition = model["discrete_transition"].values
    score, back = model["discrete_initial"].values + unary[0], np.zeros(unary.shape, int)
    for t in range(1, len(unary)):
        candidates = score[:, None] + transition
        back[t], score = candidates.argmax(0), candidates.max(0) + unary[t]
    path = np.empty(len(unary), int)
    path[-1] = score.argmax()
    for t in range(len(unary) - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    return path


def _unary_potentials(model: xr.Dataset | None, inference: xr.Dataset) -> np.ndarray | None:
    """Returns the discrete chain's log-potentials from the Gaussian chain's expected statistics; ``None`` if not an SLDS's."""
    needed = ("linear_current", "quadratic_current", "cross", "quadratic_next", "linear_next", "constant")
    names = [f"dynamics_{name}" for name in needed]
    if model is None or not {*names, "discrete_initial", "discrete_transition"} <= set(model.data_vars):
        return None
    if "posterior_gaussian_cross_moment" not in inference or model["discrete_initial"].ndim != 1:
        return None
    current, quadratic, cross, following, linear, constant = (model[name].values for name in names)
    mean, second = inference["posterior_gaussian_mean"].values, inference["posterior_gaussian_second_moment"].values
    unary = mean[:-1] @ current.T + mean[1:] @ linear.T + constant
    unary = unary + np.einsum("kij,tij->tk", quadratic, second[:-1]) + np.einsum("kij,tij->tk", following, second[1:])
    unary = unary + np.einsum("kij,tij->tk", cross, inference["posterior_gaussian_cross_moment"].values)
    return unary if unary.shape == inference["posterior_marginals"].shape and np.isfinite(unary).all() else None


def _missing(model: xr.Dataset | None, index: int, length: int, *, many: bool) -> np.ndarray:
    """Returns which steps have no observation: recognition potentials of zero."""
    if model is None or not {"recognition_quadratic", "recognition_linear"} <= set(model.data_vars):
        return np.zeros(length, bool)
    quadratic, linear = model["recognition_quadratic"].values, model["recognition_linear"].values
    if many:
        quadratic, linear = quadratic[index], linear[index]
    quadratic, linear = quadratic[:length], linear[:length]
    none = (quadratic.reshape(len(quadratic), -1) == 0).all(1) & (linear.reshape(len(linear), -1) == 0).all(1)
    return none if len(none) == length else np.zeros(length, bool)


def _draw_states(axes, found: _Sequence) -> None:
    steps, states = found.marginals.shape
    _shade(axes, found.missing)
    if not steps:
        axes.text(
            0.5,
            0.5,
            "one step:\nno transition",
            transform=axes.transAxes,
            ha="center",
            va="center",
            fontsize=7.5,
            color=INK,
        )
        return
    axes.imshow(
        found.marginals.T, cmap=_CLEAR, vmin=0, vmax=1, aspect="auto", interpolation="none",
        extent=(0, steps, states - 0.5, -0.5), zorder=1,
    )  # fmt: skip
    for boundary in range(1, states):
        axes.plot([0, steps], [boundary - 0.5] * 2, color=QUIET, linewidth=0.4, alpha=0.5, zorder=2)
    path = np.where(found.states >= 0, found.states, np.nan).astype(float)
    axes.stairs(path, np.arange(steps + 1), baseline=None, color=COLOURS[1], linewidth=1.3, zorder=3)


def _draw_latent(axes, found: _Sequence, dimension: int) -> None:
    _shade(axes, found.missing)
    mean, deviation = found.mean[:, dimension], found.deviation[:, dimension]
    time = np.arange(len(mean))
    if len(mean) > _POINTS:
        every = -(-len(mean) // _POINTS)
        time, mean, deviation = time[::every], mean[::every], deviation[::every]
    colour = COLOURS[0]
    if len(mean) == 1:
        axes.errorbar(time, mean, 2 * deviation, fmt="o", color=colour, capsize=3)
        return
    axes.fill_between(time, mean - 2 * deviation, mean + 2 * deviation, color=colour, alpha=0.25, linewidth=0)
    axes.plot(time, mean, color=colour, linewidth=1)


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)


def _shade(axes, missing: np.ndarray) -> None:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], missing.astype(int), [0]])))
    for start, end in edges.reshape(-1, 2):
        axes.axvspan(start - 0.5, end - 0.5, color=QUIET, alpha=0.28, linewidth=0, zorder=0)


def _limits(means: list[np.ndarray], deviations: list[np.ndarray]) -> tuple[float, float]:
    values = np.concatenate([np.concatenate([m - 2 * s, m + 2 * s]) for m, s in zip(means, deviations, strict=True)])
    values = values[np.isfinite(values)]
    if not values.size:
        return -1.0, 1.0
    low, high = float(values.min()), float(values.max())
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin
