"""The posterior of any model: its expected statistics by their own dimensions, nothing else known of it."""

import math
import textwrap

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_PREFIX = "posterior_"
_COLUMNS = 3
_LINE = 30  # characters of a title
_BARS = 200  # more become a line
_TICKS = 10  # as many rows as can be labelled one by one


def expected_statistics(dataset: xr.Dataset) -> Figure:
    """Returns a panel for each expected statistic of an inference that has one dimension or two; others would not fit a page."""
    names = [str(name) for name in dataset.data_vars if str(name).startswith(_PREFIX)]
    shown = [name for name in names if dataset[name].ndim in (1, 2) and dataset[name].size]
    rows = max(math.ceil(len(shown) / _COLUMNS), 1)
    figure = Figure(figsize=(8, 0.3 + 2.1 * rows))
    panels = list(figure.subplots(rows, _COLUMNS, squeeze=False).flat)
    for axes, name in zip(panels, shown, strict=False):
        _draw(axes, dataset[name], figure)
        axes.set_title(textwrap.fill(str(dataset[name].attrs["long_name"]), _LINE), fontsize=8)
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    figure.suptitle(f"Expected statistics ({dataset.attrs['setting']})", fontsize=9)
    return figure


def _draw(axes: Axes, values: xr.DataArray, figure: Figure) -> None:
    if values.ndim == 1:
        draw = axes.bar if values.size <= _BARS else axes.plot
        draw(np.arange(values.size), values.values)
        axes.set(xlabel=str(values.dims[0]), ylabel=values.attrs["units"] if values.attrs["units"] != "1" else "")
        return
    # the longer dimension runs along the page
    wide = values.transpose(*sorted(values.dims, key=lambda dimension: values.sizes[dimension]))
    rows, columns = (np.arange(size + 1) - 0.5 for size in wide.shape)
    mesh = axes.pcolormesh(columns, rows, wide.values, cmap="cividis", rasterized=True)
    axes.set(xlabel=str(wide.dims[1]), ylabel=str(wide.dims[0]))
    if wide.shape[0] <= _TICKS:
        axes.set_yticks(range(wide.shape[0]))
    figure.colorbar(mesh, ax=axes, pad=0.02)
