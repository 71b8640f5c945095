"""Figures: pure functions from a model's results to a matplotlib figure, each usable by itself."""

from slds_core.report.figures.canvas import STYLE
from slds_core.report.figures.certificates import certificates
from slds_core.report.figures.convergence import convergence
from slds_core.report.figures.cost import cost
from slds_core.report.figures.gradient_errors import gradient_errors
from slds_core.report.figures.learning import learning
from slds_core.report.figures.posterior import posterior
from slds_core.report.figures.predictions import predictions
from slds_core.report.figures.regimes import regimes
from slds_core.report.figures.spectrum import spectrum
from slds_core.report.figures.witnesses import witnesses
from slds_core.report.figures.work import work

__all__ = [
    "STYLE",
    "certificates",
    "convergence",
    "cost",
    "gradient_errors",
    "learning",
    "posterior",
    "predictions",
    "regimes",
    "spectrum",
    "witnesses",
    "work",
]
