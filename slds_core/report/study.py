"""A study as far as it has come: results, what is not there and why, what the jobs used."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import xarray as xr

from slds_core.report.load import Absence, ModelResults, StudyResults
from slds_core.study import store
from slds_core.study.configuration import read_files
from slds_core.study.contents import made_from, place
from slds_core.study.errors import StudyError
from slds_core.study.progress_lines import interruption
from slds_core.study.provenance import file_hash
from slds_core.study.schema import Configuration
from slds_core.study.stages.compare import compare

_ORDER = ("model", "inference", "residual", "gradient", "comparison")
_RULES = {
    "model": "build_model",
    "fit": "fit",
    "inference": "infer",
    "residual": "residual",
    "gradient": "gradient",
    "comparison": "compare",
}
_COMPARISON = ("comparison", "comparison")
_TAIL = 12  # lines of a log
_NOT_RUN = "it has not run"
_DONE = re.compile(rf"^({'|'.join(_RULES.values())}) ")  # the last line of a job that ended well

Result = tuple[str, str, str]  # model, kind, setting


@dataclass(frozen=True)
class Job:
    """What one job of the workflow used, as ``slds --benchmark`` wrote it."""

    rule: str
    model: str
    setting: str
    seconds: float
    cpu_seconds: float | None
    mebibytes: float | None
    ended: float  # seconds since 1970


@dataclass(frozen=True)
class StudyFile:
    """One NetCDF file that the report rests on."""

    path: str
    sha256: str


@dataclass
class Study:
    """All that a report is made from."""

    results: StudyResults
    files: list[StudyFile] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    configuration: Configuration | None = None
    sources: dict[str, str] = field(default_factory=dict)  # the configuration's files, as text

    @property
    def absent(self) -> list[tuple[Result, Absence]]:
        """All that is not there."""
        return [
            ((name, kind, setting), absence)
            for name, found in self.results.items()
            for (kind, setting), absence in found.absent.items()
        ]


def gather(
    places: list[Path],
    *,
    logs: Path | None = None,
    benchmarks: Path | None = None,
    configuration: list[Path] | None = None,
) -> Study:
    """Returns the study in files, or in folders of results, as far as it has come.

    A file that cannot be used is a failed result. A result is known to be absent if the configuration asks for it, if it left a log,
    or if another model in the same folder has it. Where a comparison is absent because gradients are, those that are there are
    compared by the references that the configuration names.

    Args:
        places: NetCDF files, in any order, and folders of results.
        logs, benchmarks: the workflow's folders; those in a folder of results if left out.
        configuration: the study's configuration, to compare the files with.

    Raises:
        StudyError: there is no file that can be used, nor a configuration to say what should be there; or that cannot be used.
    """
    folders = [place for place in places if place.is_dir()]
    logs = logs or next((place / "log" for place in folders), None)
    benchmarks = benchmarks or next((place / "benchmark" for place in folders), None)
    paths = [path for place in places for path in (_files(place) if place.is_dir() else [place])]
    checked = read_files(configuration) if configuration else None
    results: StudyResults = {name: ModelResults(name) for name in (checked.models if checked else ())}
    files, damaged, gradients = [], {}, {}
    read = {}
    for path in paths:
        try:
            read[path] = store.read_any(path)
        except StudyError as error:
            damaged[_place(path)] = str(error)
    refused = _refused(read)
    for path, dataset in read.items():
        model = dataset.attrs["model"]
        if path in refused:
            damaged[model, dataset.attrs["slds_kind"], dataset.attrs["setting"]] = refused[path]
            continue
        results.setdefault(model, ModelResults(model)).add(dataset)
        if dataset.attrs["slds_kind"] == "gradient":
            gradients.setdefault(model, []).append(path)
        files.append(StudyFile("/".join(path.parts[-3:]), file_hash(path)))
    if not files and not (checked and not damaged):
        raise StudyError("; ".join(damaged.values()) or "no files to report on")
    # what a study no longer asks for may have left a log all the same
    asked = [*_asked(checked)] if checked else [*(_crossed(results) if folders else ()), *_logged(logs)]
    for result in dict.fromkeys([*asked, *damaged]):
        model, kind, setting = result
        found = results.setdefault(model, ModelResults(model))
        if (kind, setting) not in found.absent and not _has(found, kind, setting):
            found.absent[kind, setting] = _absence(result, damaged.get(result), logs)
    for found in results.values():
        _tell_what_it_waited_for(found, checked)
    if checked:
        for found in results.values():
            _put_in_order(found, checked)
        for model, paths in gradients.items():
            _compare_some(results[model], paths, checked.references)
    sources = {path.name: path.read_text(encoding="utf-8") for path in configuration or ()}
    return Study(results, files, list(_jobs(benchmarks)), checked, sources)


def _tell_what_it_waited_for(found: ModelResults, study: Configuration | None) -> None:
    """Says of what has not run which result that it is made from is absent, and why, where that is a failure of its own."""
    places = {name: setting.at for name, setting in study.gradients.items()} if study else {}
    for (kind, setting), absence in list(found.absent.items()):
        if absence.reason != _NOT_RUN or kind == "model":
            continue
        inference = places.get(setting) if kind == "gradient" else setting
        for source, words in (
            (("model", found.name), "its model"),
            (("inference", inference), f"its inference '{inference}'"),
        ):
            cause = found.absent.get(source)  # type: ignore[arg-type]
            if cause and source != (kind, setting) and cause.state == "failed":
                found.absent[kind, setting] = Absence(
                    "missing", f"it has not run, since {words} failed: {cause.reason}"
                )
                break


def _refused(read: dict[Path, xr.Dataset]) -> dict[Path, str]:
    """Returns why files cannot be used beside the others: they were made from another state of one, or from one that cannot be used."""

    def own(dataset: xr.Dataset) -> tuple[str, str]:
        return dataset.attrs["model"], place(dataset)

    known = {own(dataset): dataset.attrs.get("contents_hash") for dataset in read.values()}
    reasons, spoilt = {}, set()
    # what others are made from comes first, so that what it is refused for passes on to them
    for path, dataset in sorted(read.items(), key=lambda item: _ORDER.index(item[1].attrs["slds_kind"])):
        model = dataset.attrs["model"]
        sources = made_from(dataset)
        # a file that is not there cannot be spoken against
        others = [name for name, digest in sources.items() if known.get((model, name), digest) != digest]
        passed_on = [name for name in sources if (model, name) in spoilt]
        if others:
            reasons[path] = f"{path}: was made from another state of {', '.join(others)}; run it again"
        elif passed_on:
            reasons[path] = f"{path}: was made from {', '.join(passed_on)}, which cannot be used; run it again"
        if path in reasons:
            spoilt.add(own(dataset))
    return reasons


def _compare_some(found: ModelResults, gradients: list[Path], references: list[str]) -> None:
    """Compares the gradients that are there, where some are not and the comparison of all is not for that reason.

    Nothing is compared where none of the study's references is there: any other would be a judge that nobody chose.
    """
    lacking = any(kind == "gradient" and why.state != "skipped" for (kind, _), why in found.absent.items())
    present = [name for name in references if name in found.gradient]
    if _COMPARISON not in found.absent or not lacking or (references and not present):
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "comparison.nc"
        try:
            compare(gradients, present, path)
        except StudyError as error:
            found.absent[_COMPARISON] = Absence("failed", str(error))
            return
        found.add(store.read(path, "comparison"))
    found.absent[_COMPARISON] = Absence("missing", "not all gradients are there; this report compares those that are")


def _put_in_order(found: ModelResults, study: Configuration) -> None:
    """Puts a model's results in the order that the configuration has its settings in; what it does not have comes last."""
    for kind, names in (("inference", study.inference), ("residual", study.inference), ("gradient", study.gradients)):
        results = getattr(found, kind)
        setattr(found, kind, {name: results[name] for name in [*names, *results] if name in results})


def _files(folder: Path) -> list[Path]:
    """Returns the NetCDF files in a folder of results, models first, then what follows from them; numbers in names in their order."""
    found = [path for path in folder.rglob("*.nc") if not path.name.startswith(".")]
    return sorted(
        found, key=lambda path: (_place(path)[0], _ORDER.index(_place(path)[1]), _by_numbers(path.stem), path)
    )


def _by_numbers(name: str) -> list[str | float]:
    """Returns what a name sorts by: ``sweeps_50`` before ``sweeps_150``, ``tolerance_1e-06`` before ``tolerance_0.01``."""
    parts = re.split(r"([0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?)", name)  # words and numbers by turns
    return [float(part) if place % 2 else part for place, part in enumerate(parts)]


def _place(path: Path) -> Result:
    """Returns what a file should hold, by where it lies: ``MODEL/KIND/SETTING.nc`` or ``MODEL/KIND.nc``."""
    if path.parent.name in _ORDER:
        return path.parent.parent.name, path.parent.name, path.stem
    kind = path.stem if path.stem in _ORDER else "model"
    return path.parent.name, kind, path.parent.name if kind == "model" else kind


def _asked(study: Configuration) -> Iterator[Result]:
    for model in study.models:
        yield model, "model", model
        for kind, names in (
            ("inference", study.inference),
            ("residual", study.inference),
            ("gradient", study.gradients),
        ):
            yield from ((model, kind, name) for name in names)
        if study.gradients:
            yield model, "comparison", "comparison"


def _crossed(results: StudyResults) -> Iterator[Result]:
    """Yields what any of the models has, for each of them."""

    def names(kind: str) -> list[str]:
        there = [name for found in results.values() for name in getattr(found, kind)]
        skipped = [setting for found in results.values() for other, setting in found.absent if other == kind]
        return list(dict.fromkeys([*there, *skipped]))

    settings = {
        "inference": names("inference"),
        "residual": names("inference"),
        "gradient": names("gradient"),
        "comparison": ["comparison"] if names("gradient") else [],
    }  # fmt: skip
    for model in results:
        yield model, "model", model
        yield from ((model, kind, name) for kind, inside in settings.items() for name in inside)


def _logged(logs: Path | None) -> Iterator[Result]:
    if logs is None:
        return
    for path in sorted(logs.rglob("*.log")):
        parts = path.relative_to(logs).with_suffix("").parts
        if len(parts) == 3 and parts[1] in _ORDER:
            yield parts[0], parts[1], parts[2]
        elif len(parts) == 2 and parts[1] in ("model", "fit"):  # a model is built or learnt
            yield parts[0], "model", parts[0]
        elif len(parts) == 2 and parts[1] == "comparison":
            yield parts[0], parts[1], parts[1]


def _has(found: ModelResults, kind: str, setting: str) -> bool:
    place = getattr(found, kind)
    return setting in place if isinstance(place, dict) else place is not None


def _absence(result: Result, damage: str | None, logs: Path | None) -> Absence:
    model, kind, setting = result
    log = ""
    if logs is not None:
        named = {"model": ("fit.log", "model.log"), "comparison": ("comparison.log",)}
        places = [logs / model / name for name in named.get(kind, (f"{kind}/{setting}.log",))]
        place = next((place for place in places if place.is_file()), None)
        if place is not None:
            lines = place.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()
            log = "\n".join(lines[-_TAIL:])
    last = log.rpartition("\n")[2].strip()
    if damage:
        return Absence("failed", damage, log)
    interrupted = interruption(last)
    if interrupted:
        return Absence("missing", interrupted, log)
    if last and not _DONE.match(last):
        return Absence("failed", last, log)
    return Absence("missing", "it ran before, but its file is not there or out of date" if last else _NOT_RUN, log)


def _jobs(folder: Path | None) -> Iterator[Job]:
    if folder is None:
        return
    for path in sorted(folder.rglob("*.tsv")):
        model, *rest = path.relative_to(folder).with_suffix("").parts
        if not rest or rest[0] not in _RULES:
            continue
        with open(path, encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream, delimiter="\t"):
                seconds = _number(row.get("s"))
                if seconds is not None:
                    cpu, size = _number(row.get("cpu_time")), _number(row.get("max_rss"))
                    setting = rest[-1] if len(rest) > 1 else model
                    yield Job(_RULES[rest[0]], model, setting, seconds, cpu, size, path.stat().st_mtime)


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None
