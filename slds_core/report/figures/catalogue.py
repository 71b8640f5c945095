"""All figures of the report, with what each needs, says and rests on."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from matplotlib.figure import Figure

from slds_core.report import claims


@dataclass(frozen=True)
class FigureKind:
    """A kind of figure.

    A figure of ``FIGURES`` takes one model's results; one of ``CLAIMS`` or ``TRAININGS`` takes all results, by model.
    """

    name: str  # as in `slds figure NAME`, and in file names
    section: str  # of the page: convergence, posterior, gradients, cost, claims, training or learnt
    title: str
    draw: Callable[[Any], Figure]
    describe: Callable[[Any], str]  # caption and alternative text: what the figure shows, with the numbers that matter
    table: Callable[[Any], list[dict[str, object]]]  # the data behind it, a flat row each
    applies: Callable[[Any], bool]  # whether the results hold what it needs


def _kind(name: str, section: str) -> FigureKind:
    """Returns the figure of the module of its name: all have the same parts."""
    module = import_module(f"slds_core.report.figures.{name}")
    return FigureKind(name, section, module.TITLE, getattr(module, name), module.describe, module.table, module.applies)


def _claim(name: str, title: str, draw: Callable, describe: Callable, table: Callable, least: int) -> FigureKind:
    return FigureKind(name, "claims", title, draw, describe, table, lambda study: len(table(study)) >= least)


FIGURES: dict[str, FigureKind] = {
    name: _kind(name, section)
    for name, section in (
        ("convergence", "convergence"),
        ("spectrum", "convergence"),
        ("posterior", "posterior"),
        ("gradient_errors", "gradients"),
        ("work", "gradients"),
        ("certificates", "gradients"),
        ("witnesses", "gradients"),
        ("cost", "cost"),
        ("learning", "learnt"),
        ("regimes", "learnt"),
        ("predictions", "learnt"),
    )
}

CLAIMS: dict[str, FigureKind] = {
    kind.name: kind
    for kind in (
        _claim(
            "one_step",
            "One step's error and the contraction rate",
            claims.one_step_error,
            claims.one_step_words,
            claims.one_step_table,
            2,
        ),
        _claim(
            "neumann",
            "The truncated series' error by its length",
            claims.neumann_decay,
            claims.neumann_words,
            claims.neumann_table,
            1,
        ),
        _claim(
            "unrolling",
            "The unrolled gradient's error by sweeps",
            claims.unrolling,
            claims.unrolling_words,
            claims.unrolling_table,
            1,
        ),
        _claim("memory", "Memory by sweeps", claims.memory, claims.memory_words, claims.memory_table, 1),
    )
}

TRAININGS: dict[str, FigureKind] = {"estimators": _kind("estimators", "training")}
