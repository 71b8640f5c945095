"""A plugin's own failure is told as such; what does not belong together is refused by name."""

from pathlib import Path

import pytest

from slds_core.cli import execute
from slds_core.study import store
from slds_core.study.errors import StudyError
from slds_core.study.stages.build_model import build_model
from slds_core.study.stages.compare import compare
from slds_core.study.stages.gradient import gradient
from slds_core.study.stages.infer import infer
from slds_core.study.stages.residual import residual

TINY = {"plugin": "random_slds", "parameters": {"time": 3, "latent": 1, "states": 2}}
ELBO = {"plugin": "elbo", "parameters": {}}
OWN = '''
import equinox as eqx
import jax
import jax.numpy as jnp
from slds_core.fixed_point import coordinate_ascent
from slds_core.gradients import unrolled
from slds_core.plugins import GradientPlugin, InferencePlugin, ModelPlugin

class Garbage(GradientPlugin):
    """Returns no gradient."""
    start = "initial"
    def estimate(self, problem, objective, parameters, state):
        return 42

class Failing(InferencePlugin):
    """Fails."""
    def infer(self, problem, parameters, state):
        raise KeyError("nothing there")

class Blind(InferencePlugin):
    """Says that it converged, at no numbers."""
    def infer(self, problem, parameters, state):
        found = coordinate_ascent(problem, parameters, state, max_sweeps=3, tolerance=1e9)
        return eqx.tree_at(lambda f: f.state, found, found.state * jnp.nan)

class Idle(InferencePlugin):
    """Takes no iteration."""
    def infer(self, problem, parameters, state):
        found = coordinate_ascent(problem, parameters, state, max_sweeps=3)
        return eqx.tree_at(lambda f: f.iterations, found, jnp.array(0))

class Solves(GradientPlugin):
    """Says that it solved the adjoint, and returns no numbers."""
    start = "initial"
    def estimate(self, problem, objective, parameters, state):
        found = unrolled(problem, objective, parameters, state, sweeps=2)
        nothing = jax.tree.map(lambda leaf: leaf * jnp.nan, found.gradient)
        return eqx.tree_at(lambda f: f.gradient, found, nothing)

class Broken(ModelPlugin):
    """Fails."""
    def build(self):
        return 1 / 0
    def problem(self):
        return None
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guard")
    (folder / "own.py").write_text(OWN)
    for name in ("one", "two"):
        build_model(name, TINY, "float64", folder / name / "model.nc")
    sweeps = {"plugin": "coordinate_ascent", "parameters": {"max_sweeps": 3}}
    infer(folder / "one" / "model.nc", "short", sweeps, folder / "one" / "inference" / "short.nc")
    for goal in ("elbo", "linear"):
        objective = {"plugin": goal, "parameters": {}}
        settings = {"plugin": "unrolled", "parameters": {"sweeps": 2}}
        gradient(
            folder / "one" / "model.nc", None, goal, settings, objective, folder / "one" / "gradient" / f"{goal}.nc"
        )
    return folder


def own(folder: Path, name: str) -> dict:
    return {"plugin": f"{folder}/own.py:{name}", "parameters": {}}


def test_no_gradient(folder):
    output = folder / "garbage.nc"
    with pytest.raises(StudyError, match=r"own.py:garbage' failed: TypeError: expected a Gradient or .*, found int"):
        gradient(folder / "one" / "model.nc", None, "garbage", own(folder, "garbage"), ELBO, output)
    assert not output.exists()


def test_an_inference_that_raises(folder):
    with pytest.raises(StudyError, match=r"own.py:failing' failed: KeyError: 'nothing there' \(own.py, line 18\)$"):
        infer(folder / "one" / "model.nc", "failing", own(folder, "failing"), folder / "failing.nc")


def test_a_model_that_raises(folder):
    with pytest.raises(
        StudyError, match=r"own.py:broken' failed: ZeroDivisionError: division by zero \(own.py, line 43\)$"
    ):
        build_model("broken", own(folder, "broken"), "float64", folder / "broken.nc")


def test_an_inference_of_another_model(folder):
    with pytest.raises(StudyError, match=r"short.nc: is an inference of model 'one', expected one of 'two'$"):
        residual(folder / "two" / "model.nc", folder / "one" / "inference" / "short.nc", "short", folder / "r.nc")


def test_a_criterion_that_is_misspelt_is_refused_and_one_of_other_models_declined(folder, tmp_path):
    def by(criterion):
        settings = {"plugin": "coordinate_ascent", "parameters": {"max_sweeps": 3, "criterion": criterion}}
        return infer(folder / "one" / "model.nc", "by", settings, tmp_path / "by.nc")

    for written, meant in (
        ("kl_notebok", "kl_notebook"),
        ("residuum", "residual"),
        ("ELBO", "elbo"),
        ("elbow", "elbo"),
    ):
        with pytest.raises(StudyError, match=f"criterion: no monitor '{written}' in SLDS; did you mean '{meant}'\\?"):
            by(written)
    assert by("log_likelihood").startswith(
        "skipped: CoordinateAscent needs the monitor 'log_likelihood', found only elbo"
    )


def test_another_model_of_the_same_name(folder, tmp_path):
    """As when a model's file was made anew after an inference, or two folders have a model of one name."""
    larger = TINY | {"parameters": TINY["parameters"] | {"time": 4}}
    other, found = tmp_path / "one" / "model.nc", folder / "one"
    build_model("one", larger, "float64", other)
    with pytest.raises(StudyError, match=r"short.nc: was made from another state of the model 'one'"):
        residual(other, found / "inference" / "short.nc", "short", tmp_path / "r.nc")
    settings = {"plugin": "fisher_cg", "parameters": {}}
    with pytest.raises(StudyError, match=r"short.nc: was made from another state of the model 'one'"):
        gradient(other, found / "inference" / "short.nc", "cg", settings, ELBO, tmp_path / "cg.nc")
    settings = {"plugin": "unrolled", "parameters": {"sweeps": 2}}
    gradient(other, None, "other", settings, ELBO, tmp_path / "other.nc")
    with pytest.raises(StudyError, match=r"other.nc: has the state of the model .*, that of .*elbo.nc"):
        compare([found / "gradient" / "elbo.nc", tmp_path / "other.nc"], [], tmp_path / "comparison.nc")


def test_gradients_of_different_objectives(folder):
    files = sorted((folder / "one" / "gradient").glob("*.nc"))
    with pytest.raises(
        StudyError, match=r"linear.nc: has the objective .*linear.*, expected .*elbo.*, that of .*elbo.nc"
    ):
        compare(files, [], folder / "comparison.nc")


def test_two_files_of_one_name(folder):
    file = folder / "one" / "gradient" / "elbo.nc"
    with pytest.raises(StudyError, match=r"elbo.nc: has the name of another file, "):
        compare([file, file], [], folder / "comparison.nc")


def test_what_is_not_finite_is_told_whatever_the_plugin_says(folder):
    said = infer(folder / "one" / "model.nc", "blind", own(folder, "blind"), folder / "blind.nc")
    assert said.startswith("nonfinite")
    assert store.read(folder / "blind.nc", "inference").attrs["status"] == "nonfinite"
    said = gradient(folder / "one" / "model.nc", None, "solves", own(folder, "solves"), ELBO, folder / "solves.nc")
    assert said.startswith("nonfinite")
    assert store.read(folder / "solves.nc", "gradient").attrs["status"] == "nonfinite"


def test_an_inference_without_iterations(folder):
    with pytest.raises(
        StudyError, match=r"own.py:idle': expected 1 to 3 iterations, as its trace has room for, found 0"
    ):
        infer(folder / "one" / "model.nc", "idle", own(folder, "idle"), folder / "idle.nc")
    assert not (folder / "idle.nc").exists()


@pytest.mark.parametrize(
    "command",
    [
        ["infer", "--plugin", "newton_cg", "--model", "{}", "--output", "{}"],
        ["residual", "--inference", "x.nc", "--model", "{}", "--output", "{}"],
        ["gradient", "--plugin", "one_step", "--objective", "elbo", "--model", "{}", "--output", "{}"],
        ["compare", "{}", "--output", "{}"],
        ["import-pickle", "{}", "{}"],
    ],
)
def test_no_command_writes_over_what_it_reads(folder, command, capsys):
    place = folder / "two" / "model.nc"
    before = place.read_bytes()
    assert execute([word.format(place) for word in command]) == 1
    assert place.read_bytes() == before
    assert "expected another file" in capsys.readouterr().err
