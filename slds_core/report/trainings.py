"""Trainings of one model by several estimators: what each run ended with, and each beside the best gradient's run at the same seed."""

import json
import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr

from slds_core.report.load import StudyResults, settings

_MAY_DIFFER = frozenset({"gradient", "inference", "start", "seed", "epochs", "judge"})
_REACHED = 0.9  # of what the best run at the same seed gained over the warm start


@dataclass(frozen=True)
class Training:
    """One run's last checkpoint. Unknown numbers are NaN."""

    model: str
    estimator: str  # the model's name without its seed, where that is no other's too
    method: str  # how it was learnt, as ``method`` gives it
    seed: int
    epochs: int
    bound: float  # inference converged, nats per observed entry; so are the next three
    held_out_bound: float
    judged: tuple[tuple[int, float, float, float], ...]  # epoch, processor seconds before it, gradient's error, bound
    seconds: float
    cpu_seconds: float
    unsolved: float  # share of the steps; so are the next two
    fell_back: float
    unconverged: float
    shortened: float  # share of the epochs in which a natural step had to be
    effective_states: float

    @property
    def error(self) -> float:
        """The median of its gradients' errors; one that is not finite counts as infinite. NaN where none was judged."""
        found = [error if math.isfinite(error) else math.inf for _, _, error, _ in self.judged]
        return float(np.median(found)) if found else math.nan

    @property
    def best(self) -> float:
        """The best bound on the way, where it was judged, or in the end; NaN where it was judged nowhere on the way."""
        if not self.judged:
            return math.nan
        found = [bound for *_, bound in self.judged] + [self.bound] * math.isfinite(self.bound)
        return max(found, default=math.nan)

    def seconds_to(self, bound: float) -> float:
        """Returns the processor time until a bound was reached, interpolated between judgements; NaN where it was not."""
        path = [(before, value) for _, before, _, value in self.judged] + [(self.cpu_seconds, self.bound)]
        if path[0][1] >= bound:
            return path[0][0]
        for (earlier, low), (later, high) in pairwise(path):
            if low < bound <= high:
                return earlier + (later - earlier) * (bound - low) / (high - low)
        return math.nan


@dataclass(frozen=True)
class Contest:
    """All trainings of one model on one data set, by estimator: the first, which others are set beside, has the most accurate gradients.

    Where no accuracy is known, it is the study's first.
    """

    runs: dict[str, list[Training]]

    @property
    def reference(self) -> str:
        """The first."""
        return next(iter(self.runs))

    def error(self, estimator: str) -> float:
        """Returns the median of its runs' gradients' errors: NaN where none was judged, infinite where too many are not finite."""
        return _median_error(self.runs[estimator])

    def difference(self, run: Training, quantity: str) -> float:
        """Returns a run's quantity less that of the reference's run at the same seed; NaN where there is none."""
        beside = next((other for other in self.runs[self.reference] if other.seed == run.seed), None)
        return math.nan if beside is None else getattr(run, quantity) - getattr(beside, quantity)

    def differences(self, estimator: str, quantity: str) -> np.ndarray:
        """Returns the known ones of all its runs."""
        found = np.array([self.difference(run, quantity) for run in self.runs[estimator]])
        return found[np.isfinite(found)]

    def seconds_to_target(self, run: Training) -> float:
        """Returns the processor time until nine tenths of what the best run at the same seed ever gained; NaN where it never did.

        So it is of a run that was not judged on the way, of which nobody knows. Where no run gained anything there is nothing to reach.
        """
        rivals = [other for runs in self.runs.values() for other in runs if other.seed == run.seed and other.judged]
        best = max((other.best for other in rivals if math.isfinite(other.best)), default=math.nan)
        if not run.judged or not math.isfinite(best):
            return math.nan
        warm = run.judged[0][3]
        if best <= warm:
            return math.nan
        return run.seconds_to(warm + _REACHED * (best - warm))


def contests(study: StudyResults) -> list[Contest]:
    """Returns what was learnt by two estimators or more, from the same data and warm starts."""
    classes: dict[str, dict[tuple[str, str, int], Training]] = {}
    for name, found in study.items():
        if found.model is None or "training_final_bound" not in found.model or not found.model.sizes.get("epoch"):
            continue
        said = settings(found.model)
        same = {key: value for key, value in said["parameters"].items() if key not in _MAY_DIFFER}
        run = _training(name, found.model, said["parameters"])
        runs = classes.setdefault(json.dumps([said["plugin"], same], sort_keys=True), {})
        last = runs.get((run.estimator, run.method, run.seed))
        # runs that differ in how often they were judged are one training
        if last is None or (last.epochs, len(last.judged)) < (run.epochs, len(run.judged)):
            runs[run.estimator, run.method, run.seed] = run
    found = []
    for runs in classes.values():
        named = _told_apart(list(runs.values()))
        by_estimator: dict[str, list[Training]] = {run.estimator: [] for run in named}  # in the study's order
        for run in sorted(named, key=lambda run: run.seed):
            by_estimator[run.estimator].append(run)
        if len(by_estimator) > 1:
            order = sorted(by_estimator, key=lambda name: _rank(_median_error(by_estimator[name])))
            found.append(Contest({name: by_estimator[name] for name in order}))
    return found


def label(model: str, seed: int) -> str:
    """Returns a model's name without the seed that a list of them gave it."""
    for end in (f"_seed_{seed}", f"_{seed}"):
        if model.endswith(end) and model != end:
            return model.removesuffix(end)
    return model


def method(parameters: dict[str, Any]) -> str:
    """Returns what makes a training an estimator's, as text: with it, runs differ by their seeds alone."""
    return json.dumps({key: parameters.get(key) for key in ("gradient", "inference", "start")}, sort_keys=True)


def _told_apart(runs: list[Training]) -> list[Training]:
    """Returns the runs with a name of their own for each estimator: where two have one label, the name of its first model.

    ``t`` with seed 1 and ``t_1``, which another gradient trained with seed 1, are both labelled ``t``.
    """
    models: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        models.setdefault((run.estimator, run.method), []).append(run.model)
    labels = [name for name, _ in models]
    names = {
        key: key[0] if labels.count(key[0]) == 1 and not _taken(key, models) else _models(own)
        for key, own in models.items()
    }
    return [replace(run, estimator=names[run.estimator, run.method]) for run in runs]


def _models(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _taken(key: tuple[str, str], models: dict[tuple[str, str], list[str]]) -> bool:
    """Returns whether a label is another estimator's model, which may have to go by its own name."""
    return any(key[0] in own for other, own in models.items() if other != key)


def _median_error(runs: list[Training]) -> float:
    errors = [run.error for run in runs if not math.isnan(run.error)]
    return float(np.median(errors)) if errors else math.nan


def _rank(error: float) -> float:
    """Returns an error to sort by: what was not judged is no better than what is not finite."""
    return math.inf if math.isnan(error) else error


def _training(name: str, model: xr.Dataset, parameters: dict) -> Training:
    def scalar(key: str) -> float:
        return float(model[f"training_{key}"]) if f"training_{key}" in model else math.nan

    def series(key: str) -> np.ndarray:
        epochs = model.sizes["epoch"]
        return model[f"training_{key}"].values if f"training_{key}" in model else np.full(epochs, np.nan)

    cpu = series("cpu_seconds")
    before = np.concatenate([[0.0], np.cumsum(cpu)])
    errors, bounds = series("gradient_error"), series("converged_bound")
    epochs = model.sizes["epoch"]
    batch = parameters.get("batch") or model.sizes.get("sequence", 1)
    steps = epochs * math.ceil(model.sizes.get("sequence", 1) / batch)
    seed = int(parameters.get("seed", 0))
    return Training(
        model=name,
        estimator=label(name, seed),
        method=method(parameters),
        seed=seed,
        epochs=epochs,
        bound=scalar("final_bound"),
        held_out_bound=_held_out_bound(model),
        judged=tuple(
            (k, float(before[k]), float(errors[k]), float(bounds[k])) for k in range(epochs) if np.isfinite(bounds[k])
        ),
        seconds=float(series("seconds").sum()),
        cpu_seconds=float(cpu.sum()),
        shortened=_shortened(series("natural_rate")),
        unsolved=float(series("unsolved").sum()) / steps,
        fell_back=float(series("fell_back").sum()) / steps,
        unconverged=float(series("unconverged").sum()) / steps,
        effective_states=float(series("effective_states")[-1]),
    )


def _shortened(rate: np.ndarray) -> float:
    """Returns in which share of the epochs the natural step's size was below its largest; NaN where it is unknown."""
    return float(np.mean(rate < np.max(rate))) if np.isfinite(rate).all() else math.nan


def _held_out_bound(model: xr.Dataset) -> float:
    """Returns the bound on sequences held out, of the model and not of a baseline beside it."""
    if "training_held_out_bound" not in model:
        return math.nan
    methods = [str(name) for name in model["training_method"].values]
    return float(model["training_held_out_bound"].values[methods.index("model")])
