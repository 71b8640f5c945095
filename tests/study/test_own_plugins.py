"""What a person's own plugins give back wrongly is told by the stage that ran them: which plugin, what was found, what was expected."""

import pytest

from slds_core.cli import execute
from slds_core.study.stages.build_model import build_model
from slds_core.study.stages.infer import infer

TINY = {"plugin": "random_slds", "parameters": {"time": 4, "latent": 2, "states": 3}}
OWN = '''
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
from slds_core.fixed_point import coordinate_ascent
from slds_core.gradients import DirectionalDerivatives, unrolled
from slds_core.models.random_slds import random_slds
from slds_core.models.slds import SLDS
from slds_core.plugins import BuiltModel, GradientPlugin, InferencePlugin, ModelPlugin, ObjectivePlugin


class Wrong(ObjectivePlugin):
    """Wrong in a way of one's choice."""
    how: str

    def objective(self, problem):
        if self.how == "early":
            raise KeyError("no such thing")
        return self.value

    def value(self, parameters, posterior):
        if self.how == "raises":
            raise KeyError("no such thing")
        if self.how == "ends":
            sys.exit(0)
        if self.how == "vector":
            return jnp.ones(3)
        if self.how == "nothing":
            return None
        return jnp.float32(1)


class Weighted(ObjectivePlugin):
    """The bound, times what its weights add up to."""
    weights: list[float] = [1.0, 2.0]

    def objective(self, problem):
        return lambda parameters, posterior: problem.elbo(posterior) * sum(self.weights)


class Slope(GradientPlugin):
    """Wrong in a way of one's choice."""
    start = "initial"
    how: str

    def estimate(self, problem, objective, parameters, state):
        found = unrolled(problem, objective, parameters, state, sweeps=2)
        if self.how == "ends":
            sys.exit(0)
        if self.how == "directions":
            return DirectionalDerivatives(found.value, jnp.ones(2), jnp.ones(2), jnp.array(0.0), jnp.array(1))
        if self.how == "status":
            return eqx.tree_at(lambda f: f.info.status, found, None)
        if self.how == "value":
            return eqx.tree_at(lambda f: f.value, found, jnp.ones(2))
        if self.how == "adjoint":
            return eqx.tree_at(lambda f: f.adjoint, found, jnp.ones(2), is_leaf=lambda leaf: leaf is None)
        gradient = {
            "shape": lambda: jax.tree.map(jnp.ravel, found.gradient),
            "structure": lambda: jax.tree.leaves(found.gradient),
            "half": lambda: jax.tree.map(lambda leaf: leaf.astype(jnp.float16), found.gradient),
            "single": lambda: jax.tree.map(lambda leaf: leaf.astype(jnp.float32), found.gradient),
        }[self.how]()
        return eqx.tree_at(lambda f: f.gradient, found, gradient)


class Stop(InferencePlugin):
    """Wrong in a way of one's choice."""
    how: str

    def infer(self, problem, parameters, state):
        found = coordinate_ascent(problem, parameters, state, max_sweeps=3)
        if self.how == "ends":
            sys.exit(0)
        if self.how == "trace":
            return eqx.tree_at(lambda f: f.trace, found, None)
        if self.how == "posterior":
            return eqx.tree_at(lambda f: f.posterior, found, found.state)
        state = {"shape": found.state[:-1], "structure": (found.state, 1.0), "single": found.state.astype("float32")}
        return eqx.tree_at(lambda f: f.state, found, state[self.how])


class Unfinished(SLDS):
    def response(self, *arguments):
        raise KeyError("half done")


class Made(ModelPlugin):
    """Wrong in a way of one's choice."""
    how: str

    def build(self):
        parameters, start = random_slds(time=4, latent=2, states=3)
        if self.how == "ends":
            sys.exit(0)
        return {
            "nothing": None,
            "tuple": (SLDS(), parameters, start),
            "problem": BuiltModel(None, parameters, start),
            "start": BuiltModel(SLDS(), parameters, start[:-1]),
            "axes": BuiltModel(SLDS(), parameters, start[0]),
            "states": BuiltModel(SLDS(), parameters, start[:, :-1]),
            "fewer": BuiltModel(SLDS(), parameters.dynamics, start),
        }.get(self.how, BuiltModel(Unfinished() if self.how == "response" else SLDS(), parameters, start))

    def problem(self):
        if self.how == "rebuilt":
            raise KeyError("no such thing")
        return {"later": None, "response": Unfinished()}.get(self.how, SLDS())
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    (folder / "own.py").write_text(OWN)
    build_model("tiny", TINY, "float64", folder / "model.nc")
    return folder


def told(capsys, *arguments: object) -> str:
    """Returns what a stage says that must fail in a way that its user can act on."""
    assert execute([str(argument) for argument in arguments]) == 1
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ("early", "failed: KeyError: 'no such thing' (own.py, line 20)"),
        ("raises", "failed: KeyError: 'no such thing' (own.py, line 25)"),
        ("ends", "failed: SystemExit: 0 (own.py, line 27)"),
        ("vector", "failed: TypeError: value of the objective: expected shape () in float64, found (3,) in float64"),
        ("nothing", "failed: TypeError: value of the objective: expected one array, found NoneType"),
        ("single", "failed: TypeError: value of the objective: expected shape () in float64, found () in float32"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("plugin", [["unrolled", "--set", "sweeps=2"], ["original_itersolve"]])
def test_an_objective_is_blamed_for_itself(folder, capsys, how, what, plugin):
    output = folder / "never.nc"
    said = told(
        capsys, "gradient", "--plugin", *plugin, "--model", folder / "model.nc", "--output", output,
        "--objective", f"{folder}/own.py:wrong", "--objective-set", f"how={how}",
    )  # fmt: skip
    assert said == f"slds gradient: plugin '{folder}/own.py:wrong' {what}\n"
    assert not output.exists()


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ("shape", "gradient.recognition.quadratic: expected shape (4, 2, 2) in float64, found (16,) in float64"),
        ("structure", "gradient: expected SLDSPotentials, found list"),
        ("half", "gradient.recognition.quadratic: expected shape (4, 2, 2) in float64, found (4, 2, 2) in float16"),
        ("single", "gradient.recognition.quadratic: expected shape (4, 2, 2) in float64, found (4, 2, 2) in float32"),
        ("value", "value: expected shape () in float64, found (2,) in float64"),
        ("adjoint", "adjoint: expected shape (3, 3) in float64, found (2,) in float64"),
        ("directions", "derivative: expected shape (13, 1) in float64, found (2,) in float64"),
        ("status", "info.status: expected a GradientStatus, found NoneType"),
        ("ends", "SystemExit: 0 (own.py, line 51)"),
    ],
)  # fmt: skip
def test_a_gradient_that_does_not_fit(folder, capsys, how, what):
    output = folder / "never.nc"
    said = told(
        capsys, "gradient", "--plugin", f"{folder}/own.py:slope", "--set", f"how={how}", "--objective", "elbo",
        "--model", folder / "model.nc", "--output", output,
    )  # fmt: skip
    assert said.startswith(f"slds gradient: plugin '{folder}/own.py:slope' failed: ")
    assert what in said
    assert not output.exists()


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ("shape", "state: expected shape (3, 3) in float64, found (2, 3) in float64"),
        ("structure", "state: expected one array, found tuple"),
        ("single", "state: expected shape (3, 3) in float64, found (3, 3) in float32"),
        ("posterior", "posterior: expected SLDSPosterior, found one array"),
        ("trace", "trace: expected a Trace, found NoneType"),
        ("ends", "SystemExit: 0 (own.py, line 76)"),
    ],
)
def test_an_inference_that_does_not_fit(folder, capsys, how, what):
    output = folder / "never.nc"
    said = told(
        capsys, "infer", "--plugin", f"{folder}/own.py:stop", "--set", f"how={how}", "--model", folder / "model.nc",
        "--output", output,
    )  # fmt: skip
    assert said.startswith(f"slds infer: plugin '{folder}/own.py:stop' failed: ")
    assert what in said
    assert not output.exists()


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ("nothing", "TypeError: expected a BuiltModel, found NoneType"),
        ("tuple", "TypeError: expected a BuiltModel, found tuple"),
        ("problem", "TypeError: problem of the BuiltModel: expected a FixedPoint, found NoneType"),
        ("start", "ValueError: state: expected marginals of shape (3, 3), found (2, 3)"),
        ("axes", "ValueError: start: expected the axes (transition, state), found shape (3,)"),
        ("states", "ValueError: conflicting sizes for dimension 'state'"),
        ("fewer", "ValueError: expected 13 arrays (recognition_quadratic, "),
        ("ends", "SystemExit: 0 (own.py, line "),
    ],
)
def test_a_model_that_does_not_fit(folder, capsys, how, what):
    output = folder / "never.nc"
    said = told(capsys, "build-model", "--plugin", f"{folder}/own.py:made", "--set", f"how={how}", "--output", output)
    assert said.startswith(f"slds build-model: plugin '{folder}/own.py:made' failed: {what}")
    assert not output.exists()


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ("rebuilt", "KeyError: 'no such thing' (own.py, line "),
        ("later", "TypeError: problem: expected a FixedPoint, found NoneType"),
    ],
)
def test_a_model_that_cannot_be_rebuilt(folder, capsys, how, what):
    model = folder / f"{how}.nc"
    build_model(how, {"plugin": f"{folder}/own.py:made", "parameters": {"how": how}}, "float64", model)
    said = told(capsys, "infer", "--plugin", "newton_cg", "--model", model, "--output", folder / "never.nc")
    assert said.startswith(f"slds infer: plugin '{folder}/own.py:made' failed: {what}")


def test_a_model_that_fails_where_its_fixed_point_is_judged(folder, capsys):
    model, inference = folder / "unfinished.nc", folder / "three.nc"
    build_model("unfinished", {"plugin": f"{folder}/own.py:made", "parameters": {"how": "response"}}, "float64", model)
    infer(model, "three", {"plugin": "coordinate_ascent", "parameters": {"max_sweeps": 3}}, inference)
    said = told(capsys, "residual", "--model", model, "--inference", inference, "--output", folder / "never.nc")
    assert said.startswith(f"slds residual: plugin '{folder}/own.py:made' failed: KeyError: 'half done' (own.py, line ")
    assert not (folder / "never.nc").exists()


def test_an_objective_with_a_list_among_its_parameters(folder):
    command = ["gradient", "--plugin", "unrolled", "--set", "sweeps=2", "--objective", f"{folder}/own.py:weighted"]
    assert execute([*command, "--model", f"{folder}/model.nc", "--output", f"{folder}/weighted.nc"]) == 0


def test_the_coupled_system_of_a_single_step(tmp_path, capsys):
    """A state without entries has no spectrum to predict the work from."""
    one = {"plugin": "random_slds", "parameters": {"time": 1, "latent": 1, "states": 2}}
    model, inference = tmp_path / "model.nc", tmp_path / "inference.nc"
    build_model("one", one, "float64", model)
    assert execute(["infer", "--plugin", "newton_cg", "--model", str(model), "--output", str(inference)]) == 0
    command = ["gradient", "--plugin", "richardson", "--set", "system=coupled", "--objective", "elbo"]
    command += ["--model", str(model), "--inference", str(inference), "--output", str(tmp_path / "gradient.nc")]
    assert execute(command) == 0
    assert "solved" in capsys.readouterr().out


_OWN = """
from dataclasses import replace
from slds_core.fixed_point import coordinate_ascent
from slds_core.plugins import DataPlugin, InferencePlugin

class Empty(DataPlugin):
    "Holds nothing."
    def load(self): ...

class Single(InferencePlugin):
    "Returns its state in single precision."
    def infer(self, problem, parameters, state):
        found = coordinate_ascent(problem, parameters, state, max_sweeps=2)
        return replace(found, state=found.state.astype("float32"))
"""


@pytest.mark.parametrize(
    ("setting", "what"),
    [
        (
            "gradient=finite_difference",
            "gradient: expected an estimator of the whole gradient, found 'finite_difference', which yields derivatives along a few "
            "directions",
        ),
        (
            "inference=OWN:single",
            "plugin 'OWN:single' failed: TypeError: state: expected shape (6, 3) in float64, found (6, 3) in float32",
        ),
        ("seed=4294967296", "seed: input should be less than or equal to 4294967295, found 4294967296"),
        ("prior_noise=1e-300", "prior_noise: input should be greater than or equal to 0.000000000001, found 1e-300"),
        ("data=OWN:empty", "plugin 'OWN:empty' failed: TypeError: training needs a Series, found NoneType"),
    ],
)
def test_what_a_training_cannot_use(tmp_path, capsys, setting, what):
    own = tmp_path / "own.py"
    own.write_text(_OWN)
    setting, what = setting.replace("OWN", str(own)), what.replace("OWN", str(own))
    said = told(
        capsys, "fit", "--plugin", "svae", "--set", "data={plugin: bouncing_dot, sequences: 2, time: 4}",
        "--set", "epochs=1", "--set", setting, "--output", tmp_path / "never.nc",
    )  # fmt: skip
    assert said == f"slds fit: {what}\n"
