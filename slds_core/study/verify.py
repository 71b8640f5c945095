"""Whether the files in a results folder belong to a configuration, to this code and to this environment: hashes derived anew."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from slds_core.study import registry, store
from slds_core.study.errors import StudyError
from slds_core.study.provenance import code_hash, file_hash, versions
from slds_core.study.schema import Configuration, Setting


@dataclass(frozen=True)
class Finding:
    """One file, and what speaks against it."""

    path: Path
    problems: list[str]


def verify(study: Configuration, results: Path) -> list[Finding]:
    """Returns a finding for each file that the study should have, and for each that it should not.

    Args:
        study: a checked configuration.
        results: the folder with its results.

    Raises:
        StudyError: the folder does not exist.
    """
    if not results.is_dir():
        raise StudyError(f"{results}: no such folder; expected the results of a study")
    findings = _findings(study, results, lambda path, kind: store.read(path, kind).attrs)
    strangers = sorted(set(results.rglob("*.nc")) - {finding.path for finding in findings})
    findings += [Finding(path, ["no setting of this configuration leads to it"]) for path in strangers]
    return findings + _half_a_report(results)


def outdated(study: Configuration, results: Path) -> list[Finding]:
    """Returns a finding for each file that is there and does not belong to the study; quickly: large files are not read whole.

    Args:
        study: a checked configuration.
        results: the folder with its results, if there is one.
    """
    found = _findings(study, results, store.attributes)
    return [finding for finding in found if finding.problems and finding.path.exists()] + _half_a_report(results)


def _half_a_report(results: Path) -> list[Finding]:
    """Returns a finding where the page is there and does not end as it should; nothing else of it is looked at."""
    page = results / "report.html"
    if not page.is_file():
        return []
    with page.open("rb") as stream:
        stream.seek(-min(page.stat().st_size, 64), os.SEEK_END)
        whole = stream.read().rstrip().endswith(b"</html>")
    return [] if whole else [Finding(page, ["is not whole"])]


def describe(findings: list[Finding]) -> str:
    """Returns the findings as text, a line for each problem, and a count."""
    lines = [f"{finding.path}: {problem}" for finding in findings for problem in finding.problems]
    good = sum(not finding.problems for finding in findings)
    return "\n".join([*lines, f"{good} of {len(findings)} files belong to this configuration, code and environment"])


class _Wanted(NamedTuple):
    """A file that a study should have."""

    folder: Path  # of its model
    place: str  # in there, without the ending
    kind: str
    settings: dict[str, Any]
    plugins: dict[str, Setting]  # that should have made it, by kind

    @property
    def path(self) -> Path:
        return self.folder / f"{self.place}.nc"


def _expected(study: Configuration, results: Path) -> Iterator[_Wanted]:
    """Yields each file, after those that it is made from."""
    for model, built in study.models.items():
        folder = results / model
        yield _Wanted(folder, "model", "model", _stated(built), {"models": built})
        for name, setting in study.inference.items():
            yield _Wanted(folder, f"inference/{name}", "inference", _stated(setting), {"inference": setting})
            yield _Wanted(folder, f"residual/{name}", "residual", {"inference": name}, {})
        for name, setting in study.gradients.items():
            plugins = {"gradients": setting, "objectives": study.objective}
            wanted = _stated(setting) | {"at": setting.at, "objective": _stated(study.objective)}
            yield _Wanted(folder, f"gradient/{name}", "gradient", wanted, plugins)
        if study.gradients:
            yield _Wanted(folder, "comparison", "comparison", {"references": study.references}, {})


def _stated(setting: Setting) -> dict[str, Any]:
    return {"plugin": setting.plugin, "parameters": setting.parameters}


def _findings(study: Configuration, results: Path, read: Callable[[Path, str], dict[str, Any]]) -> list[Finding]:
    """Returns a finding for each file that the study should have."""
    contents: dict[Path, str] = {}  # hashes of what belongs
    findings = []
    for wanted in _expected(study, results):
        try:
            attributes = read(wanted.path, wanted.kind)
        except StudyError as error:
            problems = [str(error).removeprefix(f"{wanted.path}: ")]
        else:
            found = _decoded(attributes)
            problems = [*_problems(found, wanted, study.precision), *_other_sources(found, wanted.folder, contents)]
            if not problems:
                contents[wanted.path] = attributes.get("contents_hash", "")
        findings.append(Finding(wanted.path, problems))
    return findings


def _problems(found: dict[str, Any], wanted: _Wanted, precision: str) -> list[str]:
    problems = []
    for key, value in wanted.settings.items():
        if found["settings"].get(key) != value:
            problems.append(
                f"made with {key} {json.dumps(found['settings'].get(key))}, configured is {json.dumps(value)}"
            )
    if found["precision"] != precision:
        problems.append(f"made in {found['precision']}, configured is {precision}")
    if found["code_hash"] != code_hash(wanted.kind):
        problems.append(f"made by other code ({found['code_hash']}, now {code_hash(wanted.kind)})")
    for name, setting in wanted.plugins.items():
        now = registry.identity(name, setting.plugin)
        if found["plugins"].get(name) != now:
            problems.append(
                f"made by another state of its plugin among {name} ({found['plugins'].get(name)}, now {now})"
            )
    changed = [
        f"{name} {old}, now {versions().get(name)}"
        for name, old in found["packages"].items()
        if versions().get(name) != old
    ]
    if changed:
        problems.append(f"made with other packages: {'; '.join(changed)}")
    for file, digest in found["input_files"].items():
        if not Path(file).is_file() or file_hash(Path(file)) != digest:
            problems.append(f"made from another state of {file}")
    return problems


def _other_sources(found: dict[str, Any], folder: Path, contents: dict[Path, str]) -> list[str]:
    """Returns what speaks against the results that a file was made from."""
    problems = []
    for place, digest in found["made_from"].items():
        belongs = contents.get(folder / f"{place}.nc")
        if belongs is None:
            problems.append(f"made from {place}.nc, which does not belong or is not there")
        elif belongs != digest:
            problems.append(f"made from another state of {place}.nc")
    return problems


def _decoded(attributes: dict[str, Any]) -> dict[str, Any]:
    plain = {key: str(attributes.get(key, "")) for key in ("precision", "code_hash")}
    stored = ("settings", "plugins", "packages", "input_files", "made_from")
    return plain | {key: json.loads(attributes.get(key, "{}")) for key in stored}
