"""The report's tables, one row a setting: verdicts in words, shape and colour, with the numbers behind them."""

import math
from dataclasses import dataclass

import numpy as np
import xarray as xr

from slds_core.report.load import ModelResults, settings
from slds_core.study.verdicts import FAILED

_TONES = {
    "exact": ("good", "✓"),
    "within certificate": ("good", "✓"),
    "converged": ("good", "✓"),
    "at the precision floor": ("good", "✓"),
    "at the fixed point": ("good", "✓"),
    "approximate": ("open", "△"),
    "unconverged": ("open", "△"),
    "unresolved": ("open", "△"),
    "not judged": ("open", "△"),
    "disputed": ("open", "△"),
    "sweep limit": ("open", "△"),
    "stopped early": ("open", "△"),
    "witness": ("witness", "◆"),
    "not compared": ("open", "△"),
    "skipped": ("none", "–"),
    "missing": ("none", "…"),
}
_BAD = ("bad", "✕")

LARGE = 0.1
"""Relative error from which a gradient is not to be trusted, whatever it was designed to be."""
SMALL = 0.01
"""Relative error from which a gradient is to be used with care, whatever was certified: a loose bound holds for bad gradients too."""

_TARGET = 1e-8  # what implicit gradients take for a fixed point, unless they are told otherwise
_ROUNDING_UNITS = 100  # no residual below is told from that of a fixed point; in units of the precision
_FLOOR_UNITS = 1000  # below which a residual that falls no further is taken for rounding
_FROM_SWEEP = 10  # the first sweeps contract otherwise than the last


@dataclass(frozen=True)
class ConvergenceRow:
    """One inference setting."""

    setting: str
    verdict: str
    sweeps: int | None = None
    residual_mean: float | None = None
    residual_max: float | None = None
    rate: float | None = None
    measured_rate: float | None = None
    predicted_sweeps: float | None = None
    taken_sweeps: int | None = None
    elbo: float | None = None
    run_seconds: float | None = None
    reason: str = ""

    @property
    def tone(self) -> str:
        """The style class of the verdict."""
        return _TONES.get(self.verdict, _BAD)[0]

    @property
    def mark(self) -> str:
        """Its shape."""
        return _TONES.get(self.verdict, _BAD)[1]


@dataclass(frozen=True)
class GradientRow:
    """One gradient setting."""

    setting: str
    verdict: str
    reason: str
    error: float | None
    certificate: float | None = None
    products: int | None = None
    predicted_products: float | None = None
    residual: float | None = None
    run_seconds: float | None = None
    compile_seconds: float | None = None
    cached: bool = False
    mebibytes: float | None = None

    @property
    def tone(self) -> str:
        """The style class of the verdict, and of the error where that is too large for it."""
        return self._look[0]

    @property
    def mark(self) -> str:
        """Its shape."""
        return self._look[1]

    @property
    def _look(self) -> tuple[str, str]:
        if self.error is not None and not self.error < LARGE:
            return _BAD
        if self.verdict == "within certificate" and self.error is not None and self.error >= SMALL:
            return _TONES["approximate"]
        return _TONES.get(self.verdict, _BAD)


def convergence_rows(results: ModelResults) -> list[ConvergenceRow]:
    """Returns a row for each inference setting; of one that is not there, the reason alone."""
    rows = []
    for name, dataset in results.inference.items():
        residual = results.residual.get(name)
        known = residual is not None and "eigenvalue" in residual and residual["eigenvalue"].size > 0
        rate = _number(residual["eigenvalue"][0]) if known and residual is not None else None
        predicted, taken = _sweeps_to_target(dataset, rate)
        largest = float(residual["residual_max"]) if residual is not None else None
        status, message = dataset.attrs["status"], str(dataset.attrs["status_message"])
        verdict, reason = _inference_verdict(status, message, largest, rate, dataset.attrs["precision"])
        rows.append(
            ConvergenceRow(
                setting=name,
                verdict=verdict,
                sweeps=int(dataset["sweeps"]),
                residual_mean=_number(residual["residual_mean"]) if residual is not None else None,
                residual_max=_number(residual["residual_max"]) if residual is not None else None,
                rate=rate,
                measured_rate=_number(residual["measured_rate"]) if residual is not None else None,
                predicted_sweeps=predicted,
                taken_sweeps=taken,
                elbo=_number(dataset["trace_elbo"][-1]) if "trace_elbo" in dataset else None,
                run_seconds=float(np.median(dataset["run_seconds"])),
                reason=reason,
            )
        )
    absent = [(name, absence) for (kind, name), absence in results.absent.items() if kind == "inference"]
    return rows + [ConvergenceRow(name, a.state, reason=a.reason) for name, a in absent]


def gradient_rows(results: ModelResults) -> list[GradientRow]:
    """Returns a row for each gradient setting; of one that is not there, the reason alone."""
    comparison = results.comparison
    rows = []
    for name, dataset in results.gradient.items():
        verdict, reason, error, certificate = dataset.attrs["status"].replace("_", " "), "not compared", None, None
        if comparison is not None and name in comparison["estimator"].values:
            chosen = comparison.sel(estimator=name)
            verdict, reason = str(chosen["verdict"].item()), str(chosen["verdict_reason"].item())
            # the witness has no error of its own, and one that cannot judge tells none of others
            unknown = name == comparison["reference"].values[0] or verdict == "not judged"
            error = None if unknown else _number(chosen["relative_l2"].sel(group="all")[0])
            certificate = _number(chosen["certificate"])
        elif dataset.attrs["status"] == "witness":
            reason = "finite differences of the converged map"
        elif dataset.attrs["status"] in FAILED:
            verdict, reason = "failed", f"{verdict}; not compared"
        else:
            verdict, reason = "not compared", f"by its own account: {verdict}"
        rows.append(
            GradientRow(
                setting=name,
                verdict=verdict,
                reason=reason,
                error=error,
                certificate=certificate,
                products=int(dataset["products"]),
                predicted_products=_number(dataset["predicted_products"]) if "predicted_products" in dataset else None,
                residual=_number(dataset["residual"]) if "residual" in dataset else None,
                run_seconds=float(np.median(dataset["run_seconds"])),
                compile_seconds=float(dataset["compile_seconds"]),
                cached=bool(dataset["compilation_cached"]),
                mebibytes=_mebibytes(dataset),
            )
        )
    absent = [(name, absence) for (kind, name), absence in results.absent.items() if kind == "gradient"]
    return rows + [GradientRow(name, a.state, a.reason, error=None) for name, a in absent]


def _inference_verdict(
    status: str, message: str, residual: float | None, rate: float | None, precision: str
) -> tuple[str, str]:
    """Returns a verdict and its reason: by what was measured, where that speaks against how the solver says it ended.

    Args:
        status, message: the solver's own.
        residual: largest change of the state in one more sweep, measured apart; ``None`` if it was not.
        rate: leading eigenvalue there; ``None`` if it is not known.
        precision: of the state.
    """
    told = status.replace("_", " ")
    if residual is None:
        return told, message
    if not math.isfinite(residual):
        return "nonfinite", f"says '{told}', but one more sweep is not finite"
    units = _FLOOR_UNITS if status == "precision_floor" else _ROUNDING_UNITS
    least = max(_TARGET, units * float(np.finfo(precision).eps))
    moved = f"one more sweep moves the state by {residual:.1e}; up to {least:.0e} passes for a fixed point"
    if status in ("converged", "precision_floor"):
        if residual > least:
            return "stopped early", f"says '{told}', but {moved}"
        if rate is not None and rate >= 1:
            return "at a saddle, not a maximum", message
        return {"precision_floor": "at the precision floor"}.get(status, told), message
    if status == "sweep_limit" and residual <= least and (rate is None or rate < 1):
        return "at the fixed point", f"ended at its limit, and {moved}"
    return told, message


def _mebibytes(gradient: xr.Dataset) -> float | None:
    """Returns the program's temporary memory; ``None`` where XLA does not tell."""
    found = float(gradient["temporary_bytes"])
    return found / 2**20 if found >= 0 else None


def _sweeps_to_target(inference: xr.Dataset, rate: float | None) -> tuple[float | None, int | None]:
    """Returns sweeps to reach the target, predicted and taken; ``None`` where sweeping was not the method, or not enough."""
    changes = inference["trace_residual_max"].values
    if settings(inference)["plugin"] != "coordinate_ascent" or rate is None or not 0 < rate < 1:
        return None, None
    below = np.flatnonzero(changes < _TARGET)
    if len(changes) <= _FROM_SWEEP or not below.size or below[0] <= _FROM_SWEEP:
        return None, None
    predicted = _FROM_SWEEP + math.log(_TARGET / changes[_FROM_SWEEP]) / math.log(rate)
    return predicted, int(below[0])


def _number(value: xr.DataArray) -> float | None:
    number = float(value)
    return None if math.isnan(number) else number
