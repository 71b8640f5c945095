"""The estimators of a comparison with their errors and prices: what several figures draw."""

from dataclasses import dataclass

import numpy as np

from slds_core.report.load import ModelResults

ALL = "all"
FLOOR = 1e-16  # errors below rounding are drawn here


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
    errors = comparison["relative_l2"].sel(reference=first, group=ALL)
    found = []
    for name in (str(n) for n in comparison["estimator"].values if str(n) != first):
        gradient = results.gradient.get(name)

        def value(key: str, gradient=gradient) -> float:
            if gradient is None or key not in gradient or not gradient[key].size:
                return np.nan
            return float(np.median(gradient[key].values))

        memory = value("temporary_bytes")
        found.append(
            Estimate(
                name,
                str(comparison["verdict"].sel(estimator=name).item()) if "verdict" in comparison else "",
                float(errors.sel(estimator=name)),
                float(comparison["certificate"].sel(estimator=name)) if "certificate" in comparison else np.nan,
                value("products"),
                value("run_seconds"),
                memory / 2**20 if memory >= 0 else np.nan,
            )
        )
    return found


def pareto(prices: list[float], errors: list[float]) -> list[bool]:
    """Returns which are on the front: no other is as cheap and as good, and better in one of them. Unknown ones are not."""
    pairs = list(zip(prices, errors, strict=True))
    known = [pair for pair in pairs if np.isfinite(pair).all()]
    return [
        pair in known and not any(p <= pair[0] and e <= pair[1] and (p, e) != pair for p, e in known) for pair in pairs
    ]
