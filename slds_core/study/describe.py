"""Plugins as a person reads them: lists, tables of parameters, the reference in the docs. All from the classes themselves."""

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from slds_core.study import registry
from slds_core.study.errors import StudyError

_TITLES = {
    "data": "Data",
    "models": "Models",
    "inference": "Inference settings",
    "gradients": "Gradient estimators",
    "objectives": "Objectives",
}
_BOUNDS = {"minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}"}


class Parameter(NamedTuple):
    """One parameter of a plugin, as text."""

    name: str
    kind: str  # type and bounds
    default: str  # "required" where there is none
    unit: str
    help: str


def parameters(cls: type[Any]) -> list[Parameter]:
    """Returns a plugin's parameters, in the order of its class."""
    schema = cls.model_json_schema()
    required = set(schema.get("required", ()))
    return [
        Parameter(
            name=name,
            kind=_kind(found),
            default="required" if name in required else str(found.get("default")),
            unit=str(found.get("unit", "1")),
            help=str(found.get("description", "")),
        )
        for name, found in schema.get("properties", {}).items()
    ]


def summary(cls: type[Any]) -> str:
    """Returns the first line of a plugin's docstring."""
    return (inspect.getdoc(cls) or "").partition("\n")[0]


def listing(paths: Iterable[Path] = ()) -> tuple[str, list[str]]:
    """Returns all plugins by kind, a line each, and the errors of those that cannot be used.

    Raises:
        StudyError: a path does not exist, or two packages register the same name.
    """
    blocks, errors = [], []
    for kind, title in _TITLES.items():
        found = registry.catalogue(kind, list(paths))
        errors += [*found.broken.values(), *found.taken]
        width = max(map(len, found.references), default=0)
        lines = [f"{title} ({kind})"]
        for name, reference in sorted(found.references.items()):
            try:
                line = summary(registry.plugin_class(kind, reference))
            except StudyError as error:
                errors.append(str(error))
                line = "(cannot be used)"
            lines.append(f"  {name:{width}}  {line}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks), list(dict.fromkeys(errors))  # a file's error is found once for each kind


def details(name: str, paths: Iterable[Path] = ()) -> str:
    """Returns what the plugins of a name do, and their parameters.

    Raises:
        StudyError: there is none of that name, or it cannot be imported.
    """
    places = list(paths)
    catalogues = {kind: registry.catalogue(kind, places) for kind in _TITLES}
    file, separator, single = name.rpartition(":")
    if separator:
        catalogues = {kind: registry.catalogue(kind, [Path(file)]) for kind in _TITLES}
        name = single
    blocks = []
    for kind, found in catalogues.items():
        if name in found.references:
            blocks.append(_details(kind, name, found.references[name]))
    if not blocks:
        known = {known for found in catalogues.values() for known in found.references}
        broken = {error for found in catalogues.values() for error in found.broken.values()}
        hint = "".join(f"; {error}" for error in broken)
        raise StudyError(f"no plugin '{name}'{registry.nearest(name, known)}{hint}")
    return "\n\n".join(blocks)


def markdown() -> str:
    """Returns the reference of all installed plugins, for the docs."""
    blocks = [
        "# Reference of plugins",
        "Made by `slds plugins table` from the plugins' own classes; a test keeps it true. Every parameter may be a list of values "
        "in a configuration: each becomes a setting of its own. The values become names of files, so a plugin with parameters of its own "
        "(a mapping, such as `gradient: {plugin: unrolled, sweeps: 5}`) cannot be in a list: write a setting for each.",
    ]
    for kind, title in _TITLES.items():
        blocks.append(f"## {title}")
        for name in sorted(registry.available(kind)):
            cls = registry.plugin_class(kind, name)
            blocks += [f"### `{name}`", (inspect.getdoc(cls) or "").strip()]
            rows = parameters(cls)
            if rows:
                table = ["| parameter | type | default | unit | meaning |", "|---|---|---|---|---|"]
                table += [
                    f"| `{row.name}` | {_cell(row.kind)} | {_cell(row.default)} | {row.unit} | {_cell(row.help)} |"
                    for row in rows
                ]
                blocks.append("\n".join(table))
    return "\n\n".join(blocks) + "\n"


def _details(kind: str, name: str, reference: str) -> str:
    cls = registry.plugin_class(kind, reference)
    lines = [f"{name} ({kind}), {registry.identity(kind, reference)}", "", inspect.getdoc(cls) or "", ""]
    rows = parameters(cls)
    if not rows:
        return "\n".join([*lines, "No parameters."])
    width = max(len(row.name) for row in rows)
    for row in rows:
        unit = "" if row.unit == "1" else f" {row.unit}"
        default = "required" if row.default == "required" else f"default {row.default}{unit}"
        lines.append(f"  {row.name:{width}}  {row.kind}{unit}, {default}: {row.help}")
    return "\n".join(lines)


def _kind(found: dict[str, Any]) -> str:
    """Returns a parameter's type and bounds from its JSON schema."""
    if "anyOf" in found:
        return " or ".join(_kind(option) for option in found["anyOf"])
    if "enum" in found:
        return " or ".join(repr(value) for value in found["enum"])
    if "const" in found:
        return repr(found["const"])
    name = str(found.get("format") or found.get("type", "any"))
    if name == "array":
        name = f"list of {_kind(found.get('items', {}))}"
    bounds = [text.format(f"{found[key]:g}") for key, text in _BOUNDS.items() if key in found]
    return " ".join([name, ", ".join(bounds)]).strip()


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
