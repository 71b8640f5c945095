"""A YAML file with the line of every key, so that an error can say where."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from slds_core.study.errors import StudyError

KeyPath = tuple[str, ...]

_TEXT, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"

_MOST_NODES = 100_000
"""Most values of a file once its aliases are followed: some lines of aliases of aliases stand for billions."""


@dataclass(frozen=True)
class Document:
    """What a file says, and where."""

    path: Path
    content: Any
    lines: dict[KeyPath, int]  # counted from one
    duplicates: list[KeyPath]  # keys given twice, of which YAML would silently drop the first


def read_yaml(path: Path) -> Document:
    """Returns a YAML file's content and the lines of its keys.

    Raises:
        StudyError: the file is missing, is no text, or is no YAML without tags; names the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise StudyError(f"{path}: no such file; expected a configuration in YAML") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: cannot be read: {error}") from error
    lines: dict[KeyPath, int] = {}
    duplicates: list[KeyPath] = []
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is not None and _size(root, {}) > _MOST_NODES:
            raise StudyError(f"{path}: holds more than {_MOST_NODES} values once its aliases are followed")
        _walk(root, (), lines, duplicates)
        content = None if root is None else yaml.SafeLoader("").construct_document(root)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date that is none is a ValueError
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        raise StudyError(f"{place}: not valid YAML: {getattr(error, 'problem', None) or error}") from error
    return Document(path, content, lines, duplicates)


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Returns how many values a node stands for, each alias counted as often as it is used; one within itself is endless."""
    if id(node) not in known:
        known[id(node)] = _MOST_NODES + 1
        inner = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        known[id(node)] = 1 + sum(_size(part, known) for part in inner if isinstance(part, yaml.Node))
    return known[id(node)]


def _walk(node: yaml.Node | None, place: KeyPath, lines: dict[KeyPath, int], duplicates: list[KeyPath]) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                key.tag = _TEXT  # a setting may be called 'yes', 5 or 1e-3
            here = (*place, str(key.value))
            if here in lines:
                duplicates.append(here)
            lines[here] = key.start_mark.line + 1
            _walk(value, here, lines, duplicates)
