"""Plugins in plain files, and what tells one state of their sources from another."""

from pathlib import Path

import pytest

from slds_core.study import registry
from slds_core.study.errors import StudyError
from slds_core.study.plugin_files import plugin_files, plugins_in
from slds_core.study.sources import closure, digest

PLUGIN = '''
from slds_core.plugins import ObjectivePlugin
{imports}
class {name}(ObjectivePlugin):
    """One."""
    def objective(self, problem):
        return lambda parameters, posterior: {value}
'''


def write(path: Path, name="TotalMass", value="1.0", imports=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PLUGIN.format(name=name, value=value, imports=imports))
    return path


@pytest.mark.parametrize(
    ("cls", "name"), [("TotalMass", "total_mass"), ("ELBOPerStep", "elbo_per_step"), ("A2B", "a2_b")]
)
def test_names_are_those_of_the_classes(tmp_path, cls, name):
    assert list(plugins_in(write(tmp_path / "own.py", cls), "objectives")) == [name]


@pytest.mark.parametrize("declared", ["name = ", "name: ClassVar[str] = "])
def test_a_name_of_its_own_choice(tmp_path, declared):
    path = write(tmp_path / "own.py")
    path.write_text(path.read_text().replace('    """One."""', f'    """One."""\n    {declared}"mass"'))
    path.write_text("from typing import ClassVar\n" + path.read_text())
    assert list(plugins_in(path, "objectives")) == ["mass"]


def test_imported_abstract_and_private_classes_are_no_plugins(tmp_path):
    path = write(tmp_path / "own.py", "_Hidden", imports="from slds_core.plugins.objectives import Elbo")
    assert plugins_in(path, "objectives") == {}


def test_an_edited_file_is_loaded_anew(tmp_path):
    path = write(tmp_path / "own.py")
    before = registry.make("objectives", f"{path}:total_mass", {}).objective(None)
    write(path, value="2.0")
    after = registry.make("objectives", f"{path}:total_mass", {}).objective(None)
    assert (before(None, None), after(None, None)) == (1.0, 2.0)


def test_a_folder_holds_files_and_packages(tmp_path):
    write(tmp_path / "one.py")
    write(tmp_path / "two" / "inner.py", "Inner")
    (tmp_path / "two" / "__init__.py").write_text("from .inner import Inner\n")
    (tmp_path / "test_one.py").write_text("import nothing_of_the_kind\n")
    (tmp_path / "notes.txt").write_text("no plugin\n")
    assert [path.name for path in plugin_files(tmp_path)] == ["one.py", "two"]
    found = registry.catalogue("objectives", [tmp_path])
    assert {"total_mass", "inner"} <= set(found.references)
    assert found.broken == {}


@pytest.mark.parametrize("text", ["import no_such_module\n", "def broken(:\n", "raise SystemError('no')\n", "1 / 0\n"])
def test_a_broken_file_is_listed_with_its_error(tmp_path, text):
    (tmp_path / "bad.py").write_text(text)
    write(tmp_path / "good.py")
    found = registry.catalogue("objectives", [tmp_path])
    assert "total_mass" in found.references
    [error] = found.broken.values()
    assert "bad.py: cannot be imported: " in error


def test_a_reference_to_what_is_not_there(tmp_path):
    path = write(tmp_path / "own.py")
    with pytest.raises(
        StudyError, match=r"^no plugin 'total_mas' among objectives in .*; did you mean 'total_mass'\?$"
    ):
        registry.make("objectives", f"{path}:total_mas", {})
    with pytest.raises(StudyError, match=r"cannot be read"):
        registry.make("objectives", f"{tmp_path}/nowhere.py:x", {})
    with pytest.raises(StudyError, match=r"is not there"):
        registry.identity("objectives", f"{tmp_path}/nowhere.py:x")


def test_identity_changes_with_the_file_and_what_it_imports_and_with_nothing_else(tmp_path):
    path = write(tmp_path / "own.py", imports="import helper")
    write(tmp_path / "other.py")
    (tmp_path / "helper.py").write_text("x = 1\n")
    reference = f"{path}:total_mass"
    before = registry.identity("objectives", reference)
    (tmp_path / "other.py").write_text("# edited\n")
    assert registry.identity("objectives", reference) == before
    (tmp_path / "helper.py").write_text("x = 2\n")
    helped = registry.identity("objectives", reference)
    assert helped != before
    write(path, value="3.0", imports="import helper")
    assert registry.identity("objectives", reference) not in (before, helped)


def test_identity_of_installed_plugins_names_package_and_version():
    assert registry.identity("gradients", "fisher_cg").startswith("slds-core ")
    assert registry.identity("gradients", "fisher_cg") != registry.identity("objectives", "elbo")


def test_closure_follows_imports_within_the_package_only(tmp_path):
    package = tmp_path / "package"
    (package / "inner").mkdir(parents=True)
    texts = {
        "__init__.py": "",
        "start.py": "import json\nfrom package.inner import used\nfrom . import near\n",
        "near.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from package import typed\n",
        "typed.py": "",
        "unused.py": "",
        "late.py": """
class Rare:
    try:
        import elsewhere
    except ImportError:
        match Rare:
            case None:
                with open():
                    from package import deep
""",
        "deep.py": "",
        "inner/__init__.py": "",
        "inner/used.py": "def f():\n    from ..late import x\n",
        "inner/unused.py": "",
    }
    for name, text in texts.items():
        (package / name).write_text(text)
    found = {str(path.relative_to(package.resolve())) for path in closure(package / "start.py", package)}
    assert found == {"__init__.py", "start.py", "near.py", "late.py", "deep.py", "inner/__init__.py", "inner/used.py"}


def test_digest_depends_on_contents_not_on_places(tmp_path):
    for place in ("a", "b"):
        write(tmp_path / place / "own.py")
    assert digest([tmp_path / "a" / "own.py"]) == digest([tmp_path / "b" / "own.py"])
    write(tmp_path / "b" / "own.py", value="4.0")
    assert digest([tmp_path / "a" / "own.py"]) != digest([tmp_path / "b" / "own.py"])


def test_two_classes_of_one_name_are_refused(tmp_path):
    path = write(tmp_path / "own.py", "One")
    twice = path.read_text().replace('    """One."""', '    """One."""\n    name: ClassVar[str] = "same"')
    twice = "from typing import ClassVar\n" + twice
    path.write_text(twice + twice.replace("class One", "class Two"))
    with pytest.raises(StudyError, match=r"own\.py: two classes have the name 'same': One and Two"):
        plugins_in(path, "objectives")


GRADIENT = '''
import sys
from typing import ClassVar
from pydantic import Field
from slds_core.plugins import GradientPlugin

class HeavyBall(GradientPlugin):
    """One."""
    tolerance: float = Field(1e-6, gt=0)
    def estimate(self, problem, objective, parameters, state):
        raise NotImplementedError
'''


@pytest.mark.parametrize(
    ("good", "bad", "what"),
    [
        (
            "def estimate",
            "def estimat",
            " lacks the method 'estimate' of GradientPlugin; is 'estimat' misspelt?",
        ),
        ("def estimate", "def compute", " lacks the method 'estimate' of GradientPlugin"),
        (
            "    tolerance",
            '    traced = ("tol",)\n    tolerance',
            ".traced: expected a tuple of its parameters' names (tolerance), found ('tol',)",
        ),
        (
            "    tolerance",
            '    start = "intial"\n    tolerance',
            ".start: expected 'initial' or 'fixed_point', found 'intial'",
        ),
        ("1e-6, gt", "-1.0, gt", ": default of tolerance: input should be greater than 0, found -1.0"),
    ],
)
def test_a_class_that_cannot_be_used_is_told(tmp_path, good, bad, what):
    path = tmp_path / "own.py"
    path.write_text(GRADIENT)
    assert registry.make("gradients", f"{path}:heavy_ball", {}).tolerance == 1e-6
    path.write_text(GRADIENT.replace(good, bad))
    with pytest.raises(StudyError) as caught:
        registry.plugin_class("gradients", f"{path}:heavy_ball")
    assert str(caught.value) == f"plugin '{path}:heavy_ball': HeavyBall{what}"


def test_bases_of_plugins_are_no_plugins(tmp_path):
    path = tmp_path / "own.py"
    base = GRADIENT.replace("HeavyBall", "Momentum").replace("def estimate", "def other")
    path.write_text(base + GRADIENT.replace("(GradientPlugin)", "(Momentum)"))
    assert list(plugins_in(path, "gradients")) == ["heavy_ball"]
    path.write_text(
        "from abc import abstractmethod\n" + base.replace("    def other", "    @abstractmethod\n    def other")
    )
    assert plugins_in(path, "gradients") == {}


def test_a_name_that_is_no_text(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(GRADIENT.replace("    tolerance", "    name: ClassVar = 3\n    tolerance"))
    with pytest.raises(StudyError, match=r"own\.py: HeavyBall\.name: expected text, found 3$"):
        plugins_in(path, "gradients")


def test_parameters_whose_checks_fail(tmp_path):
    path = tmp_path / "own.py"
    for body in ("raise KeyError('x')", "sys.exit(0)"):
        path.write_text(
            GRADIENT.replace("    def est", f"    def model_post_init(self, context):\n        {body}\n    def est")
        )
        with pytest.raises(
            StudyError, match=r"own\.py:heavy_ball' failed: (KeyError: 'x'|SystemExit: 0) \(own\.py, line 11\)$"
        ):
            registry.make("gradients", f"{path}:heavy_ball", {})


def test_a_name_that_is_taken_hides_no_other_plugin(tmp_path):
    path = write(tmp_path / "own.py", "Elbo")
    write(tmp_path / "good.py")
    found = registry.catalogue("objectives", [tmp_path])
    assert "total_mass" in found.references
    assert found.taken == [f"objectives: 'elbo' in {path} has the name of another plugin, elbo"]
