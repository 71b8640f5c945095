"""Which plugins there are: installed ones by entry point, and those in files; found without importing JAX.

A **reference** names a plugin in a configuration, on a command line and in a file: ``fisher_cg`` is an installed one,
``folder/own.py:heavy_ball`` one in a file. So every job, wherever it runs, finds what the configuration meant.
"""

import difflib
import itertools
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from slds_core.plugins import GradientPlugin, Plugin
from slds_core.study.errors import ParameterErrors, StudyError
from slds_core.study.guard import failures_of
from slds_core.study.plugin_files import KINDS as KINDS
from slds_core.study.plugin_files import plugin_files, plugins_in
from slds_core.study.sources import PACKAGE, closure, digest


@cache  # reading the environment takes 10 ms
def entry_points(*, group: str) -> metadata.EntryPoints:
    """Returns the entry points of a group."""
    return metadata.entry_points(group=group)


@dataclass(frozen=True)
class Catalogue:
    """The plugins of one kind that a study can name."""

    kind: str
    references: dict[str, str]  # by name
    broken: dict[str, str]  # files that cannot be imported, each with its error
    taken: list[str]  # errors about names in files that another plugin has already

    def reference(self, name: str) -> str:
        """Returns the reference of a plugin by its name; a reference to a file stands for itself.

        Raises:
            StudyError: there is none of that name.
        """
        if name in self.references or _file_of(name):
            return self.references.get(name, name)
        broken = "".join(f"; {error}" for error in self.broken.values())
        raise StudyError(f"no plugin '{name}' among {self.kind}{nearest(name, self.references)}{broken}")


def catalogue(kind: str, paths: list[Path] | None = None) -> Catalogue:
    """Returns the plugins of a kind: the installed ones, not imported, and those in files and folders.

    Raises:
        StudyError: a path does not exist, or two packages register the same name.
    """
    references = {name: name for name in available(kind)}
    broken, taken = {}, []
    for path in itertools.chain.from_iterable(plugin_files(path) for path in paths or []):
        try:
            names = plugins_in(path, kind)
        except StudyError as error:
            broken[str(path)] = str(error)
            continue
        for name in names:
            if name in references:
                taken.append(f"{kind}: '{name}' in {path} has the name of another plugin, {references[name]}")
                continue
            references[name] = f"{path}:{name}"
    return Catalogue(kind, references, broken, taken)


def available(kind: str) -> dict[str, EntryPoint]:
    """Returns the installed plugins of a kind by name, not yet imported.

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


def plugin_class(kind: str, reference: str) -> type[Any]:
    """Returns the class of a plugin.

    Raises:
        StudyError: there is none of that name, it cannot be imported, it is not of its kind, or the class cannot be used as it is.
    """
    cls = _found(kind, reference)
    with failures_of(reference, cls):
        defect = _defect(cls, KINDS[kind])
    if defect:
        raise StudyError(f"plugin '{reference}': {cls.__name__}{defect}")
    return cls


def _found(kind: str, reference: str) -> type[Any]:
    path = _file_of(reference)
    if path is not None:
        name = reference.rpartition(":")[2]
        found = plugins_in(path, kind)
        if name not in found:
            raise StudyError(f"no plugin '{name}' among {kind} in {path}{nearest(name, found)}")
        return found[name]
    points = available(kind)
    if reference not in points:
        raise StudyError(f"no plugin '{reference}' among {kind}{nearest(reference, points)}")
    value = points[reference].value
    try:
        loaded = points[reference].load()
    except (Exception, SystemExit) as error:  # a stranger's module may fail in any way
        raise StudyError(f"plugin '{reference}' ({value}) cannot be imported: {error}") from error
    if not (isinstance(loaded, type) and issubclass(loaded, KINDS[kind])):
        raise StudyError(f"plugin '{reference}' ({value}) is not a {KINDS[kind].__name__}")
    return loaded


@cache  # a study asks for a class once a setting
def _defect(cls: type[Plugin], base: type[Plugin]) -> str:
    """Returns what is wrong with a plugin's class, whatever parameters it is given; nothing if all is well."""
    missing = sorted(cls.__abstractmethods__)
    if missing:
        close = difflib.get_close_matches(missing[0], [name for name in vars(cls) if not hasattr(base, name)], n=1)
        hint = f"; is '{close[0]}' misspelt?" if close else ""
        return f" lacks the method '{missing[0]}' of {base.__name__}{hint}"
    if not isinstance(cls.traced, tuple) or not set(cls.traced) <= cls.model_fields.keys():
        return (
            f".traced: expected a tuple of its parameters' names ({', '.join(cls.model_fields)}), found {cls.traced!r}"
        )
    if issubclass(cls, GradientPlugin) and cls.start not in ("initial", "fixed_point"):
        return f".start: expected 'initial' or 'fixed_point', found {cls.start!r}"
    try:
        cls.model_validate({"": None})  # a key that is refused, lest what it does once it is valid be done here
    except ValidationError as error:
        wrong = [found for found in error.errors() if found["type"] not in ("extra_forbidden", "missing")]
        if wrong:
            return "".join(f": default of {explain(found, cls.model_fields)}" for found in wrong[:1])
    return ""


def make(kind: str, reference: str, parameters: dict[str, Any]) -> Any:
    """Returns a plugin with its parameters checked.

    Raises:
        StudyError: names each parameter that is unknown, missing or out of bounds, with the value found.
    """
    cls = plugin_class(kind, reference)
    with failures_of(reference, cls):
        try:
            return cls(**parameters)
        except ValidationError as error:
            raise ParameterErrors([explain(problem, cls.model_fields) for problem in error.errors()]) from error


def identity(kind: str, reference: str) -> str:
    """Returns what tells one state of a plugin from another: package and version, or file, and a hash of the sources it runs.

    Raises:
        StudyError: there is no such plugin.
    """
    path = _file_of(reference)
    if path is not None:
        if path.is_dir():
            return f"{path.name} {digest(path.rglob('*.py'))}"
        if not path.is_file():
            raise StudyError(f"plugin file {path} is not there")
        return f"{path.name} {digest(closure(path, path.parent, PACKAGE))}"
    points = available(kind)
    if reference not in points:
        raise StudyError(f"no plugin '{reference}' among {kind}{nearest(reference, points)}")
    point = points[reference]
    origin = _origin(point)
    package = find_spec(point.module.partition(".")[0])
    source = _source(point.module)
    if source is None or package is None or package.origin is None:
        return origin  # its import will fail, and say why
    return f"{origin} {digest(closure(source, Path(package.origin).parent, PACKAGE))}"


@cache  # reading a package's metadata takes as long as hashing its sources
def _origin(point: EntryPoint) -> str:
    """Returns the package that registers a plugin, and its version."""
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.module


def explain(problem: Any, known: Any) -> str:
    """Returns one of pydantic's complaints in plain words."""
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"unknown key '{where}'{nearest(where, known)}"
    if problem["type"] == "missing":
        return f"key '{where}' is missing"
    if problem["type"] == "value_error":  # a plugin's own words, which name key and value themselves
        return f"{where}{where and ': '}{problem['ctx']['error']}"
    return f"{where}: {problem['msg'][0].lower()}{problem['msg'][1:]}, found {problem['input']!r}"


def nearest(name: str, known: Any) -> str:
    """Returns a hint at the valid name nearest to a wrong one, or at all of them."""
    close = difflib.get_close_matches(name, list(known), n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; expected one of: {', '.join(sorted(known))}" if known else "; none is expected here"


def _file_of(reference: str) -> Path | None:
    """Returns the file or folder in a reference; ``None`` for the name of an installed plugin."""
    place, separator, _ = reference.rpartition(":")
    return Path(place) if separator else None


def _source(module: str) -> Path | None:
    """Returns a module's file without importing it; its package's folder is looked at, not run."""
    top, *rest = module.split(".")
    spec = find_spec(top)
    if spec is None or spec.origin is None:
        return None
    origin = Path(spec.origin)
    if not rest:
        return origin
    place = origin.parent.joinpath(*rest)
    candidates = [place / "__init__.py", place.with_suffix(".py")]
    return next((file for file in candidates if file.is_file()), None)
