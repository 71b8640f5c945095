"""Stage ``compare``: all gradients of a model, each with each reference, and a verdict → ``comparison.nc``."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

from slds_core.directions import random_directions
from slds_core.study import store
from slds_core.study.contents import made_from, source
from slds_core.study.errors import StudyError
from slds_core.study.provenance import provenance
from slds_core.study.verdicts import Evidence, Verdict, disputes, not_judged, unfit, verdict, witness_verdict

ALL = "all"
_PREFIX = "gradient_"

Vectors = dict[str, np.ndarray]
Metric = Callable[[np.ndarray, np.ndarray], float]


def compare(gradients: list[Path], asked: list[str], output: Path) -> str:
    """Compares each gradient with each reference, per parameter group and in total, and writes comparison and verdicts.

    A reference by finite differences is compared along its own directions. Gradients that were skipped take no part, and those that are
    not finite are no reference. The witness is the first reference that can judge: no approximation, and none that failed.

    Args:
        gradients: the files of the gradients.
        asked: the references, that is settings to compare with, the witness to judge by first; none means all.
        output: the file to write.

    Returns:
        A sentence on the verdicts.

    Raises:
        StudyError: a file cannot be used, a reference is not among them, or they do not belong together.
    """
    every = store.read_all(gradients, "gradient")
    _require_kin(every)
    datasets = {name: dataset for name, dataset in every.items() if dataset.attrs["status"] != "declined"}
    if every and not datasets:
        nothing = xr.Dataset(attrs={"status": "declined", "status_message": "every gradient was skipped"})
        return _write(nothing, output, asked, every)
    references, passed_over = _judges(asked, every, datasets)
    if not references:
        nothing = xr.Dataset(attrs={"status": "declined", "status_message": "no gradient to compare with is finite"})
        return _write(nothing, output, asked, every)
    estimators = {name: dataset for name, dataset in datasets.items() if not _directional(dataset)}
    if not estimators:
        raise StudyError("nothing to compare: expected at least one gradient that is not by finite differences")
    arrays = {name: _arrays(dataset) for name, dataset in estimators.items()}
    first = next(iter(estimators.values()))
    groups = list(arrays[next(iter(arrays))])
    for name, dataset in estimators.items():
        if list(arrays[name]) != groups:
            raise StudyError(f"{_path(dataset)}: has other parameter groups than {_path(first)}")

    names = [*groups, ALL]
    measured = {reference: _projection(datasets[reference], arrays) for reference in references}

    def table(metric: Metric) -> list[list[list[float]]]:
        return [
            [[metric(estimates[a][group], truth[group]) for group in names] for estimates, truth in measured.values()]
            for a in estimators
        ]

    dimensions = ("estimator", "reference", "group")
    relative = np.array(table(relative_l2))
    evidence = [
        _evidence(dataset, relative[i, 0, -1], datasets[references[0]], arrays[name])
        for i, (name, dataset) in enumerate(estimators.items())
    ]
    witness = references[0]
    verdicts = [verdict(found) for found in evidence]
    if witness in estimators:
        own = relative[list(estimators).index(witness), 1:, -1].tolist()
        judge = _judge(witness, dict(zip(references[1:], own, strict=True)), asked, datasets)
        verdicts = [
            _beside(judge, witness, name, found, relative[i, 0, -1])
            for i, (name, found) in enumerate(zip(estimators, verdicts, strict=True))
        ]
    for i, name in enumerate(estimators):
        if name != witness and passed_over.get(name) == unfit("nonfinite"):
            verdicts[i] = Verdict("failed", f"not finite, so that no other is judged by it; the witness is '{witness}'")
    why = " and ".join(f"{name}, which {reason}" for name, reason in passed_over.items())
    if why:
        verdicts = [
            v._replace(reason=f"{v.reason}; in place of {why}") if n == witness else v
            for n, v in zip(estimators, verdicts, strict=True)
        ]
    per_estimator = {
        "verdict": ([v.name for v in verdicts], "what the estimator is worth here, judged by the first reference"),
        "verdict_reason": ([v.reason for v in verdicts], "why"),
        "certificate": (
            [e.certificate for e in evidence],
            "bound on the total relative error; NaN where there is none",
        ),
        "within_certificate": (
            [e.within_certificate for e in evidence],
            "1 if the total error is within it, -1 if unknown",
        ),
    }
    resolution = [[_resolution(datasets[r], group) for group in names] for r in references]
    dataset = xr.Dataset(
        {
            "relative_l2": store.variable(dimensions, relative, "‖estimate - reference‖ / ‖reference‖"),
            "max_abs": store.variable(dimensions, table(max_abs), "largest absolute difference"),
            "cosine": store.variable(dimensions, table(cosine), "cosine of the angle between estimate and reference"),
            "abs_mean": store.variable(
                dimensions,
                table(abs_mean),
                "absolute mean difference, the notebook's measure: differences of both signs cancel",
            ),
            "resolution": store.variable(
                ("reference", "group"), resolution, "relative error of the reference itself, where it estimates it"
            ),
        }
        | {key: store.variable("estimator", _array(values), text) for key, (values, text) in per_estimator.items()},
        coords={"estimator": list(estimators), "reference": references, "group": names},
    )
    note = f"not judged by {why}, but by {witness}" if why else ""
    dataset.attrs |= {"status": "compared"} | ({"status_message": f"{note}."} if note else {})
    _write(dataset, output, asked, every)
    counts = {name: [v.name for v in verdicts].count(name) for name in dict.fromkeys(v.name for v in verdicts)}
    return ", ".join(f"{count} {name}" for name, count in counts.items()) + (note and f"; {note}")


def relative_l2(estimate: np.ndarray, reference: np.ndarray) -> float:
    """Returns ``‖estimate - reference‖ / ‖reference‖``; zero where both vanish."""
    difference, scale = np.linalg.norm(estimate - reference), np.linalg.norm(reference)
    return float(difference / scale) if scale > 0 else (0.0 if difference == 0 else float("inf"))


def max_abs(estimate: np.ndarray, reference: np.ndarray) -> float:
    """Returns the largest absolute difference."""
    return float(np.max(np.abs(estimate - reference), initial=0.0))


def cosine(estimate: np.ndarray, reference: np.ndarray) -> float:
    """Returns the cosine of the angle between two vectors; NaN where one vanishes."""
    scale = np.linalg.norm(estimate) * np.linalg.norm(reference)
    return float(np.vdot(estimate, reference) / scale) if scale > 0 else float("nan")


def abs_mean(estimate: np.ndarray, reference: np.ndarray) -> float:
    """Returns the absolute value of the mean difference."""
    return float(abs(np.mean(estimate - reference))) if estimate.size else 0.0


def _judge(witness: str, agreement: dict[str, float], asked: list[str], datasets: dict[str, xr.Dataset]) -> Verdict:
    """Returns the verdict of the witness itself.

    Args:
        witness: its name.
        agreement: its relative difference from each other reference.
        asked: the references that the study names: only of these it is said that they should agree.
        datasets: all gradients by name.
    """
    statuses = {name: str(dataset.attrs["status"]) for name, dataset in datasets.items()}
    sound = {name: difference for name, difference in agreement.items() if not unfit(statuses[name])}
    beyond = {name: difference - np.nan_to_num(_resolution(datasets[name], ALL)) for name, difference in sound.items()}
    disputed_by = {
        name: sound[name]
        for name in sound
        if name in asked and disputes(statuses[witness], statuses[name], beyond[name])
    }
    return witness_verdict(statuses[witness], sound, disputed_by)


def _beside(judge: Verdict, witness: str, name: str, found: Verdict, error: float) -> Verdict:
    """Returns a gradient's verdict, where the witness has one of its own and perhaps cannot judge."""
    if name == witness:  # judged by itself it would be perfect
        return judge
    return found if judge.name == "witness" or found.name == "failed" else not_judged(witness, error)


def _judges(
    asked: list[str], every: dict[str, xr.Dataset], datasets: dict[str, xr.Dataset]
) -> tuple[list[str], dict[str, str]]:
    """Returns the references, first the one that judges, and those passed over before it, with the reason.

    Args:
        asked: names of references; none means all.
        every: all gradients by name.
        datasets: those that were not skipped.

    Raises:
        StudyError: a reference is not among the gradients.
    """
    full = [name for name, dataset in datasets.items() if not _directional(dataset)]
    named = [name for name in asked if name in datasets or name not in every] or full
    missing = [name for name in named if name not in datasets]
    if missing:
        raise StudyError(
            f"references without a gradient file: {', '.join(missing)}; expected among: {', '.join(datasets)}"
        )
    reasons = {name: unfit(dataset.attrs["status"]) for name, dataset in datasets.items()}
    finite = [name for name, dataset in datasets.items() if dataset.attrs["status"] != "nonfinite"]
    usable = [name for name in named if name in finite] or [name for name in full if name in finite]
    sound = [name for name in usable if not reasons[name]]
    references = [*sound[:1], *(name for name in usable if name not in sound[:1])]
    passed_over = {name: "was skipped" for name in asked if name not in datasets}
    passed_over |= {name: reasons[name] for name in named if name not in finite}
    if sound:
        passed_over |= {name: reasons[name] for name in usable[: usable.index(sound[0])]}
    return references, passed_over


def _require_kin(datasets: dict[str, xr.Dataset]) -> None:
    """Raises where gradients are of different models, objectives or precisions."""
    first = next(iter(datasets.values()), None)
    for dataset in datasets.values():
        assert first is not None
        for name, found, expected in (
            ("model", dataset.attrs["model"], first.attrs["model"]),
            ("state of the model", made_from(dataset).get("model"), made_from(first).get("model")),
            ("objective", _objective(dataset), _objective(first)),
            ("precision", dataset.attrs["precision"], first.attrs["precision"]),
        ):
            if found != expected:
                raise StudyError(
                    f"{_path(dataset)}: has the {name} {found}, expected {expected}, that of {_path(first)}; "
                    "gradients can be compared where all of these are the same"
                )


def _objective(dataset: xr.Dataset) -> str:
    return json.dumps(json.loads(dataset.attrs["settings"])["objective"])


def _write(dataset: xr.Dataset, output: Path, references: list[str], gradients: dict[str, xr.Dataset]) -> str:
    like = next(iter(gradients.values()))
    origin = provenance(
        "comparison", settings={"references": references}, precision=like.attrs["precision"], backend="none"
    )
    sources = {key: value for gradient in gradients.values() for key, value in source(gradient).items()}
    origin |= {"model": like.attrs["model"], "setting": "comparison", "made_from": sources}
    store.write(dataset, output, "comparison", origin)
    return str(dataset.attrs.get("status_message", "written"))


def _directional(dataset: xr.Dataset) -> bool:
    return "directional_derivative" in dataset


def _arrays(dataset: xr.Dataset) -> Vectors:
    """Returns each parameter group's gradient."""
    names = [str(name) for name in dataset.data_vars if str(name).startswith(_PREFIX)]
    return {name.removeprefix(_PREFIX): dataset[name].values.astype(np.float64) for name in names}


def _projection(reference: xr.Dataset, arrays: dict[str, Vectors]) -> tuple[dict[str, Vectors], Vectors]:
    """Returns every estimate and the reference as vectors that can be compared, per group and in total."""
    if not _directional(reference):
        return {name: _flat(vectors) for name, vectors in arrays.items()}, _flat(_arrays(reference))
    parameters = json.loads(reference.attrs["settings"])["parameters"]
    count, seed = reference.sizes["direction"], parameters.get("seed", 0)
    shapes = [array.shape for array in next(iter(arrays.values())).values()]
    directions = random_directions(shapes, count=count, seed=seed)
    projected = {
        name: {
            group: np.array([np.vdot(array, direction) for direction in drawn])
            for (group, array), drawn in zip(vectors.items(), directions, strict=True)
        }
        for name, vectors in arrays.items()
    }
    truth = dict(zip(next(iter(arrays.values())), reference["directional_derivative"].values, strict=True))
    return {name: _flat(vectors) for name, vectors in projected.items()}, _flat(truth)


def _flat(vectors: Vectors) -> Vectors:
    flat = {name: array.ravel() for name, array in vectors.items()}
    return flat | {ALL: np.concatenate(list(flat.values()))}


def _resolution(reference: xr.Dataset, group: str) -> float:
    if not _directional(reference):
        return float("nan")
    chosen = reference if group == ALL else reference.isel(group=list(reference["group"].values).index(group))
    scale = np.linalg.norm(chosen["directional_derivative"].values)
    return float(np.linalg.norm(chosen["directional_error"].values) / scale) if scale > 0 else float("nan")


def _evidence(dataset: xr.Dataset, error: float, witness: xr.Dataset, arrays: Vectors) -> Evidence:
    # an error is relative to the witness, so its bound is as well; of finite differences the whole gradient is not known
    scale = float(np.linalg.norm(_flat(arrays if _directional(witness) else _arrays(witness))[ALL]))
    absolute = float(dataset["certificate"]) if "certificate" in dataset else float("nan")
    certificate = absolute / scale if scale > 0 else absolute
    resolution = _resolution(witness, ALL) if _directional(witness) else 0.0
    return Evidence(dataset.attrs["status"], error, certificate, resolution, dataset.attrs["precision"])


def _array(values: list) -> np.ndarray:
    return np.array(values, dtype=object) if isinstance(values[0], str) else np.array(values)


def _path(dataset: xr.Dataset) -> str:
    return str(dataset.encoding.get("source", "a gradient file"))
