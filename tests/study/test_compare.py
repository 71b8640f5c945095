"""What gradients are judged by."""

import json

import pytest

from slds_core.study import store
from slds_core.study.contents import made_from
from slds_core.study.stages.build_model import build_model
from slds_core.study.stages.compare import compare
from slds_core.study.stages.gradient import gradient

OWN = '''
import equinox as eqx
import jax
import jax.numpy as jnp
from slds_core.gradients import unrolled
from slds_core.plugins import GradientPlugin

class Blind(GradientPlugin):
    """Says that it solved the adjoint, and returns no numbers."""
    start = "initial"
    def estimate(self, problem, objective, parameters, state):
        found = unrolled(problem, objective, parameters, state, sweeps=2)
        return eqx.tree_at(lambda f: f.gradient, found, jax.tree.map(lambda leaf: leaf * jnp.nan, found.gradient))
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    (folder / "own.py").write_text(OWN)
    tiny = {"plugin": "random_slds", "parameters": {"time": 3, "latent": 1, "states": 2}}
    build_model("tiny", tiny, "float64", folder / "model.nc")
    plugins = {
        "blind": (f"{folder}/own.py:blind", {}),
        "few": ("unrolled", {"sweeps": 40}),
        "many": ("unrolled", {"sweeps": 50}),
    }
    for name, (plugin, parameters) in plugins.items():
        settings = {"plugin": plugin, "parameters": parameters}
        gradient(folder / "model.nc", None, name, settings, {"plugin": "elbo", "parameters": {}}, folder / f"{name}.nc")
    return folder


@pytest.mark.parametrize("references", [["blind"], ["blind", "few", "many"], []])
def test_what_is_not_finite_is_no_witness(folder, references):
    names = ["blind", "few", "many"]
    said = compare([folder / f"{name}.nc" for name in names], references, folder / "comparison.nc")
    assert said == "1 failed, 1 witness, 1 exact; not judged by blind, which is not finite, but by few"
    found = store.read(folder / "comparison.nc", "comparison")
    assert list(found["reference"].values) == ["few", "many"]
    assert dict(zip(names, found["verdict"].values, strict=True)) == {
        "blind": "failed",
        "few": "witness",
        "many": "exact",
    }
    assert found["verdict_reason"].values[0] == "not finite, so that no other is judged by it; the witness is 'few'"
    assert found.attrs["status_message"] == "not judged by blind, which is not finite, but by few."
    # as configured, which tells whether the file belongs to a study
    assert json.loads(found.attrs["settings"]) == {"references": references}
    assert set(made_from(found)) == {f"gradient/{name}" for name in names}


def test_nothing_finite_is_not_compared(folder):
    said = compare([folder / "blind.nc"], ["blind"], folder / "nothing.nc")
    assert said == "no gradient to compare with is finite"
    assert store.read(folder / "nothing.nc", "comparison").attrs["status"] == "declined"
