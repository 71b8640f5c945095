"""A plugin's parameter on a command line, ``key=value``: JSON where it is JSON, YAML's lists and mappings, else the text itself."""

import json
from typing import Any

from slds_core.study.errors import StudyError


def as_text(key: str, value: Any) -> str:
    """Returns ``key=value`` such that ``from_text`` gives the same value back; text stays plain where that is so."""
    plain = isinstance(value, str) and _decoded(value) == value
    return f"{key}={value if plain else json.dumps(value)}"


def from_text(assignment: str) -> tuple[str, Any]:
    """Returns the key and the value.

    Raises:
        StudyError: there is no ``=``.
    """
    key, separator, text = assignment.partition("=")
    if not separator:
        raise StudyError(f"--set: expected key=value, found {assignment!r}")
    return key, _decoded(text)


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return _flow(text) if text.startswith(("{", "[")) else text


def _flow(text: str) -> Any:
    """Returns a list or mapping that is written as in a configuration, without quotes; the text itself where it is none."""
    import yaml  # few commands need it

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return text
