"""Reading a study's configuration: which models, at which inference settings, differentiated in which ways."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from slds_core.study.errors import StudyError
from slds_core.study.problems import Problem, refusal
from slds_core.study.registry import explain, nearest
from slds_core.study.resolve import resolve
from slds_core.study.schema import Configuration, Resources
from slds_core.study.yaml_file import Document, read_yaml

_APART = frozenset(
    {"title", "precision", "references", "resources"}
)  # keys that no other part of a configuration rests on


def read_files(paths: Iterable[Path], content: dict[str, Any] | None = None) -> Configuration:
    """Returns the checked configuration in YAML files, of which later ones replace whole sections of earlier ones.

    Args:
        paths: the files; relative paths in them start where the last one lies.
        content: what to use instead of the files' content, where a caller has merged it already; they still tell the lines.

    Raises:
        StudyError: lists everything that is wrong, each with its line, its key, the value found and the values expected.
    """
    documents = [read_yaml(path) for path in paths]
    merged: dict[str, Any] = {}
    for document in documents:
        if not isinstance(document.content, dict):
            found = "nothing" if document.content is None else type(document.content).__name__
            raise StudyError(f"{document.path}: expected keys such as 'models' and 'inference', found {found}")
        merged |= document.content
    folder = documents[-1].path.parent if documents else Path()
    return read_configuration(merged if content is None else content, documents, folder)


def read_configuration(raw: dict[str, Any], documents: Iterable[Document] = (), folder: Path = Path()) -> Configuration:
    """Returns the checked configuration: grids expanded, defaults filled in, plugins found, paths put right.

    Args:
        raw: the content.
        documents: the files that it came from, to tell lines by.
        folder: where relative paths in it start.

    Raises:
        StudyError: as for ``read_files``.
    """
    documents = list(documents)
    problems = [
        Problem(place, "is given twice", of_key=True) for document in documents for place in document.duplicates
    ]
    written, ill_shaped = _written(raw)
    problems += ill_shaped
    if written is None:
        raise refusal(problems, documents)
    configuration, found = resolve(written, folder)
    if problems or found:
        raise refusal([*problems, *found], documents)
    return configuration


def _written(raw: dict[str, Any]) -> tuple[Configuration | None, list[Problem]]:
    """Returns what the schema takes of a configuration, and all that it has against the rest.

    What nothing else rests on is left out where it is wrong. Where another part is, none is returned: what refers to it would
    be refused for nothing.
    """
    try:
        return Configuration.model_validate(raw), []
    except ValidationError as error:
        problems = [_schema_problem(found) for found in error.errors()]
    wrong = {problem.place[0] if problem.place else "" for problem in problems}
    if not wrong <= _APART:
        return None, problems
    return Configuration.model_validate({key: value for key, value in raw.items() if key not in wrong}), problems


def _schema_problem(found: Any) -> Problem:
    """Returns what the schema has against a configuration, at its place and in plain words."""
    place = tuple(str(part) for part in found["loc"] if part != "[key]")
    match found["type"]:
        case "too_short":
            return Problem(place, "expected at least one setting, found none")
        case "dict_type":
            return Problem(place, f"expected names with settings, found {found['input']!r}")
        case "model_type":
            return Problem(place, f"expected a plugin and its parameters, found {found['input']!r}")
        case "missing":
            return Problem(place[:-1], f"key '{place[-1]}' is missing")
        case "extra_forbidden":
            known = Resources.model_fields if place[0] == "resources" else Configuration.model_fields
            return Problem(place, f"unknown key{nearest(place[-1], known)}")
    match place:
        case (_, _, "plugin") | ("objective", "plugin"):
            return Problem(place, f"plugin: expected a plugin's name, found {found['input']!r}")
        case ("gradients", _, "at", *_):
            words = "expected an inference setting, or a list of them"
            return Problem(place[:3], f"at: {words}, found {found['input']!r}")
    return Problem(place, explain(found | {"loc": ()}, {}).removeprefix(": "))
