"""What gradients are judged by."""

import json
import tracemalloc

import numpy as np
import pytest
import xarray as xr

from slds_core.study import store
from slds_core.study.contents import made_from
from slds_core.study.gradient_vectors import ALL, arrays_of
from slds_core.study.stages.build_model import build_model
from slds_core.study.stages.compare import _evidence, _measures, compare
from slds_core.study.stages.gradient import gradient
from slds_core.study.verdicts import Evidence, verdict

OWN = '''
import equinox as eqx
import jax
import jax.numpy as jnp
from slds_core.gradients import GradientStatus, unrolled
from slds_core.plugins import GradientPlugin

class Blind(GradientPlugin):
    """Says that it solved the adjoint, and returns no numbers."""
    start = "initial"
    def estimate(self, problem, objective, parameters, state):
        found = unrolled(problem, objective, parameters, state, sweeps=2)
        return eqx.tree_at(lambda f: f.gradient, found, jax.tree.map(lambda leaf: leaf * jnp.nan, found.gradient))

class Says(GradientPlugin):
    """Ends as it is told, with so many times the gradient."""
    start = "initial"
    status: str
    factor: float = 1.0
    def estimate(self, problem, objective, parameters, state):
        found = unrolled(problem, objective, parameters, state, sweeps=50)
        scaled = jax.tree.map(lambda leaf: leaf * self.factor, found.gradient)
        return eqx.tree_at(lambda f: (f.gradient, f.info.status), found, (scaled, getattr(GradientStatus, self.status)))
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
        "rough": (f"{folder}/own.py:says", {"status": "approximate", "factor": 0.5}),
        "starved": (f"{folder}/own.py:says", {"status": "product_limit"}),
        "right": (f"{folder}/own.py:says", {"status": "solved"}),
        "wrong": (f"{folder}/own.py:says", {"status": "solved", "factor": 1.5}),
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


def judged(folder, names, references):
    compare([folder / f"{name}.nc" for name in names], references, folder / "judged.nc")
    found = store.read(folder / "judged.nc", "comparison")
    return dict(zip(names, found["verdict"].values, strict=True)), dict(
        zip(names, found["verdict_reason"].values, strict=True)
    )


@pytest.mark.parametrize(
    ("first", "why"),
    [("rough", "is an approximation by design"), ("starved", "ended as product limit"), ("blind", "is not finite")],
)
def test_the_witness_is_the_first_that_can_judge(folder, first, why):
    verdicts, reasons = judged(folder, [first, "right", "many"], [first, "right"])
    assert (verdicts["right"], verdicts["many"]) == ("witness", "exact")
    assert reasons["right"].endswith(f"; in place of {first}, which {why}")


@pytest.mark.parametrize(("first", "own"), [("rough", "approximate"), ("starved", "failed")])
def test_what_cannot_judge_judges_none(folder, first, own):
    """They were called exact where they shared its error."""
    verdicts, reasons = judged(folder, [first, "right", "blind"], [first])
    assert verdicts == {first: own, "right": "not judged", "blind": "failed"}
    assert f"from '{first}', which cannot judge it" in reasons["right"]


def test_witnesses_that_disagree(folder):
    verdicts, reasons = judged(folder, ["right", "wrong", "many"], ["right", "wrong"])
    assert verdicts == {"right": "disputed", "wrong": "not judged", "many": "not judged"}
    assert reasons["right"] == "'wrong' differs by 3.3e-01, and claims to be right as well"
    # what nobody called a witness disputes nothing
    assert judged(folder, ["right", "wrong", "many"], [])[0] == {"right": "witness", "wrong": "wrong", "many": "exact"}
    assert judged(folder, ["right", "rough", "many"], ["right", "rough"])[0]["right"] == "witness"


def test_many_references_take_no_memory_of_their_own():
    gradients = {
        f"g{number}": xr.Dataset({"gradient_a": ("entry", np.random.default_rng(number).normal(size=50_000))})
        for number in range(20)
    }
    estimates = {name: arrays_of(dataset) for name, dataset in gradients.items()}
    tracemalloc.start()
    measures = _measures(gradients, estimates)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    all_of_them = sum(dataset.nbytes for dataset in gradients.values())
    assert peak < 2 * all_of_them  # 20 times, where each reference has copies of its own
    one, other = gradients["g3"]["gradient_a"].values, gradients["g7"]["gradient_a"].values
    found = float(measures["relative_l2"].sel(estimator="g3", reference="g7", group=ALL))
    assert found == pytest.approx(np.sqrt(np.sum((one - other) ** 2) / np.sum(other**2)), rel=1e-12)


def test_certificates_are_relative_to_the_witness():
    """As errors are: a short estimate's certificate would hold by being divided by little."""
    attributes = {"status": "solved", "precision": "float64"}
    short = xr.Dataset({"gradient_a": ("a", [0.1]), "certificate": 0.5}, attrs=attributes)
    witness = xr.Dataset({"gradient_a": ("a", [1.0])}, attrs=attributes)
    found = _evidence(short, 0.9, witness, {"a": np.array([0.1])})
    assert (found.certificate, found.within_certificate, verdict(found).name) == (0.5, 0, "wrong")


def test_an_infinite_certificate_holds_nothing():
    """It says that the fixed point is not stable, and of the error nothing."""
    found = Evidence("solved", 0.05, float("inf"), 0.0, "float64")
    assert (found.within_certificate, verdict(found).name) == (-1, "wrong")


@pytest.mark.parametrize(
    ("error", "resolution", "name"),
    [
        (1e-9, 0.0, "exact"),
        (5e-5, 1e-4, "exact"),
        (0.09, 0.095, "unresolved"),
        (5.0, float("inf"), "unresolved"),
        (1e-9, 0.5, "exact"),
    ],
)
def test_a_coarse_witness_makes_nothing_exact(error, resolution, name):
    assert verdict(Evidence("solved", error, float("nan"), resolution, "float64")).name == name
