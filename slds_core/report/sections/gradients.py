"""Gradients: error, price and certificate of every estimator, and what the witnesses say of each other."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from markupsafe import Markup

from slds_core.report.columns import GRADIENTS
from slds_core.report.formats import scientific
from slds_core.report.page import Page, Section
from slds_core.report.tables import Column, Table, text


@dataclass(frozen=True)
class _Estimator:
    name: str
    errors: dict[str, float | None]  # by witness


def _render(page: Page) -> Markup | None:
    if not any(page.gradients.values()):
        return None
    tables = {
        name: Table(f"gradients-{name}", f"Gradient estimators of {name}", GRADIENTS, rows)
        for name, rows in page.gradients.items()
    }
    witnesses = {
        name: _witnesses(name, found.comparison)
        for name, found in page.results.items()
        if found.comparison is not None and found.comparison["reference"].size > 1
    }
    judges = {
        name: str(found.comparison["reference"].values[0])
        for name, found in page.results.items()
        if found.comparison is not None
    }
    return page.template(
        __package__,
        "gradients.html.j2",
        tables=tables,
        witnesses=witnesses,
        judges=judges,
        passed_over={name: _passed_over(page.results[name].comparison) for name in judges},
    )


def _passed_over(comparison: xr.Dataset | None) -> str:
    """Returns which references were passed over as a judge, and why, as a sentence; nothing if none."""
    said = str(comparison.attrs.get("status_message", "")) if comparison is not None else ""
    return said[:1].upper() + said[1:]


def _witnesses(name: str, comparison: xr.Dataset) -> Table:
    references = [str(reference) for reference in comparison["reference"].values]
    chosen = comparison["relative_l2"].sel(group="all")
    rows = [
        _Estimator(str(e), {r: _number(chosen.sel(estimator=e, reference=r)) for r in references})
        for e in chosen["estimator"].values
    ]
    resolution = comparison["resolution"].sel(group="all")
    rows.append(_Estimator("what the witness can tell", {r: _number(resolution.sel(reference=r)) for r in references}))
    columns = [Column(r, f"relative distance from {r}", lambda row, r=r: row.errors[r], scientific) for r in references]
    names = text("estimator", "name in the configuration", lambda row: row.name)
    return Table(f"witnesses-{name}", f"Every estimator of {name} against every witness", [names, *columns], rows)


def _number(value: xr.DataArray) -> float | None:
    return None if np.isnan(value) else float(value)


SECTION = Section("Gradients", 50, _render)
