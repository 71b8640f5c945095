"""What was learnt from data, and what it is worth on what was held out: a part for each model, as training left it last."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from markupsafe import Markup

from slds_core.report.formats import short
from slds_core.report.learnt import METHODS, NOT_FINITE, TASKS, applicable, held_out_bounds, methods
from slds_core.report.load import settings
from slds_core.report.page import Page, Section
from slds_core.report.tables import Column, Table, text


@dataclass(frozen=True)
class MethodRow:
    """One method on what was held out."""

    method: str
    bound: float | None
    bound_error: float | None  # none where no samples are drawn
    imputation: float | None
    imputation_density: float | None
    forecast: float | None
    forecast_density: float | None


@dataclass(frozen=True)
class ChannelRow:
    """One channel's errors of one task, by method, in the channel's own units."""

    task: str
    channel: str
    units: str
    errors: dict[str, float | None]


def last_models(page: Page) -> list[str]:
    """Returns the models that were learnt, of those that differ by their epochs alone the one with most."""
    found: dict[str, tuple[int, str]] = {}
    for name, results in page.results.items():
        if results.model is not None and "training_data" in results.model:
            said = settings(results.model)
            parameters = dict(said["parameters"])
            epochs = int(results.model.sizes.get("epoch", 0))
            parameters.pop("epochs", None)
            key = json.dumps([said["plugin"], parameters], sort_keys=True)
            found[key] = max(found.get(key, (epochs, name)), (epochs, name), key=lambda own: own[0])
    return [name for _, name in found.values()]


def method_rows(model: xr.Dataset) -> list[MethodRow]:
    """Returns a row for each method."""
    bounds = held_out_bounds(model)
    return [
        MethodRow(
            METHODS.get(name, name),
            bounds.get(name),
            _standard_error(model, number),
            *(
                _of_method(model, f"training_{task}_{what}", number)
                for task in TASKS.values()
                for what in ("scaled_error", "log_density")
            ),
        )
        for number, name in enumerate(methods(model))
    ]


def channel_rows(model: xr.Dataset) -> Iterator[ChannelRow]:
    """Yields a row for each task and channel."""
    for task in TASKS.values():
        if f"training_{task}_error" not in model:
            continue
        errors = model[f"training_{task}_error"].values
        for number, name in enumerate(model["training_channel"].values):
            each = {method: _finite(errors[k, number]) for k, method in enumerate(methods(model))}
            yield ChannelRow(task, str(name), str(model["training_channel_units"].values[number]), each)


def _of_method(model: xr.Dataset, name: str, number: int) -> float | None:
    """Returns a method's number, which may not be finite; None where it was to have none."""
    if name not in model:
        return None
    value = float(model[name].values[number])
    return value if applicable(methods(model)[number], value) else None


def _standard_error(model: xr.Dataset, number: int) -> float | None:
    name = "training_held_out_bound_standard_error"
    return _finite(model[name].values[number]) or None if name in model else None


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _number(value: float | None) -> str:
    return short(value) if value is None or np.isfinite(value) else NOT_FINITE


METHOD_COLUMNS: list[Column] = [
    text("method", "what predicts", lambda row: row.method),
    Column(
        "held-out bound",
        "on the log-likelihood of sequences held out, standardised; of the HMM the log-likelihood itself",
        lambda row: row.bound,
        _number,
        "nat per entry",
    ),
    Column(
        "its standard error",
        "of that bound, where a decoder with a network draws samples",
        lambda row: row.bound_error,
        short,
        "nat per entry",
    ),
    Column(
        "imputation",
        "root mean square error, each entry divided by its channel's scale",
        lambda row: row.imputation,
        _number,
    ),
    Column(
        "imputation's log-density",
        "mean log-density of imputed entries, standardised",
        lambda row: row.imputation_density,
        _number,
        "nat",
    ),
    Column("forecast", "root mean square error, likewise", lambda row: row.forecast, _number),
    Column(
        "forecast's log-density",
        "mean log-density of forecast entries, standardised",
        lambda row: row.forecast_density,
        _number,
        "nat",
    ),
]


def tables(name: str, model: xr.Dataset) -> list[Table]:
    """Returns a model's tables: methods, and errors by channel in original units; none where nothing was held out."""
    if not methods(model):
        return []
    columns = [
        text("channel", "name in the data", lambda row: row.channel),
        text("task", "what is asked", lambda row: row.task),
        text("units", "of the channel's values and errors, where they are known", lambda row: row.units),
        *(
            Column(
                METHODS.get(method, method),
                "root mean square error over entries held out, in the channel's original units",
                lambda row, method=method: row.errors[method],
                short,
            )
            for method in methods(model)
        ),
    ]
    return [
        Table(f"methods-{name}", "What was held out, by method", METHOD_COLUMNS, method_rows(model)),
        Table(f"channels-{name}", "Errors in original units", columns, list(channel_rows(model))),
    ]


def _render(page: Page) -> Markup | None:
    names = last_models(page)
    if not names:
        return None
    parts = {}
    for name in names:
        model = page.results[name].model
        assert model is not None
        parts[name] = page.figures("learnt", name), [own for own in tables(name, model) if own.rows]
    return page.template(__package__, "learnt.html.j2", parts=parts)


SECTION = Section("Learnt from data", 62, _render, short="Learnt")
