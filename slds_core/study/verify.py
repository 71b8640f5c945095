"""Whether the files in a results folder belong to a configuration, to this code and to this environment: hashes derived anew."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

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
    expected = dict(_expected(study, results))
    findings = [Finding(path, _problems(path, *wanted, study.precision)) for path, wanted in expected.items()]
    strangers = sorted(set(results.rglob("*.nc")) - set(expected))
    return findings + [Finding(path, ["no setting of this configuration leads to it"]) for path in strangers]


def describe(findings: list[Finding]) -> str:
    """Returns the findings as text, a line for each problem, and a count."""
    lines = [f"{finding.path}: {problem}" for finding in findings for problem in finding.problems]
    good = sum(not finding.problems for finding in findings)
    return "\n".join([*lines, f"{good} of {len(findings)} files belong to this configuration, code and environment"])


def _expected(
    study: Configuration, results: Path
) -> Iterator[tuple[Path, tuple[str, dict[str, Any], dict[str, Setting]]]]:
    """Yields each file with its kind, the settings that it should hold, and the plugins that should have made it."""
    for model, built in study.models.items():
        folder = results / model
        yield folder / "model.nc", ("model", _box(built), {"models": built})
        for name, setting in study.inference.items():
            yield folder / "inference" / f"{name}.nc", ("inference", _box(setting), {"inference": setting})
            yield folder / "residual" / f"{name}.nc", ("residual", {"inference": name}, {})
        for name, setting in study.gradients.items():
            at = {} if setting.at is None else {"at": setting.at}
            plugins = {"gradients": setting, "objectives": study.objective}
            wanted = _box(setting) | at | {"objective": _box(study.objective)}
            yield folder / "gradient" / f"{name}.nc", ("gradient", wanted, plugins)
        if study.gradients:
            yield folder / "comparison.nc", ("comparison", {}, {})


def _box(setting: Setting) -> dict[str, Any]:
    return {"plugin": setting.plugin, "parameters": setting.parameters}


def _problems(path: Path, kind: str, wanted: dict[str, Any], plugins: dict[str, Setting], precision: str) -> list[str]:
    try:
        dataset = store.read(path, kind)
    except StudyError as error:
        return [str(error).removeprefix(f"{path}: ")]
    found, problems = _attributes(dataset), []
    for key, value in wanted.items():
        if found["settings"].get(key) != value:
            problems.append(
                f"made with {key} {json.dumps(found['settings'].get(key))}, configured is {json.dumps(value)}"
            )
    if found["precision"] != precision:
        problems.append(f"made in {found['precision']}, configured is {precision}")
    if found["code_hash"] != code_hash(kind):
        problems.append(f"made by other code ({found['code_hash']}, now {code_hash(kind)})")
    for name, setting in plugins.items():
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


def _attributes(dataset: xr.Dataset) -> dict[str, Any]:
    plain = {key: str(dataset.attrs.get(key, "")) for key in ("precision", "code_hash")}
    stored = ("settings", "plugins", "packages", "input_files")
    return plain | {key: json.loads(dataset.attrs.get(key, "{}")) for key in stored}
