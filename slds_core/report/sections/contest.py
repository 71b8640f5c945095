"""The tables of one model learnt by several estimators: a row an estimator, and a row a run."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from slds_core.report.formats import NOTHING, plain, relative, short
from slds_core.report.page import Page
from slds_core.report.tables import Cell, Column, Table, text
from slds_core.report.trainings import Contest, Training, contests, label, method


@dataclass(frozen=True)
class EstimatorRow:
    """All runs of one estimator."""

    contest: Contest
    estimator: str
    runs: list[Training]
    stopped: int

    def known(self, quantity: str) -> np.ndarray:
        """Returns a quantity of those of its runs where it is known. A gradient's error may be infinite, which is worse than unknown."""
        values = np.array([getattr(run, quantity) for run in self.runs], float)
        return values[~np.isnan(values) if quantity == "error" else np.isfinite(values)]

    def shifts(self, quantity: str) -> np.ndarray:
        """Returns the known differences from the reference at the same seeds, none of the reference itself."""
        if self.estimator == self.contest.reference:
            return np.zeros(0)
        return self.contest.differences(self.estimator, quantity)

    @property
    def judged(self) -> int:
        """How many of its runs were judged on the way."""
        return sum(bool(run.judged) for run in self.runs)

    @property
    def targets(self) -> np.ndarray:
        """How long those runs took to nine tenths of what the best run gained that got there."""
        found = np.array([self.contest.seconds_to_target(run) for run in self.runs])
        return found[np.isfinite(found)]


@dataclass(frozen=True)
class OverSeeds(Column):
    """A mean over those runs of an estimator of which a number is known. It sorts by the mean; its CSV has the number of runs too."""

    values: Callable[[EstimatorRow], np.ndarray] = lambda row: np.zeros(0)
    words: Callable[[str, np.ndarray, int], str] = lambda mean, values, runs: mean + _of(values.size, runs)
    among: Callable[[EstimatorRow], int] = lambda row: len(row.runs)  # of how many runs the number could be known
    spread: bool = False  # whether the CSV has the least and the most beside it

    def cell(self, row: EstimatorRow) -> Cell:
        """Returns a row's entry."""
        cell = super().cell(row)
        return cell._replace(text=self.words(cell.text, self.values(row), self.among(row)))

    @property
    def exported(self) -> list[Column]:
        """Itself, with its range where that is shown, and the number of runs."""
        ends = [(f"{self.title}, {name}", end) for name, end in (("least", np.min), ("most", np.max)) if self.spread]
        return [
            self,
            *(Column(title, "over seeds", partial(_end, self.values, end), units=self.units) for title, end in ends),
            Column(f"{self.title}, runs", "of how many it is known", lambda row: self.values(row).size),
        ]


@dataclass(frozen=True)
class RunRow:
    """One run."""

    contest: Contest
    run: Training


def tables(page: Page) -> list[tuple[Table, Table]]:
    """Returns for each model that two estimators or more have learnt a table of estimators and one of runs."""
    stopped = [
        (label(name, int(setting.parameters.get("seed", 0))), method(setting.parameters))
        for name, setting in (page.study.configuration.models.items() if page.study.configuration else ())
        if (absence := page.results[name].absent.get(("model", name))) is not None and absence.state == "failed"
    ]
    found = []
    for number, contest in enumerate(contests(page.results)):
        rows = [
            EstimatorRow(contest, name, runs, _stopped(contest, name, stopped)) for name, runs in contest.runs.items()
        ]
        runs = [RunRow(contest, run) for own in contest.runs.values() for run in own]
        end = f"-{number + 1}" if number else ""
        words = f"Estimators by the models that they train; differences from {contest.reference} are seed by seed, mean and range"
        found.append(
            (
                Table(f"estimators{end}", words, ESTIMATORS, rows),
                Table(f"runs{end}", "Each training", RUNS, runs),
            )
        )
    return found


def judgement(page: Page) -> str:
    """Returns how the trainings were judged: on the way too where that was asked for, of all runs or of some."""
    runs = [bool(run.judged) for contest in contests(page.results) for own in contest.runs.values() for run in own]
    alike = "All are judged alike: the bound with inference converged"
    beside = "each step's gradient beside a converged one at the same parameters"
    if all(runs):
        return f"{alike}, and {beside}."
    if any(runs):
        return f"{alike}, and, of those that were judged on the way, {beside}. For the others, set 'judge'."
    return (
        f"{alike}, after the last epoch. None was judged on the way, neither its bound nor its gradients: set 'judge'."
    )


def _stopped(contest: Contest, estimator: str, stopped: list[tuple[str, str]]) -> int:
    """Returns how many of the trainings that stopped, by label and method, are an estimator's.

    Its label tells, and where another estimator has it too, the method.
    """
    firsts = {name: runs[0] for name, runs in contest.runs.items()}
    labels = {name: label(run.model, run.seed) for name, run in firsts.items()}
    alone = list(labels.values()).count(labels[estimator]) == 1
    return sum(name == labels[estimator] and (alone or how == firsts[estimator].method) for name, how in stopped)


def _of(known: int, runs: int) -> str:
    """Returns of how many runs a number is known, where it is of some and not of all: it could be the luckiest ones'."""
    return f" ({known} of {runs})" if 0 < known < runs else ""


def _end(
    values: Callable[[EstimatorRow], np.ndarray], end: Callable[[np.ndarray], Any], row: EstimatorRow
) -> float | None:
    """Returns the mean, the least or the most of an estimator's numbers; None where it has none."""
    found = values(row)
    return float(end(found)) if found.size else None


def _over_seeds(title: str, meaning: str, values: Callable[[EstimatorRow], np.ndarray], **options: Any) -> Column:
    return OverSeeds(title, meaning, partial(_end, values, np.mean), values=values, **options)


def _mean(title: str, meaning: str, quantity: str, show: Callable[[Any], str], units: str = "") -> Column:
    return _over_seeds(title, meaning, lambda row: row.known(quantity), show=show, units=units)


def _shift(title: str, meaning: str, quantity: str) -> Column:
    """Returns a column of differences from the reference: mean and range."""

    def words(mean: str, values: np.ndarray, runs: int) -> str:
        if not values.size:
            return ""
        return f"{mean} ({short(float(values.min()))} to {short(float(values.max()))})" + _of(values.size, runs)

    return _over_seeds(
        title,
        meaning,
        lambda row: row.shifts(quantity),
        words=words,
        spread=True,
        show=short,
        units="nat per entry",
        numeric=False,
    )


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _judged(error: float) -> float | None:
    """Returns an error that may be infinite, which is worse than unknown."""
    return None if np.isnan(error) else error


def _share(title: str, meaning: str, quantity: str) -> tuple[Column, Column]:
    """Returns a share of the steps as a column of both tables."""
    return (
        _mean(title, meaning, quantity, relative),
        Column(title, meaning, lambda row: _known(getattr(row.run, quantity)), relative),
    )


_BOUND = partial(plain, digits=5)

_SHARES = [
    _share("unsolved", "share of the steps whose gradient its estimator did not solve, or replaced", "unsolved"),
    _share("fell back", "share of the steps whose gradient its estimator replaced by one step", "fell_back"),
    _share(
        "shortened",
        "share of the epochs in which a step of the global factors led out of their family and was halved",
        "shortened",
    ),
    _share("unconverged", "share of the steps whose inference ended before it converged", "unconverged"),
]

ESTIMATORS: list[Column] = [
    text("trained by", "the models' name without the seed", lambda row: row.estimator),
    Column("runs", "seeds", lambda row: len(row.runs)),
    Column("stopped", "trainings that ended in an error; their reasons are below", lambda row: row.stopped),
    _mean("bound", "after the last epoch, inference converged, mean over seeds", "bound", _BOUND, "nat per entry"),
    _shift("difference", "of the bound from the reference's at the same seed", "bound"),
    _mean("held out", "bound on sequences held out, mean over seeds", "held_out_bound", _BOUND, "nat per entry"),
    _shift("difference held out", "of that bound, likewise", "held_out_bound"),
    _mean("best on the way", "best bound where it was judged, mean over seeds", "best", _BOUND, "nat per entry"),
    _shift("difference of the best", "likewise", "best"),
    _mean("gradient error", "relative, median over the epochs judged, mean over seeds", "error", relative),
    _mean("processor time", "of all epochs, compilation apart, mean over seeds", "cpu_seconds", short, "s"),
    _over_seeds(
        "to nine tenths",
        "processor time until nine tenths of what the best run at the same seed gained over the warm start, and how many runs got there "
        "of those that were judged on the way",
        lambda row: row.targets,
        words=lambda mean, values, runs: f"{mean} ({values.size} of {runs})" if runs else NOTHING,
        among=lambda row: row.judged,
        show=short,
        units="s",
        numeric=False,
    ),
    *(column for column, _ in _SHARES),
]  # fmt: skip

RUNS: list[Column] = [
    text("model", "name in the configuration", lambda row: row.run.model),
    Column("seed", "of clustering, network and batches", lambda row: row.run.seed),
    Column("epochs", "passes over the data", lambda row: row.run.epochs),
    Column("bound", "after the last epoch, inference converged", lambda row: _known(row.run.bound), _BOUND, "nat per entry"),
    Column(
        "difference",
        "from the reference's run at the same seed",
        lambda row: _known(row.contest.difference(row.run, "bound")),
        short,
        "nat per entry",
    ),
    Column("best on the way", "best bound where it was judged", lambda row: _known(row.run.best), _BOUND, "nat per entry"),
    Column("held out", "bound on sequences held out", lambda row: _known(row.run.held_out_bound), _BOUND, "nat per entry"),
    Column("gradient error", "relative, median over the epochs judged", lambda row: _judged(row.run.error), relative),
    Column("states used", "exponential of the entropy of the states' use", lambda row: _known(row.run.effective_states), short),
    Column("time", "of all epochs, compilation apart", lambda row: row.run.seconds, short, "s"),
    Column("processor time", "likewise", lambda row: row.run.cpu_seconds, short, "s"),
    Column("to nine tenths", "as above", lambda row: _known(row.contest.seconds_to_target(row.run)), short, "s"),
    *(column for _, column in _SHARES),
]  # fmt: skip
