"""Which plugins there are: entry points, found without importing JAX."""

import difflib
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import ValidationError

from slds_core.plugins import GradientPlugin, InferencePlugin, ModelPlugin, ObjectivePlugin, Plugin
from slds_core.study.errors import StudyError

KINDS: dict[str, type[Plugin]] = {
    "models": ModelPlugin,
    "inference": InferencePlugin,
    "gradients": GradientPlugin,
    "objectives": ObjectivePlugin,
}


def available(kind: str) -> dict[str, EntryPoint]:
    """Returns the plugins of a kind by name, not yet imported.

    Raises:
        StudyError: two packages register the same name.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=f"slds_core.{kind}"):
        if point.name in found and found[point.name].value != point.value:
            raise StudyError(
                f"{kind}: '{point.name}' is registered twice, as {found[point.name].value} and {point.value}"
            )
        found[point.name] = point
    return found


def plugin_class(kind: str, name: str) -> type[Any]:
    """Returns the class of a plugin.

    Raises:
        StudyError: there is none of that name, it cannot be imported, or it is not of its kind.
    """
    points = available(kind)
    if name not in points:
        raise StudyError(f"no plugin '{name}' among {kind}{nearest(name, points)}")
    try:
        loaded = points[name].load()
    except Exception as error:  # a stranger's module may fail in any way
        raise StudyError(f"plugin '{name}' ({points[name].value}) cannot be imported: {error}") from error
    if not (isinstance(loaded, type) and issubclass(loaded, KINDS[kind])):
        raise StudyError(f"plugin '{name}' ({points[name].value}) is not a {KINDS[kind].__name__}")
    return loaded


def make(kind: str, name: str, parameters: dict[str, Any]) -> Any:
    """Returns a plugin with its parameters checked.

    Raises:
        StudyError: names each parameter that is unknown, missing or out of bounds, with the value found.
    """
    cls = plugin_class(kind, name)
    try:
        return cls(**parameters)
    except ValidationError as error:
        raise StudyError("; ".join(explain(problem, cls.model_fields) for problem in error.errors())) from error


def explain(problem: Any, known: Any) -> str:
    """Returns one of pydantic's complaints in plain words."""
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"unknown key '{where}'{nearest(where, known)}"
    if problem["type"] == "missing":
        return f"key '{where}' is missing"
    return f"{where}: {problem['msg'][0].lower()}{problem['msg'][1:]}, found {problem['input']!r}"


def nearest(name: str, known: Any) -> str:
    """Returns a hint at the valid name nearest to a wrong one, or at all of them."""
    close = difflib.get_close_matches(name, list(known), n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; expected one of: {', '.join(sorted(known))}" if known else "; none is expected here"
