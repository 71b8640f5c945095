"""Details: every setting of every model in one table, and every figure to take away."""

import json
from dataclasses import dataclass, replace
from typing import Any

import xarray as xr
from markupsafe import Markup

from slds_core.report.columns import CONVERGENCE, COST, GRADIENTS
from slds_core.report.load import settings
from slds_core.report.page import Page, Section
from slds_core.report.tables import Column, Table, text


@dataclass(frozen=True)
class _Row:
    """One setting of one model."""

    model: str
    settings: dict[str, Any]
    row: Any


def _of_row(column: Column) -> Column:
    tone = column.tone
    return replace(
        column,
        value=lambda found: column.value(found.row),
        tone=None if tone is None else lambda found: tone(found.row),
    )


def _rows(rows: dict[str, list[Any]], files: dict[str, dict[str, xr.Dataset]]) -> list[_Row]:
    return [
        _Row(model, settings(files[model][row.setting]) if row.setting in files[model] else {}, row)
        for model, found in rows.items()
        for row in found
    ]


_LEADING = [text("model", "name in the configuration", lambda row: row.model)]
_PLUGIN = [
    text("plugin", "what the setting names", lambda row: str(row.settings.get("plugin", "")).rpartition("/")[2]),
    text("at", "inference setting at whose result it differentiates", lambda row: row.settings.get("at") or ""),
    text("parameters", "of the plugin, all of them that were given", lambda row: _parameters(row.settings), quiet=True),
]


def _parameters(chosen: dict[str, Any]) -> str:
    return ", ".join(
        f"{key} {value if isinstance(value, str) else json.dumps(value)}"
        for key, value in chosen.get("parameters", {}).items()
    )


def _render(page: Page) -> Markup:
    results = page.results
    inference = _rows(page.convergence, {name: found.inference for name, found in results.items()})
    gradients = _rows(page.gradients, {name: found.gradient for name, found in results.items()})
    why = text("why", "what the inference said in the end", lambda row: row.reason, quiet=True)
    tables = [
        Table(
            "all-inference",
            "Every inference setting",
            [*_LEADING, *map(_of_row, [*CONVERGENCE, why]), *_PLUGIN],
            inference,
        ),
        Table(
            "all-gradients",
            "Every gradient estimator",
            [*_LEADING, *map(_of_row, [*GRADIENTS, *COST]), *_PLUGIN],
            gradients,
        ),
    ]
    pictures = [picture for picture in page.pictures.drawn.values() if picture.links]
    return page.template(
        __package__, "details.html.j2", tables=[table for table in tables if table.rows], pictures=pictures
    )


SECTION = Section("Details", 80, _render)
