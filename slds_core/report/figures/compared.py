"""The estimators of a comparison with their errors and prices: what several figures draw."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from slds_core.report.load import ModelResults

ALL = "all"
FLOOR = 1e-16  # errors below rounding are drawn here
_PRICES = ("products", "run_seconds", "temporary_bytes")


@dataclass(frozen=True)
class Estimate:
    """One estimator beside the first reference. Unknown numbers are NaN."""

    name: str
    verdict: str
    error: float  # relative, of all groups together
    certificate: float  # bound on it
    products: float
    seconds: float
    mebibytes: float
    resolution: float  # relative error of the reference itself, where it estimates it; else zero

    @property
    def holds(self) -> bool:
        """Whether the error is within the certificate, as far as the reference can tell."""
        return self.error <= self.certificate + self.resolution


def reference(results: ModelResults) -> str:
    """Returns the reference that the others are judged by.

    Raises:
        ValueError: there is no comparison.
    """
    if not compared(results):
        raise ValueError("expected results with a comparison, found none")
    assert results.comparison is not None
    return str(results.comparison["reference"].values[0])


def compared(results: ModelResults) -> bool:
    """Returns whether there is a comparison with numbers in it."""
    found = results.comparison
    return found is not None and "relative_l2" in found and found["relative_l2"].size > 0


def estimates(results: ModelResults) -> list[Estimate]:
    """Returns all estimators but the reference itself."""
    first = reference(results)
    comparison = results.comparison
    assert comparison is not None
    names = [str(name) for name in comparison["estimator"].values]
    unknown = np.full(len(names), np.nan)
    errors = comparison["relative_l2"].sel(reference=first, group=ALL).values
    certificates = comparison["certificate"].values if "certificate" in comparison else unknown
    verdicts = comparison["verdict"].values if "verdict" in comparison else np.full(len(names), "")
    own = comparison["resolution"].sel(reference=first, group=ALL) if "resolution" in comparison else np.nan
    resolution = float(np.nan_to_num(own))
    found = []
    for name, verdict, error, certificate in zip(names, verdicts, errors, certificates, strict=True):
        if name == first:
            continue
        products, seconds, size = (_median(results.gradient.get(name), key) for key in _PRICES)
        mebibytes = size / 2**20 if size >= 0 else np.nan
        numbers = float(error), float(certificate), products, seconds, mebibytes, resolution
        found.append(Estimate(name, str(verdict), *numbers))
    return found


def _median(gradient: xr.Dataset | None, key: str) -> float:
    """Returns the median of a gradient's variable; NaN where it is not there."""
    known = gradient is not None and key in gradient.variables and gradient.variables[key].size
    return float(np.median(gradient.variables[key].values)) if known and gradient is not None else np.nan


def pareto(prices: list[float], errors: list[float]) -> list[bool]:
    """Returns which are on the front: no other is as cheap and as good, and better in one of them. Unknown ones are not."""
    pairs = list(zip(prices, errors, strict=True))
    known = [pair for pair in pairs if np.isfinite(pair).all()]
    return [
        pair in known and not any(p <= pair[0] and e <= pair[1] and (p, e) != pair for p, e in known) for pair in pairs
    ]
