"""Figures: pure functions from a model's results to a matplotlib figure, each usable by itself."""

from slds_core.report.figures.early import (
    STYLE,
    certificates,
    convergence,
    cost,
    gradient_errors,
    posterior,
    work_precision,
)

__all__ = ["STYLE", "certificates", "convergence", "cost", "gradient_errors", "posterior", "work_precision"]
