"""All figures of the report, with what each needs, says and rests on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from matplotlib import style
from matplotlib.figure import Figure

from slds_core.report import claims
from slds_core.report.figures import early
from slds_core.report.load import ModelResults


@dataclass(frozen=True)
class FigureKind:
    """A kind of figure.

    A figure of ``FIGURES`` takes one model's results; one of ``CLAIMS`` takes all results, by model.
    """

    name: str  # as in `slds figure NAME`, and in file names
    section: str  # of the page: convergence, posterior, gradients, cost or claims
    title: str
    draw: Callable[[Any], Figure]
    describe: Callable[[Any], str]  # caption and alternative text: what the figure shows, with the numbers that matter
    table: Callable[[Any], list[dict[str, object]]]  # the data behind it, a flat row each
    applies: Callable[[Any], bool]  # whether the results hold what it needs


def _none(results: Any) -> list[dict[str, object]]:
    return []


def _has(kind: str) -> Callable[[ModelResults], bool]:
    return lambda results: getattr(results, kind) is not None and bool(len(getattr(results, kind)))


def _kind(name: str, section: str, title: str, draw: Callable, needs: str) -> FigureKind:
    return FigureKind(name, section, title, draw, lambda results: f"{title}.", _none, _has(needs))


def _claim(name: str, draw: Callable, text: str) -> FigureKind:
    def styled(study: dict[str, ModelResults]) -> Figure:
        with style.context(early.STYLE):
            return draw(study)

    return FigureKind(name, "claims", name, styled, lambda study: text, _none, lambda study: draw(study) is not None)


FIGURES: dict[str, FigureKind] = {
    kind.name: kind
    for kind in (
        _kind("convergence", "convergence", "Residual and gap to the best ELBO", early.convergence, "inference"),
        _kind("posterior", "posterior", "Posterior over time", early.posterior, "inference"),
        _kind("gradient_errors", "gradients", "Error per parameter group", early.gradient_errors, "comparison"),
        _kind("work", "gradients", "Error against cost", early.work_precision, "comparison"),
        _kind("certificates", "gradients", "Certificates against true errors", early.certificates, "comparison"),
        _kind("cost", "cost", "Compile, run, memory", early.cost, "gradient"),
    )
}

CLAIMS: dict[str, FigureKind] = {
    name.replace("-", "_"): _claim(name.replace("-", "_"), draw, text) for name, (draw, text) in claims.CLAIMS.items()
}
