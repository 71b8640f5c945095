"""From what a configuration says to what it means: plugins found, defaults filled in, grids expanded, everything checked."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slds_core.study import grids, registry
from slds_core.study.errors import ParameterErrors, StudyError
from slds_core.study.guard import failures_of
from slds_core.study.problems import Problem
from slds_core.study.registry import Catalogue, nearest
from slds_core.study.schema import Configuration, GradientSetting, Setting
from slds_core.study.yaml_file import KeyPath

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_TAKEN = ("benchmark", "figures", "log", "report.html")  # what else lies beside the models' folders


@dataclass
class _Section:
    """One section's settings once lists are expanded."""

    settings: dict[str, Setting] = field(default_factory=dict)
    places: dict[str, KeyPath] = field(default_factory=dict)  # where each was written
    groups: dict[str, list[str]] = field(default_factory=dict)  # the names that each written setting led to

    def add(self, place: KeyPath, name: str, setting: Setting) -> list[Problem]:
        """Adds a setting, and returns what speaks against its name."""
        self.groups.setdefault(place[-1], []).append(name)
        if name in self.settings:
            return [Problem(place, f"its list makes a setting '{name}', a name that another one has")]
        self.settings[name], self.places[name] = setting, place
        twin = next((known for known in self.settings if known != name and known.lower() == name.lower()), None)
        if twin is not None:
            return [Problem(place, f"'{name}' and '{twin}' would be one file where capitals do not count")]
        if not _NAME.fullmatch(name):
            shown = "" if name == place[-1] else f"'{name}': "
            return [
                Problem(
                    place,
                    f"{shown}a name may hold up to 100 letters, digits, '_', '-' and '.', and becomes a file name",
                )
            ]
        if place[0] == "models" and name.lower() in _TAKEN:
            return [Problem(place, f"results/{name} is taken; expected a name other than {', '.join(_TAKEN)}")]
        return []


def resolve(written: Configuration, folder: Path) -> tuple[Configuration, list[Problem]]:
    """Returns the configuration that a study runs, and all that is wrong with it; with problems it is not to be used.

    Args:
        written: what the file says.
        folder: where relative paths in it start.
    """
    problems: list[Problem] = []
    paths, catalogues = [anchored(path, folder) for path in written.plugins], {}
    for kind in registry.KINDS:
        try:
            catalogues[kind] = registry.catalogue(kind, paths)
        except StudyError as error:
            problems.append(Problem(("plugins",), str(error)))
            catalogues[kind] = registry.catalogue(kind)
        problems += [Problem(("plugins",), error) for error in catalogues[kind].taken]
    sections: dict[str, _Section] = {}
    for kind in ("models", "inference", "gradients"):
        places = sections["inference"].groups if kind == "gradients" else {}
        defaults = written.defaults.get(kind, {})
        sections[kind], found = _section(kind, getattr(written, kind), defaults, catalogues, folder, places)
        problems += found
    problems += _check_starts(sections["gradients"], sections["inference"])
    groups = sections["gradients"].groups
    references = list(dict.fromkeys(name for wanted in written.references for name in groups.get(wanted) or [wanted]))
    problems += [
        Problem(("references",), f"no gradient setting '{name}'{nearest(name, sections['gradients'].settings)}")
        for name in references
        if name not in sections["gradients"].settings and name not in written.gradients
    ]
    objective = written.objective
    try:
        objective, _ = _placed(written.objective, "objectives", catalogues, folder)
        problems += _check("objectives", ("objective",), objective)
    except StudyError as error:
        problems.append(Problem(("objective", "plugin"), str(error)))
    changes = {kind: section.settings for kind, section in sections.items()}
    changes |= {
        "objective": objective,
        "references": references,
        "plugins": [str(path) for path in paths],
        "defaults": {},
    }
    return written.model_copy(update=changes), problems


def input_files(kind: str, setting: Setting) -> list[str]:
    """Returns the files that a setting's plugin reads, besides those of the study."""
    return [str(file) for file in _input_files(setting, registry.make(kind, setting.plugin, setting.parameters))]


def anchored(path: str, folder: Path) -> Path:
    """Returns a path of the configuration as jobs can use it: from the working folder where it lies below that, else whole."""
    place = Path(path).expanduser()
    whole = Path(os.path.abspath(place if place.is_absolute() else folder / place))
    return whole.relative_to(Path.cwd()) if whole.is_relative_to(Path.cwd()) else whole


def _section(
    kind: str,
    written: dict[str, Any],
    defaults: dict[str, Any],
    known: dict[str, Catalogue],
    folder: Path,
    places: dict[str, list[str]],
) -> tuple[_Section, list[Problem]]:
    """Returns a section's settings; ``places`` are the inference settings that each one written there led to, where ``at`` may be."""
    section, problems, used = _Section(), [], set()
    for name, setting in written.items():
        place = (kind, name)
        try:
            setting, fields = _placed(setting, kind, known, folder)
        except StudyError as error:
            problems.append(Problem((*place, "plugin"), str(error)))
            section.groups[name] = []  # what refers to it is not wrong for that
            continue
        if kind == "gradients" and registry.plugin_class(kind, setting.plugin).start == "fixed_point":
            fields = fields | {"at": str}
        given = setting.model_dump(exclude_unset=True)
        inherited = {key: value for key, value in defaults.items() if key in fields}
        used |= inherited.keys()
        try:
            whole = inherited | given
            expanded = grids.expand(name, _spread(whole, places) if "at" in fields else whole, fields)
        except StudyError as error:
            problems.append(Problem(place, str(error)))
            section.groups[name] = []
            continue
        for label, single in expanded.items():
            setting = type(setting).model_validate(single)
            problems += section.add(place, label, setting)
            problems += _check(kind, place, setting)
    problems += [
        Problem(("defaults", kind, key), f"no plugin among this study's {kind} takes '{key}'")
        for key in defaults
        if key not in used
    ]
    return section, problems


def _placed(setting: Setting, kind: str, known: dict[str, Catalogue], folder: Path) -> tuple[Any, dict[str, Any]]:
    """Returns a setting with its plugin's reference for the name and paths put right, and the plugin's fields."""
    reference = _reference(setting.plugin, known[kind], folder)
    cls = registry.plugin_class(kind, reference)
    fields = grids.takes(cls)
    given = setting.model_dump(exclude_unset=True) | {"plugin": reference}
    for key in cls.nested.keys() & given.keys():
        try:
            given[key] = _nested(given[key], known[cls.nested[key]], folder)
        except StudyError as error:
            raise StudyError(f"{key}: {error}") from error
    given |= {key: _each(value, folder) for key, value in given.items() if _is_path(fields.get(key))}
    return type(setting).model_validate(given), fields


def _spread(setting: dict[str, Any], places: dict[str, list[str]]) -> dict[str, Any]:
    """Returns a gradient setting whose ``at`` lists, before all else, each inference setting that what is written there led to."""
    at = setting.get("at")
    names = [name for name in (at if isinstance(at, list) else [at]) if isinstance(name, str)]
    if not names or (isinstance(at, list) and len(names) < len(at)):
        return setting  # nothing to spread, or nothing that makes sense
    chosen = [single for name in names for single in places.get(name) or [name]]
    return {"at": chosen[0] if len(chosen) == 1 and not isinstance(at, list) else chosen} | {
        key: value for key, value in setting.items() if key != "at"
    }


def _check_starts(gradients: _Section, inference: _Section) -> list[Problem]:
    problems = []
    for name, setting in gradients.settings.items():
        assert isinstance(setting, GradientSetting)
        problems += _check_start(gradients.places[name], setting, inference)
    return list(dict.fromkeys(problems))


def _check(kind: str, place: KeyPath, setting: Setting) -> list[Problem]:
    try:
        files = _input_files(setting, registry.make(kind, setting.plugin, setting.parameters))
    except ParameterErrors as error:
        return [Problem(place, sentence) for sentence in error.sentences]
    except StudyError as error:
        return [Problem(place, str(error))]
    problems = [Problem(place, f"{file}: no such file") for file in files if not Path(file).is_file()]
    braced = [file for file in files if set("{}") & set(str(file))]
    return problems + [Problem(place, f"{file}: Snakemake fills in braces; expected a path without") for file in braced]


def _check_start(place: KeyPath, setting: GradientSetting, inference: _Section) -> list[Problem]:
    if isinstance(setting.at, list):  # empty, or a list within a list
        return [Problem((*place, "at"), f"at: expected an inference setting, or a list of them, found {setting.at!r}")]
    start = registry.plugin_class("gradients", setting.plugin).start
    name = setting.plugin.rpartition(":")[2]
    if start == "initial" and setting.at is not None:
        return [Problem((*place, "at"), f"'{name}' starts where inference starts; remove 'at: {setting.at}'")]
    if start == "fixed_point" and setting.at is None:
        choices = ", ".join(inference.groups)
        return [Problem(place, f"'{name}' needs 'at', the inference setting to differentiate at: {choices}")]
    if setting.at is not None and setting.at not in {**inference.settings, **inference.groups}:
        hint = nearest(str(setting.at), inference.settings)
        return [Problem((*place, "at"), f"at: no inference setting '{setting.at}'{hint}")]
    return []


def _input_files(setting: Setting, plugin: Any) -> list[Any]:
    with failures_of(setting.plugin, type(plugin)):
        return list(plugin.input_files()) if hasattr(plugin, "input_files") else []


def _reference(plugin: str, known: Catalogue, folder: Path) -> str:
    """Returns a plugin's reference: by its name, or by its file and name."""
    path, separator, name = plugin.rpartition(":")
    return f"{anchored(path, folder)}:{name}" if separator else known.reference(plugin)


def _nested(setting: Any, known: Catalogue, folder: Path) -> Any:
    """Returns a plugin within a plugin's parameters, or a list of them, with paths put right."""
    if isinstance(setting, list):
        return [_nested(entry, known, folder) for entry in setting]
    if isinstance(setting, str):
        return _reference(setting, known, folder)
    if not isinstance(setting, dict) or not isinstance(setting.get("plugin"), str):
        return setting  # the plugin itself will say what is wrong
    setting = setting | {"plugin": _reference(setting["plugin"], known, folder)}
    fields = grids.takes(registry.plugin_class(known.kind, setting["plugin"]))
    return setting | {key: _each(value, folder) for key, value in setting.items() if _is_path(fields.get(key))}


def _each(value: Any, folder: Path) -> Any:
    if isinstance(value, list):
        return [_each(entry, folder) for entry in value]
    return str(anchored(value, folder)) if isinstance(value, str) else value


def _is_path(annotation: Any) -> bool:
    return annotation is Path or Path in getattr(annotation, "__args__", ())
