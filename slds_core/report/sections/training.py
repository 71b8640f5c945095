"""Audit along training: how bound, contraction rate and each estimator's error change with the epochs of what is learnt."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from markupsafe import Markup

from slds_core.report.formats import plain, scientific, short
from slds_core.report.load import settings
from slds_core.report.page import Page, Section
from slds_core.report.sections.contest import judgement, tables
from slds_core.report.tables import Column, Table, text


@dataclass(frozen=True)
class TrainingRow:
    """One estimator on a model after some epochs; or the model alone, where no estimator ran."""

    model: str
    epochs: int
    trained_by: str
    bound: float | None
    effective_states: float | None
    held_out_error: float | None
    interpolation_error: float | None
    unsolved: int | None
    rate: float | None
    residual: float | None
    estimator: str
    error: float | None
    products: int | None
    run_seconds: float | None


def training_rows(page: Page) -> list[TrainingRow]:
    """Returns a row for each trained model and estimator, by what is learnt and then by epoch."""
    return sorted(_rows(page), key=lambda row: (row.trained_by, row.estimator, row.epochs))


def _rows(page: Page) -> Iterator[TrainingRow]:
    for name, found in page.results.items():
        if found.model is None or "training_bound" not in found.model:
            continue
        parameters = settings(found.model)["parameters"]
        chosen = parameters.get("gradient", "fisher_cg")
        reached = [row for row in page.convergence[name] if row.residual_max is not None]
        best = min(reached, key=lambda row: row.residual_max or 0.0, default=None)
        unsolved = found.model["training_unsolved"].values
        for row in page.gradients[name] or [None]:
            yield TrainingRow(
                model=name,
                epochs=found.model.sizes["epoch"],
                trained_by=str(chosen if isinstance(chosen, str) else chosen.get("plugin", "")),
                bound=_bound(found.model),
                effective_states=_last(found.model, "effective_states"),
                held_out_error=_last(found.model, "held_out_error"),
                interpolation_error=_last(found.model, "held_out_interpolation_error"),
                unsolved=int(unsolved.sum()) if unsolved.size else None,
                rate=best.rate if best else None,
                residual=best.residual_max if best else None,
                estimator=row.setting if row else "",
                error=row.error if row else None,
                products=row.products if row else None,
                run_seconds=row.run_seconds if row else None,
            )


def _bound(model: xr.Dataset) -> float | None:
    """Returns the bound that compares, which a warm start has too; files from before it was recorded have the one before an update."""
    return _last(model, "final_bound" if "training_final_bound" in model else "bound")


def _last(model: xr.Dataset, name: str) -> float | None:
    values = np.atleast_1d(model[f"training_{name}"].values) if f"training_{name}" in model else np.zeros(0)
    return float(values[-1]) if values.size and np.isfinite(values[-1]) else None


COLUMNS: list[Column] = [
    text("model", "name in the configuration", lambda row: row.model),
    text("audited", "gradient setting of the audit", lambda row: row.estimator),
    Column("epochs", "passes over the data before the audit", lambda row: row.epochs),
    text("trained by", "gradient estimator of its training", lambda row: row.trained_by),
    Column("bound", "after the last epoch, inference converged", lambda row: row.bound, short, "nat per entry"),
    Column("states used", "exponential of the entropy of the states' use", lambda row: row.effective_states, short),
    Column("imputation", "root mean square error on entries held out", lambda row: row.held_out_error, short, "sd"),
    Column("interpolation", "the same of linear interpolation", lambda row: row.interpolation_error, short, "sd"),
    Column("unsolved", "batches of training whose gradient its estimator did not solve", lambda row: row.unsolved),
    Column("rate λ", "leading eigenvalue of the sweep's Jacobian", lambda row: row.rate, lambda value: plain(value, 4)),
    Column("residual", "largest change in one more sweep, of the best setting", lambda row: row.residual, scientific),
    Column("error", "relative, against the first reference", lambda row: row.error, scientific),
    Column("products", "with the sweep's Jacobian", lambda row: row.products),
    Column("run", "median run time", lambda row: row.run_seconds, scientific, "s"),
]


def _render(page: Page) -> Markup | None:
    rows = training_rows(page)
    if not rows:
        return None
    table = Table("training", "Trained models by epoch, and what each gradient setting is worth on them", COLUMNS, rows)
    stopped = [
        (result, absence) for result, absence in page.study.absent if result[1] == "model" and absence.state == "failed"
    ]
    return page.template(
        __package__,
        "training.html.j2",
        table=table,
        contests=tables(page),
        judgement=judgement(page),
        pictures=page.trainings(),
        stopped=stopped,
    )


SECTION = Section("Audit along training", 65, _render, short="Training")
