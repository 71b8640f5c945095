"""What is wrong with a configuration: all of it at once, each with its line."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from slds_core.study.errors import StudyError
from slds_core.study.yaml_file import Document, KeyPath

_NAMED = re.compile(r"((?:[\w.]+: )*)(?:unknown key '([^']*)')?")


@dataclass(frozen=True)
class Problem:
    """Something wrong in a configuration."""

    place: KeyPath  # the keys that lead there; all of them tell the line
    what: str
    of_key: bool = (
        False  # whether it is the place's last key that is wrong, however deep it lies; else the setting is named
    )


def refusal(problems: Iterable[Problem], documents: Sequence[Document]) -> StudyError:
    """Returns the error that lists the problems in the order of their lines."""
    located = dict.fromkeys((*_line(_deepest(problem), documents), _sentence(problem)) for problem in problems)
    lines = [f"  - {where}{sentence}" for _, where, sentence in sorted(located, key=lambda found: found[0])]
    return StudyError("\n".join(["The configuration cannot be used:", *lines]))


def _sentence(problem: Problem) -> str:
    shown = {"objective": 1, "defaults": 3, "resources": 3}.get(problem.place[0], 2) if problem.place else 0
    shown = len(problem.place) if problem.of_key else shown
    return f"{'.'.join(problem.place[:shown]) or 'configuration'}: {problem.what}"


def _deepest(problem: Problem) -> KeyPath:
    """Returns a problem's place, and the keys within it that the sentence begins with: ``data: columns: …``, ``unknown key 'x'``."""
    named = _NAMED.match(problem.what)
    assert named is not None  # it matches no words as well
    keys = [part for key in named[1].split(": ") for part in key.split(".") if part]
    return (*problem.place, *keys, *([named[2]] if named[2] else []))


def _line(place: KeyPath, documents: Sequence[Document]) -> tuple[int, str]:
    """Returns the line of a key, or of what it lies in, as a number and as text."""
    for size in range(len(place), 0, -1):
        for document in reversed(documents):
            line = document.lines.get(place[:size])
            if line is not None:
                return line, f"{document.path}:{line}: "
    return 0, ""
