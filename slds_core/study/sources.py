"""Which source files a module runs: the closure of its imports within its own package, found without importing anything.

A job's identity is the hash of what it runs. Static imports are all there is to follow: what a configuration names dynamically,
the plugins, is hashed beside it.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent.parent

_HOLD_STATEMENTS = (ast.stmt, ast.excepthandler, ast.match_case)  # expressions, most of a file, hold no imports


@cache  # an edit of what a file imports takes a new process to be seen, as its import does
def closure(start: Path, *roots: Path) -> tuple[Path, ...]:
    """Returns the files below the roots that ``start`` imports, itself and the packages' own files and C++ sources included, sorted.

    Args:
        start: a Python file.
        roots: the folders of the top-level packages to follow; for a lone file, the folder that holds it.
    """
    found: set[Path] = set()
    waiting = [start.resolve()]
    places = tuple(dict.fromkeys(root.resolve() for root in roots))
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            if path.suffix == ".py":
                waiting += _imported(path, places)
            if path.name == "__init__.py":  # what a package's compiled part is made of
                waiting += path.parent.glob("*.[ch]pp")
    return tuple(sorted(found))


def digest(paths: Iterable[Path]) -> str:
    """Returns a hash of the files' names and contents, wherever they lie."""
    total = hashlib.sha256()
    for name, content in sorted((path.name, path.read_bytes()) for path in paths):
        total.update(name.encode() + b"\0" + content + b"\0")
    return total.hexdigest()[:16]


@cache
def _imported(path: Path, roots: tuple[Path, ...]) -> tuple[Path, ...]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):  # whoever imports it will hear of it
        return ()
    home = next((root for root in roots if path.is_relative_to(root)), path.parent)
    names = dict.fromkeys(map(tuple, _names(tree, _module(path, home))))
    places = [place for name in names for root in roots for place in _files(name, root)]
    return tuple(dict.fromkeys(places))


def _names(node: ast.AST, module: list[str]) -> Iterator[list[str]]:
    """Yields the dotted names that a module imports, wherever it does, but for those that only the type checker sees."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name.split(".") for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            base = module[: len(module) - child.level] if child.level else []
            base = [*base, *(child.module.split(".") if child.module else [])]
            yield base
            yield from ([*base, alias.name] for alias in child.names)  # which may be modules
        elif isinstance(child, _HOLD_STATEMENTS) and not (
            isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
        ):
            yield from _names(child, module)


def _module(path: Path, root: Path) -> list[str]:
    """Returns the dotted name of a file, one part more for a package's own, so that relative imports count alike."""
    parts = path.relative_to(root).with_suffix("").parts
    prefix = [root.name] if (root / "__init__.py").is_file() else []
    return [*prefix, *parts]


@cache  # one module's files are asked for by all that import it
def _files(name: tuple[str, ...], root: Path) -> tuple[Path, ...]:
    """Returns the file of a module and those of the packages that it lies in; nothing where it is not below ``root``."""
    found = []
    if (root / "__init__.py").is_file():
        if not name or name[0] != root.name:
            return ()
        name = name[1:]
        found.append(root / "__init__.py")
    place = root
    for part in name:
        place = place / part
        if (place / "__init__.py").is_file():
            found.append(place / "__init__.py")
            continue
        if place.with_suffix(".py").is_file():
            found.append(place.with_suffix(".py"))
        break
    return tuple(found)
