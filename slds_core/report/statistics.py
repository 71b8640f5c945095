"""The posterior of any model: its expected statistics by their own dimensions, nothing else known of it."""

import math
import textwrap

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from slds_core.report.figures.canvas import COLOURS, INK, WIDTH, footnote, note, number, panel, plain

_PREFIX = "posterior_"
_COLUMNS = 2
_PANELS = 8
_LINE = 44  # characters of a title
_BARS = 60  # more become a line
_TICKS = 10  # as many rows as can be labelled one by one
_CELLS = 400_000  # more are thinned


def expected_statistics(dataset: xr.Dataset) -> Figure:
    """Returns a panel for each expected statistic of an inference that has one dimension or two; others would not fit a page."""
    names = [str(name) for name in dataset.data_vars if str(name).startswith(_PREFIX)]
    fit = [name for name in names if dataset[name].ndim in (1, 2) and dataset[name].size]
    shown = fit[:_PANELS]
    if not shown:
        return note(f"Posterior: {len(names)} expected statistics, none with one dimension or two.")
    rows = math.ceil(len(shown) / _COLUMNS)
    figure = Figure(figsize=(WIDTH, 0.1 + 2.15 * rows + 0.35))
    for position, name in enumerate(shown):
        left = 0.72 + (position % _COLUMNS) * 3.4
        _draw(panel(figure, left, 0.5 + (position // _COLUMNS) * 2.15, 2.75, 1.15), dataset[name])
    parts = [f"Setting {plain(dataset.attrs.get('setting', ''))}."]
    if len(names) > len(shown):
        parts.append(f"{len(names) - len(shown)} more statistics have other dimensions or no room.")
    footnote(figure, " ".join(parts))
    return figure


def _draw(axes: Axes, values: xr.DataArray) -> None:
    title, units = str(values.attrs.get("long_name", values.name)), str(values.attrs.get("units", "1"))
    if values.ndim == 1:
        _draw_line(axes, values.values.astype(float))
        axes.set(xlabel=_words(values.dims[0]), ylabel=f"({units})")
    else:
        # the longer dimension runs along the page
        wide = values.transpose(*sorted(values.dims, key=lambda dimension: values.sizes[dimension]))
        shown = wide.values.astype(float)
        low, high = _range(shown)
        every = math.ceil(shown.size / _CELLS)
        axes.imshow(
            np.ma.masked_invalid(shown[:, ::every]),
            cmap="cividis",
            vmin=low,
            vmax=high,
            aspect="auto",
            interpolation="none",
            extent=(-0.5, shown.shape[1] - 0.5, shown.shape[0] - 0.5, -0.5),
        )
        axes.set(xlabel=_words(wide.dims[1]), ylabel=_words(wide.dims[0]))
        if wide.shape[0] <= _TICKS:
            axes.set_yticks(range(wide.shape[0]))
        axes.spines[:].set_visible(False)
        inside = f", in {units}" if units != "1" else ""
        title += (
            f": {number(low)}{inside}" if low == high else f": {number(low)} (dark) to {number(high)} (bright){inside}"
        )
    axes.set_title(plain(textwrap.fill(title, _LINE)), fontsize=8, pad=5, color=INK)


def _draw_line(axes: Axes, values: np.ndarray) -> None:
    values = np.where(np.isfinite(values), values, np.nan)
    if values.size <= _BARS:
        axes.vlines(np.arange(values.size), 0, values, color=COLOURS[0], linewidth=1.2)
        axes.plot(values, "o", color=COLOURS[0], markersize=4)
        axes.axhline(0, color=INK, linewidth=0.6)
    else:
        axes.plot(values, color=COLOURS[0], linewidth=1)


def _range(values: np.ndarray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def _words(dimension: object) -> str:
    return plain(str(dimension).replace("_", " "))
