"""Stage ``compare``: all gradients of a model, each with each reference, and a verdict → ``comparison.nc``."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import xarray as xr

from slds_core.study import store
from slds_core.study.contents import made_from, source
from slds_core.study.errors import StudyError
from slds_core.study.gradient_vectors import ALL, Vectors, arrays_of, comparable, directional, flat, resolution_of
from slds_core.study.metrics import METRICS, by_estimator
from slds_core.study.provenance import provenance
from slds_core.study.verdicts import Evidence, Verdict, disputes, not_judged, unfit, verdict, witness_verdict


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
        return _write(_nothing("every gradient was skipped"), output, asked, every)
    references, passed_over = _references(asked, every, datasets)
    if not references:
        return _write(_nothing("no gradient to compare with is finite"), output, asked, every)
    estimates = _estimates(datasets)
    measures = _measures({name: datasets[name] for name in references}, estimates)

    witness, total = references[0], measures["relative_l2"].sel(group=ALL)
    evidence = {
        name: _evidence(datasets[name], error, datasets[witness], estimates[name])
        for name, error in zip(estimates, total.sel(reference=witness).values, strict=True)
    }
    why = " and ".join(f"{name}, which {reason}" for name, reason in passed_over.items())
    judge = _witness_verdict(total, asked, datasets, why)
    verdicts = {name: _verdict(name, own, witness, judge, passed_over) for name, own in evidence.items()}

    note = f"not judged by {why}, but by {witness}" if why else ""
    status = {"status": "compared"} | ({"status_message": f"{note}."} if note else {})
    _write(measures.assign(_columns(evidence, verdicts)).assign_attrs(status), output, asked, every)
    counts = Counter(found.name for found in verdicts.values())
    return ", ".join(f"{count} {name}" for name, count in counts.items()) + (note and f"; {note}")


def _estimates(datasets: dict[str, xr.Dataset]) -> dict[str, Vectors]:
    """Returns each whole gradient's arrays by parameter group.

    Raises:
        StudyError: there is none, or they are of different groups.
    """
    found = {name: arrays_of(dataset) for name, dataset in datasets.items() if not directional(dataset)}
    if not found:
        raise StudyError("nothing to compare: expected at least one gradient that is not by finite differences")
    first = next(iter(found))
    for name, arrays in found.items():
        if list(arrays) != list(found[first]):
            raise StudyError(f"{_path(datasets[name])}: has other parameter groups than {_path(datasets[first])}")
    return found


def _measures(references: dict[str, xr.Dataset], estimates: dict[str, Vectors]) -> xr.Dataset:
    """Returns every metric of each estimate beside each reference, by group and in total, and how exact the references are."""
    groups = [*next(iter(estimates.values())), ALL]
    pairs = comparable(references, estimates)
    measures = {}
    for name, (metric, long_name) in METRICS.items():
        table = [[by_estimator(metric, own[group], truth[group]) for group in groups] for own, truth in pairs]
        values = np.moveaxis(np.array(table), -1, 0)
        measures[name] = store.variable(("estimator", "reference", "group"), values, long_name)
    measures["resolution"] = store.variable(
        ("reference", "group"),
        [[resolution_of(reference, group) for group in groups] for reference in references.values()],
        "relative error of the reference itself, where it estimates it",
    )
    return xr.Dataset(measures, {"estimator": list(estimates), "reference": list(references), "group": groups})


def _references(
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
    full = [name for name, dataset in datasets.items() if not directional(dataset)]
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


def _evidence(dataset: xr.Dataset, error: float, witness: xr.Dataset, arrays: Vectors) -> Evidence:
    # an error is relative to the witness, so its bound is as well; of finite differences the whole gradient is not known
    scale = float(np.linalg.norm(flat(arrays if directional(witness) else arrays_of(witness))[ALL]))
    absolute = float(dataset["certificate"]) if "certificate" in dataset else float("nan")
    certificate = absolute / scale if scale > 0 else absolute
    resolution = resolution_of(witness, ALL) if directional(witness) else 0.0
    return Evidence(dataset.attrs["status"], error, certificate, resolution, dataset.attrs["precision"])


def _witness_verdict(
    total: xr.DataArray, asked: list[str], datasets: dict[str, xr.Dataset], why: str
) -> Verdict | None:
    """Returns the verdict of the witness itself; ``None`` where it is by finite differences, and no estimator.

    Args:
        total: relative error of each estimator beside each reference, the witness first.
        asked: the references that the study names: only of these it is said that they should agree.
        datasets: all gradients by name.
        why: which references were passed over for it, and the reasons; nothing if none.
    """
    witness, *others = total["reference"].values.tolist()
    if directional(datasets[witness]):
        return None
    agreement = dict(zip(others, total.sel(estimator=witness).values[1:].tolist(), strict=True))
    statuses = {name: str(dataset.attrs["status"]) for name, dataset in datasets.items()}
    sound = {name: difference for name, difference in agreement.items() if not unfit(statuses[name])}
    beyond = {
        name: difference - np.nan_to_num(resolution_of(datasets[name], ALL)) for name, difference in sound.items()
    }
    disputed_by = {
        name: sound[name]
        for name in sound
        if name in asked and disputes(statuses[witness], statuses[name], beyond[name])
    }
    found = witness_verdict(statuses[witness], sound, disputed_by)
    return found._replace(reason=f"{found.reason}; in place of {why}") if why else found


def _verdict(
    name: str, evidence: Evidence, witness: str, judge: Verdict | None, passed_over: dict[str, str]
) -> Verdict:
    """Returns the verdict of one gradient.

    Args:
        name, evidence: whose, and what it rests on.
        witness, judge: the first reference, and its own verdict; ``None`` where it is by finite differences.
        passed_over: references that do not judge, with the reason.
    """
    if judge is not None and name == witness:  # judged by itself it would be perfect
        return judge
    if passed_over.get(name) == unfit("nonfinite"):
        return Verdict("failed", f"not finite, so that no other is judged by it; the witness is '{witness}'")
    found = verdict(evidence)
    if judge is None or judge.name == "witness" or found.name == "failed":
        return found
    return not_judged(witness, evidence.error)


def _columns(evidence: dict[str, Evidence], verdicts: dict[str, Verdict]) -> dict[str, xr.Variable]:
    """Returns what a comparison tells of each estimator."""
    names, reasons = (np.array(texts, dtype=object) for texts in zip(*verdicts.values(), strict=True))
    certificates = [own.certificate for own in evidence.values()]
    within = [own.within_certificate for own in evidence.values()]
    columns = {
        "verdict": (names, "what the estimator is worth here, judged by the first reference"),
        "verdict_reason": (reasons, "why"),
        "certificate": (certificates, "bound on the total relative error; NaN where there is none"),
        "within_certificate": (within, "1 if the total error is within it, -1 if unknown, or if it is infinite"),
    }
    return {name: store.variable("estimator", values, long_name) for name, (values, long_name) in columns.items()}


def _nothing(why: str) -> xr.Dataset:
    return xr.Dataset(attrs={"status": "declined", "status_message": why})


def _write(dataset: xr.Dataset, output: Path, references: list[str], gradients: dict[str, xr.Dataset]) -> str:
    like = next(iter(gradients.values()))
    origin = provenance(
        "comparison", settings={"references": references}, precision=like.attrs["precision"], backend="none"
    )
    sources = {key: value for gradient in gradients.values() for key, value in source(gradient).items()}
    origin |= {"model": like.attrs["model"], "setting": "comparison", "made_from": sources}
    store.write(dataset, output, "comparison", origin)
    return str(dataset.attrs.get("status_message", "written"))


def _path(dataset: xr.Dataset) -> str:
    return str(dataset.encoding.get("source", "a gradient file"))
