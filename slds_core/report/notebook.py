"""The seed notebook's figures, beside what this study computed."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from slds_core.report.load import ModelResults, settings

GROUPS = (
    "recognition_quadratic",
    "recognition_linear",
    "dynamics_linear_current",
    "dynamics_quadratic_current",
    "dynamics_cross",
    "dynamics_quadratic_next",
    "dynamics_linear_next",
    "dynamics_constant",
    "initial_precision",
    "initial_linear",
    "initial_normalizer",
    "discrete_initial",
    "discrete_transition",
)
PUBLISHED_GRADIENT_DIFFERENCES = (
    0.00029938, 0.00022077, 0.00552423, 0.00748995, 0.00061389, 0.00748981, 0.00552422, 7.2011147e-13, 4.28741647e-08,
    3.31068861e-07, 0.0, 7.99967731e-15, 1.78052018e-13,
)  # fmt: skip
PUBLISHED_RESIDUALS = {10: 0.00027077, 20: 9.92897613e-05, 100: 8.96105988e-08}
PUBLISHED_DIFFERENCE = 0.00150787
PUBLISHED_OBJECTIVES = {"unrolled": 1721.819184951477, "implicit": 1721.8191849515183}

_ENCODER = (
    "The recognition network computes in float32, whose rounding differs between machines; inference amplifies it."
)
_ONE_SWEEP = (
    "As above; and the notebook pairs the two halves of the last sweep, while here both follow from the stored "
    "marginals, half a sweep further on."
)
_UNCONVERGED = (
    "Not numerical imprecision: after 100 sweeps the unrolled derivative has not converged, though the forward pass "
    "looks as if it had. The same two gradients carried to convergence agree: see the last column."
)


@dataclass(frozen=True)
class Row:
    """One of the notebook's figures."""

    figure: str
    notebook: float | bool
    here: float | bool | None
    converged: float | None = None
    why: str = ""

    @property
    def relative_difference(self) -> float | None:
        """``(here - notebook) / notebook``, where that says something."""
        if self.here is None or isinstance(self.notebook, bool) or not self.notebook:
            return None
        return (float(self.here) - self.notebook) / self.notebook


def notebook_table(results: ModelResults) -> list[Row]:
    """Returns the notebook's figures beside this run's; none if the model is not the notebook's.

    A figure whose settings the study does not contain has no value here.
    """
    if results.model is None or settings(results.model)["plugin"] != "notebook":
        return []
    by_sweeps = {n: _sweeps(results, n) for n in (10, 20, 100)}
    rows = [
        Row(
            "mean abs difference of marginals, 20 against 10 sweeps",
            PUBLISHED_DIFFERENCE,
            _marginal_difference(results, by_sweeps[10], by_sweeps[20]),
            why=_ENCODER,
        )
    ]
    for sweeps, published in PUBLISHED_RESIDUALS.items():
        found = results.residual.get(by_sweeps[sweeps] or "")
        here = float(found["residual_mean"]) if found is not None else None
        rows.append(Row(f"mean abs residual after {sweeps} sweeps", published, here, why=_ENCODER))

    unrolled, implicit = _gradients(results, by_sweeps[100])
    long_unrolled, converged = _converged_gradients(results)
    for name, found, best, why in (
        ("unrolled", unrolled, long_unrolled, _ENCODER),
        ("implicit", implicit, converged, _ONE_SWEEP),
    ):
        here = _value(results, found)
        rows.append(Row(f"objective, {name}", PUBLISHED_OBJECTIVES[name], here, _value(results, best), why))
    first, second = _value(results, unrolled), _value(results, implicit)
    close = None if first is None or second is None else bool(np.isclose(first, second))
    rows.append(Row("implicit forward pass equals unrolled (isclose)", True, close))

    for group, published in zip(GROUPS, PUBLISHED_GRADIENT_DIFFERENCES, strict=True):
        here = _abs_mean(results.comparison, unrolled, implicit, group)
        best = _abs_mean(results.comparison, long_unrolled, converged, group)
        rows.append(Row(f"abs mean gradient difference, {group}", published, here, best, _UNCONVERGED))
    return rows


def _sweeps(results: ModelResults, sweeps: int) -> str | None:
    """Returns the setting that takes exactly this many sweeps."""
    for name, dataset in results.inference.items():
        chosen = settings(dataset)
        if chosen["plugin"] == "coordinate_ascent" and int(dataset["sweeps"]) == sweeps:
            return name
    return None


def _gradients(results: ModelResults, at: str | None) -> tuple[str | None, str | None]:
    """Returns the settings of the notebook's own two gradients."""
    unrolled = implicit = None
    for name, dataset in results.gradient.items():
        chosen = settings(dataset)
        if chosen["plugin"] == "unrolled" and chosen["parameters"]["sweeps"] == 100:
            unrolled = name
        if chosen["plugin"] == "bicgstab" and chosen.get("at") == at:
            implicit = name
    return unrolled, implicit


def _converged_gradients(results: ModelResults) -> tuple[str | None, str | None]:
    """Returns the same two, carried furthest: most sweeps unrolled, and implicit at a converged fixed point."""
    unrolled, sweeps, implicit = None, 0, None
    for name, dataset in results.gradient.items():
        chosen = settings(dataset)
        if chosen["plugin"] == "unrolled" and chosen["parameters"]["sweeps"] > sweeps:
            unrolled, sweeps = name, chosen["parameters"]["sweeps"]
        at = results.inference.get(chosen.get("at", ""))
        if chosen["plugin"] == "bicgstab" and at is not None and at.attrs["status"] == "converged":
            implicit = name
    return unrolled, implicit


def _value(results: ModelResults, setting: str | None) -> float | None:
    return float(results.gradient[setting]["value"]) if setting else None


def _marginal_difference(results: ModelResults, first: str | None, second: str | None) -> float | None:
    if first is None or second is None:
        return None
    difference = results.inference[second]["posterior_marginals"] - results.inference[first]["posterior_marginals"]
    return float(np.abs(difference).mean())


def _abs_mean(comparison: xr.Dataset | None, estimator: str | None, reference: str | None, group: str) -> float | None:
    if comparison is None or estimator is None or reference not in comparison["reference"]:
        return None
    return float(comparison["abs_mean"].sel(estimator=estimator, reference=reference, group=group))
