"""One compilation serves all settings that differ in numbers alone: through the stages, and through the public functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from slds_core import gradients
from slds_core.fixed_point import anderson, coordinate_ascent, newton_cg
from slds_core.models.random_slds import random_slds
from slds_core.models.slds import SLDS
from slds_core.objectives.generic import linear
from slds_core.plugins import InferencePlugin
from slds_core.study import programs, store
from slds_core.study.stages.build_model import build_model
from slds_core.study.stages.gradient import gradient
from slds_core.study.stages.infer import infer

MODEL = {"plugin": "random_slds", "parameters": {"time": 12, "latent": 2, "states": 2}}
OBJECTIVE = {"plugin": "linear", "parameters": {}}

INFERENCE = [
    ("coordinate_ascent", {"max_sweeps": 5}, {"max_sweeps": 700, "tolerance": 1e-9}),
    ("newton_cg", {}, {"max_sweeps": 900, "tolerance": 1e-6, "switch": 0.1, "forcing": 0.01, "products_per_step": 9}),
    ("anderson", {"tolerance": 1e-4}, {"max_sweeps": 60}),
]
GRADIENTS = [
    ("fisher_cg", {}, {"tolerance": 1e-4, "max_products": 77, "forward_tolerance": 1e-3}),
    pytest.param(
        "bicgstab", {}, {"tolerance": 1e-4, "max_products": 77, "forward_tolerance": 1e-3}, marks=pytest.mark.slow
    ),
    pytest.param(
        "gmres", {}, {"tolerance": 1e-4, "max_products": 22, "forward_tolerance": 1e-3}, marks=pytest.mark.slow
    ),
    pytest.param("richardson", {}, {"tolerance": 1e-4, "max_products": 77, "damping": 0.7}, marks=pytest.mark.slow),
    pytest.param("truncated", {"sweeps": 2}, {"sweeps": 9, "forward_tolerance": 1e-3}, marks=pytest.mark.slow),
    pytest.param("one_step", {}, {"forward_tolerance": 1e-3}, marks=pytest.mark.slow),
    pytest.param("direct", {}, {"tolerance": 1e-6}, marks=pytest.mark.slow),
    pytest.param("unrolled_converged", {}, {"sweeps": 30, "tolerance": 1e-6}, marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A model and an inference of it."""
    folder = tmp_path_factory.mktemp("tiny")
    build_model("tiny", MODEL, "float64", folder / "model.nc")
    infer(folder / "model.nc", "newton", {"plugin": "newton_cg", "parameters": {}}, folder / "newton.nc")
    return folder


def compilations() -> int:
    return programs._compile.cache_info().misses


@pytest.mark.parametrize(("plugin", "first", "second"), INFERENCE)
def test_another_number_compiles_no_inference_anew(study, plugin, first, second):
    model = study / "model.nc"
    infer(model, "first", {"plugin": plugin, "parameters": first}, study / "first.nc")
    before = compilations()
    infer(model, "second", {"plugin": plugin, "parameters": second}, study / "second.nc")
    assert compilations() == before
    one, other = (store.read(study / f"{name}.nc", "inference") for name in ("first", "second"))
    assert int(one["sweeps"]) != int(other["sweeps"])  # the numbers were used


@pytest.mark.parametrize(("plugin", "first", "second"), GRADIENTS)
def test_another_number_compiles_no_gradient_anew(study, plugin, first, second):
    model, at = study / "model.nc", study / "newton.nc"
    gradient(model, at, "first", {"plugin": plugin, "parameters": first}, OBJECTIVE, study / "first.nc")
    before = compilations()
    gradient(model, at, "second", {"plugin": plugin, "parameters": second}, OBJECTIVE, study / "second.nc")
    assert compilations() == before
    one, other = (store.read(study / f"{name}.nc", "gradient") for name in ("first", "second"))
    if plugin not in ("one_step", "direct"):  # which take no such number of steps
        assert int(one["products"]) != int(other["products"])
    assert int(other["compilation_cached"]) == 1


def test_a_length_or_another_model_compiles_anew(study):
    build_model(
        "longer", MODEL | {"parameters": MODEL["parameters"] | {"time": 13}}, "float64", study / "longer" / "model.nc"
    )
    infer(study / "model.nc", "a", {"plugin": "anderson", "parameters": {}}, study / "a.nc")
    before = compilations()
    infer(study / "model.nc", "b", {"plugin": "anderson", "parameters": {"memory": 3}}, study / "b.nc")
    infer(study / "longer" / "model.nc", "c", {"plugin": "anderson", "parameters": {}}, study / "c.nc")
    assert compilations() == before + 2


def traces_of(function, *numbers):
    """How often a function of parameters, state and one number is traced over several of them, with other parameters each time."""
    count = 0

    @jax.jit
    def counted(*arguments):
        nonlocal count
        count += 1
        return function(*arguments)

    for seed, number in enumerate(numbers):
        parameters, start = random_slds(time=12, latent=2, states=2, seed=seed)
        parameters, start = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), (parameters, start))
        jax.block_until_ready(counted(parameters, start, number))
    return count


@pytest.mark.parametrize("solver", [coordinate_ascent, newton_cg, anderson])
def test_a_solver_is_traced_once(solver):
    problem = SLDS()
    assert traces_of(lambda p, s, n: solver(problem, p, s, max_sweeps=n, capacity=50), 3, 7, 50) == 1
    assert traces_of(lambda p, s, t: solver(problem, p, s, max_sweeps=50, tolerance=t), 1e-3, 1e-6) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fisher_cg", "bicgstab", "gmres", "richardson", "truncated"])
def test_an_estimator_is_traced_once(name):
    problem, estimator = SLDS(), getattr(gradients, name)
    objective = linear(problem, 0)
    limit = "sweeps" if name == "truncated" else "max_products"
    assert traces_of(lambda p, s, n: estimator(problem, objective, p, s, **{limit: n}), 20, 30, 40) == 1


@pytest.mark.parametrize("solver", [coordinate_ascent, newton_cg, anderson])
def test_a_traced_limit_gives_the_same_inference(solver):
    problem = SLDS()
    parameters, start = random_slds(time=12, latent=2, states=2)
    parameters, start = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), (parameters, start))
    fixed = jax.jit(lambda p, s: solver(problem, p, s, max_sweeps=9))(parameters, start)
    traced = jax.jit(lambda p, s, n: solver(problem, p, s, max_sweeps=n, capacity=20))(parameters, start, 9)
    assert int(traced.iterations) == int(fixed.iterations)
    assert bool(traced.status == fixed.status)
    # the programs differ in the lengths of their traces alone
    np.testing.assert_allclose(traced.state, fixed.state, rtol=0, atol=100 * jnp.finfo(start.dtype).eps)
    assert traced.trace.sweeps.shape == (20,)
    np.testing.assert_array_equal(traced.trace.sweeps[:9], fixed.trace.sweeps)  # NaN after the last


def test_limits_are_checked():
    problem = SLDS()
    parameters, start = random_slds(time=12, latent=2, states=2)
    with pytest.raises(ValueError, match="max_sweeps: expected at most capacity = 5, found 6"):
        coordinate_ascent(problem, parameters, start, max_sweeps=6, capacity=5)
    with pytest.raises(ValueError, match="capacity: expected at least 1, found 0"):
        coordinate_ascent(problem, parameters, start, max_sweeps=1, capacity=0)
    with pytest.raises(ValueError, match="capacity: needed where max_sweeps is traced"):
        jax.jit(lambda n: coordinate_ascent(problem, parameters, start, max_sweeps=n))(3)


def test_equal_functions_share_a_program_and_closures_do_not():
    one = programs.Bound(jnp.add, (2.0,))
    assert programs.compiled(one, 3.0)[0] is programs.compiled(programs.Bound(jnp.add, (2.0,)), 4.0)[0]
    assert programs.compiled(lambda x: x + 2, 3.0)[0] is not programs.compiled(lambda x: x + 2, 3.0)[0]
    assert float(programs.compiled(one, 3.0)[0](5.0)) == 7.0


def test_every_traced_parameter_is_one():
    from slds_core.study.registry import available, plugin_class

    for kind in ("inference", "gradients"):
        for name in available(kind):
            plugin = plugin_class(kind, name)
            assert set(plugin.traced) <= set(plugin.model_fields), name
            assert kind == "gradients" or issubclass(plugin, InferencePlugin)
