"""Our own plugins keep the contracts that strangers' are asked to keep."""

import pytest
from own_models import arrays, dataset

from slds_core.study import registry
from slds_core.testing import check_data, check_gradient, check_inference, check_model, check_objective

# Parameters to check each built-in with, the costliest marked; what is not here is a plugin that nobody checks.
GRADIENTS = {
    "bicgstab": [{}],
    "direct": [{}],
    "finite_difference": [{}, {"count": 3, "seed": 1}],
    "fisher_cg": [{}, {"tolerance": 1e-4}],
    "gmres": [{}, {"restart": 3}],
    "one_step": [{}],
    "original_bicgstab": [{}, {"max_sweeps": 100}],
    "original_itersolve": [{}, {"max_sweeps": 100}, {"max_sweeps": 3, "fallback": False}],
    "richardson": [{}, {"damping": 0.5}, {"system": "coupled", "damping": 0.5}],
    "truncated": [{"sweeps": 1}, {"sweeps": 30}],
    "unrolled": [{"sweeps": 1}, {"sweeps": 100}],
    "unrolled_converged": [{}, {"sweeps": 3, "max_sweeps": 800}],
}
INFERENCE = {
    "anderson": [{}, {"memory": 1}],
    "coordinate_ascent": [{"max_sweeps": 20}, {"tolerance": 1e-10}, {"tolerance": 1e-8, "criterion": "elbo"}],
    "newton_cg": [{}, {"criterion": "elbo", "tolerance": 1e-10}],
}
MODELS = {
    "notebook": [{}],
    "random_slds": [
        {"time": 8, "latent": 2, "states": 3},
        {"time": 1, "latent": 1, "states": 2},
        {"lengths": [5, 3], "latent": 1, "states": 2},
    ],
}
DATA = {
    "bouncing_dot": [{}, {"sequences": 2, "time": 7, "standardise": True}],
    "macrodata": [{}, {"columns": ["unemp"], "standardise": False}],
    "synthetic_slds": [{}, {"lengths": [5, 1], "missing": 0.2}],
}
MODELS["svae"] = [
    {"data": {"plugin": "synthetic_slds", "lengths": [9, 6], "channels": 3}, "states": 2, "epochs": 1},
    {"data": {"plugin": "bouncing_dot", "sequences": 1, "time": 8}, "epochs": 0, "encoder": "mlp"},
]
OBJECTIVES = {"elbo": [{}], "linear": [{}, {"seed": 3}], "notebook": [{}]}
FILES = {"netcdf", "slds_pickle", "table"}  # they read files, which are written below

NO_MEAN_FIELD = "right on a model that is no mean field, or declines"
STARTS = "an unconverged state is not 'solved'"
STARVED = "honest when starved"
CONVERGES = "converges on a Boltzmann machine"


def settings(table, *, quick):
    """Returns all pairs of a plugin and its parameters; those but the ``quick`` ones, and further ones of these, are slow."""
    return [
        pytest.param(
            name, chosen, id=f"{name}-{number}", marks=[] if number == 0 and name in quick else pytest.mark.slow
        )
        for name, choices in table.items()
        for number, chosen in enumerate(choices)
    ]


def test_every_built_in_is_checked():
    checked = {"data": DATA, "gradients": GRADIENTS, "inference": INFERENCE, "models": MODELS, "objectives": OBJECTIVES}
    for kind, names in checked.items():
        own = {name for name, point in registry.available(kind).items() if point.module.startswith("slds_core.")}
        assert own - FILES == set(names), kind


@pytest.mark.parametrize(("name", "chosen"), settings(GRADIENTS, quick={"fisher_cg", "unrolled", "original_itersolve"}))
def test_gradients(name, chosen):
    outcome = check_gradient(registry.make("gradients", name, chosen))
    allowed = {
        NO_MEAN_FIELD: name in ("fisher_cg", "original_bicgstab", "original_itersolve")
        or chosen.get("system") == "coupled",
        STARTS: name in ("unrolled", "unrolled_converged", "original_bicgstab", "original_itersolve"),
        # its first hundred sweeps and their doubling are more than the starved may have
        STARVED: name in ("unrolled", "one_step", "truncated") or (name == "unrolled_converged" and not chosen),
    }
    assert set(outcome.declined) == {contract for contract, expected in allowed.items() if expected}


@pytest.mark.parametrize(("name", "chosen"), settings(INFERENCE, quick={"coordinate_ascent", "newton_cg"}))
def test_inference(name, chosen):
    outcome = check_inference(registry.make("inference", name, chosen))
    allowed = {NO_MEAN_FIELD: name != "coordinate_ascent", CONVERGES: "max_sweeps" in chosen}
    assert set(outcome.declined) == {contract for contract, expected in allowed.items() if expected}


@pytest.mark.parametrize(("name", "chosen"), settings(DATA, quick=set(DATA)))
def test_data(name, chosen):
    assert not check_data(registry.make("data", name, chosen)).declined


@pytest.mark.parametrize(("name", "chosen"), settings(MODELS, quick={"random_slds"}))
def test_models(name, chosen):
    assert not check_model(registry.make("models", name, chosen)).declined


@pytest.mark.slow
def test_a_model_in_a_file(tmp_path):
    dataset(arrays()).to_netcdf(tmp_path / "own.nc")
    assert not check_model(registry.make("models", "netcdf", {"path": str(tmp_path / "own.nc")})).declined


@pytest.mark.slow
def test_a_model_in_a_pickle(tmp_path):
    from study.test_notebook_pickle import model, structure, write

    path = write(tmp_path / "slds.pkl", structure(model()))
    assert not check_model(registry.make("models", "slds_pickle", {"path": str(path), "start": "uniform"})).declined


@pytest.mark.parametrize(("name", "chosen"), settings(OBJECTIVES, quick={"elbo"}))
def test_objectives(name, chosen):
    outcome = check_objective(registry.make("objectives", name, chosen))
    assert len(outcome.declined) == (name == "notebook")
