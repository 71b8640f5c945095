"""Plugins in plain files: a ``.py`` file or a package's folder, beside the installed ones."""

import hashlib
import importlib.util
import inspect
import re
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from slds_core.plugins import DataPlugin, GradientPlugin, InferencePlugin, ModelPlugin, ObjectivePlugin, Plugin
from slds_core.study.errors import StudyError

KINDS: dict[str, type[Plugin]] = {
    "data": DataPlugin,
    "models": ModelPlugin,
    "inference": InferencePlugin,
    "gradients": GradientPlugin,
    "objectives": ObjectivePlugin,
}


_NO_PLUGINS = (
    "_",
    ".",
    "test_",
    "conftest.",
    "setup.",
)  # beginnings of names that a folder of plugins may hold besides


def plugin_files(path: Path) -> list[Path]:
    """Returns what a path in ``plugins:`` stands for: a file, a package's folder, or all of these in a plain folder.

    Raises:
        StudyError: there is nothing of the kind.
    """
    if path.is_file() and path.suffix == ".py":
        return [path]
    if (path / "__init__.py").is_file():
        return [path]
    if path.is_dir():
        inside = [entry for entry in sorted(path.iterdir()) if not entry.name.startswith(_NO_PLUGINS)]
        return [entry for entry in inside if entry.suffix == ".py" or (entry / "__init__.py").is_file()]
    found = "is no Python file" if path.exists() else "is not there"
    raise StudyError(f"{path} {found}; expected a .py file or a folder of them")


def plugins_in(path: Path, kind: str) -> dict[str, type[Plugin]]:
    """Returns the plugins of a kind that a file or package defines or re-exports from its own modules, by name.

    A plugin's name is its class attribute ``name``, or the name of its class in snake case: ``HeavyBall`` is ``heavy_ball``.
    Bases of other plugins and classes whose names begin with an underscore are left out. A class that lacks a method is not: it may
    be misspelt there, and whoever makes a plugin of it is told.

    Raises:
        StudyError: the file cannot be imported, or two classes in it have one name.
    """
    module = _load(path.resolve())
    found = {}
    for name, member in vars(module).items():
        if (
            inspect.isclass(member)
            and issubclass(member, KINDS[kind])
            and not _is_base(member)
            and not name.startswith("_")
            and (member.__module__ + ".").startswith(module.__name__ + ".")
        ):
            called = getattr(member, "name", None) or snake_case(member.__name__)
            if not isinstance(called, str):
                raise StudyError(f"plugin file {path}: {member.__name__}.name: expected text, found {called!r}")
            if found.setdefault(called, member) is not member:
                classes = f"{found[called].__name__} and {member.__name__}"
                raise StudyError(f"plugin file {path}: two classes have the name '{called}': {classes}")
    return found


def _is_base(cls: type[Plugin]) -> bool:
    """Returns whether a class is meant for others to derive from: an abstract one that declares abstract methods, or has children."""
    declares = any(getattr(member, "__isabstractmethod__", False) for member in vars(cls).values())
    return inspect.isabstract(cls) and (declares or bool(cls.__subclasses__()))


def snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


class _FromSource(SourceFileLoader):
    """Reads the source itself: cached bytecode is told apart by seconds and sizes, too coarse for a file that is being worked on."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _load(path: Path) -> ModuleType:
    """Imports a file under a name made of its place and contents, so that an edited file is another module."""
    package = path.is_dir()
    source = path / "__init__.py" if package else path
    try:
        key = hashlib.sha256(str(path).encode() + b"\0" + source.read_bytes()).hexdigest()[:12]
        name = f"slds_plugin_{path.stem}_{key}"
        if name in sys.modules:
            return sys.modules[name]
        places = [str(path)] if package else None
        loader = _FromSource(name, str(source))
        spec = importlib.util.spec_from_file_location(name, source, loader=loader, submodule_search_locations=places)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    except OSError as error:
        raise StudyError(f"plugin file {path}: cannot be read: {error}") from error
    except (Exception, SystemExit) as error:  # a stranger's file may fail in any way
        raise StudyError(f"plugin file {path}: cannot be imported: {type(error).__name__}: {error}") from error
    return module
