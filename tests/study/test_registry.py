"""Plugins by name: strangers' failures are told, not thrown about."""

from importlib.metadata import EntryPoint

import pytest

from slds_core.plugins import ModelPlugin
from slds_core.study import registry
from slds_core.study.errors import StudyError


@pytest.fixture
def register(monkeypatch):
    """Registers entry points beside the built-in ones."""

    def add(*points):
        group = "slds_core.models"
        extra = [EntryPoint(name=name, value=value, group=group) for name, value in points]
        real = registry.entry_points
        monkeypatch.setattr(registry, "entry_points", lambda group: [*real(group=group), *extra])

    return add


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("data", {"macrodata", "table"}),
        ("models", {"notebook"}),
        ("inference", {"coordinate_ascent"}),
        ("gradients", {"unrolled", "bicgstab"}),
        ("objectives", {"notebook", "elbo", "linear"}),
    ],
)
def test_built_in_plugins(kind, names):
    assert names <= set(registry.available(kind))
    for name in names:
        assert issubclass(registry.plugin_class(kind, name), registry.KINDS[kind])


def test_unknown_name():
    with pytest.raises(StudyError, match=r"^no plugin 'bicgstb' among gradients; did you mean 'bicgstab'\?$"):
        registry.plugin_class("gradients", "bicgstb")
    with pytest.raises(StudyError, match=r"^no plugin 'xyz' among models; expected one of: .*notebook"):
        registry.plugin_class("models", "xyz")


def test_stranger_registers_a_plugin(register):
    register(("own", "slds_core.plugins.models:Notebook"))
    assert isinstance(registry.make("models", "own", {}), ModelPlugin)


def test_two_packages_of_one_name(register):
    register(("notebook", "elsewhere:Notebook"))
    with pytest.raises(
        StudyError, match=r"'notebook' is registered twice, as slds_core.plugins.models:Notebook and elsewhere"
    ):
        registry.available("models")


def test_the_same_registration_twice_is_one(register):
    register(("notebook", "slds_core.plugins.models:Notebook"))
    assert "notebook" in registry.available("models")


def test_plugin_that_cannot_be_imported(register):
    register(("broken", "no_such_module:Model"))
    with pytest.raises(
        StudyError, match=r"^plugin 'broken' \(no_such_module:Model\) cannot be imported: No module named"
    ):
        registry.plugin_class("models", "broken")


def test_plugin_of_another_kind(register):
    register(("ascent", "slds_core.plugins.inference:CoordinateAscent"))
    with pytest.raises(StudyError, match=r"is not a ModelPlugin$"):
        registry.plugin_class("models", "ascent")


def test_parameters_are_explained_together():
    with pytest.raises(StudyError) as caught:
        registry.make("inference", "coordinate_ascent", {"max_sweeps": "many", "toleranc": 1})
    assert str(caught.value) == (
        "max_sweeps: input should be a valid integer, unable to parse string as an integer, found 'many'; "
        "unknown key 'toleranc'; did you mean 'tolerance'?"
    )


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("sweps", ["sweeps", "tolerance"], "; did you mean 'sweeps'?"),
        ("zzz", ["b", "a"], "; expected one of: a, b"),
        ("zzz", [], "; none is expected here"),
    ],
)
def test_nearest(name, known, hint):
    assert registry.nearest(name, known) == hint
