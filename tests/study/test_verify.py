"""Which results belong to a configuration, to the code and to the environment."""

import json

import pytest
import xarray as xr

from slds_core.study import store
from slds_core.study.configuration import read_configuration
from slds_core.study.errors import StudyError
from slds_core.study.stages.build_model import build_model
from slds_core.study.stages.infer import infer
from slds_core.study.stages.residual import residual
from slds_core.study.verify import describe, outdated, verify

CONTENT = {
    "models": {"tiny": {"plugin": "random_slds", "time": 3, "latent": 1, "states": 1}},
    "inference": {"short": {"plugin": "coordinate_ascent", "max_sweeps": 2}},
    "objective": {"plugin": "elbo"},
}


@pytest.fixture
def results(tmp_path):
    settings = {"plugin": "random_slds", "parameters": {"time": 3, "latent": 1, "states": 1}}
    build_model("tiny", settings, "float64", tmp_path / "tiny" / "model.nc")
    return tmp_path


def problems(content, results):
    return {str(f.path.relative_to(results)): f.problems for f in verify(read_configuration(content), results)}


def test_what_belongs_and_what_is_missing(results):
    found = problems(CONTENT, results)
    assert found["tiny/model.nc"] == []
    assert found["tiny/inference/short.nc"] == ["no such file; expected an inference file"]
    assert "1 of 3 files belong" in describe(verify(read_configuration(CONTENT), results))


def test_another_setting_and_another_precision(results):
    changed = CONTENT | {"models": {"tiny": {"plugin": "random_slds", "time": 4}}, "precision": "float32"}
    [settings, precision] = problems(changed, results)["tiny/model.nc"]
    assert settings.startswith("made with parameters ")
    assert precision == "made in float64, configured is float32"


@pytest.mark.parametrize(
    ("attribute", "value", "complaint"),
    [
        ("code_hash", "0123", "made by other code (0123, now "),
        (
            "plugins",
            json.dumps({"models": "own 1.0 abc"}),
            "made by another state of its plugin among models (own 1.0 abc, now ",
        ),
        ("packages", json.dumps({"jax": "0.1"}), "made with other packages: jax 0.1, now "),
        ("input_files", json.dumps({"nowhere.nc": "ab"}), "made from another state of nowhere.nc"),
    ],
)
def test_other_origins(results, attribute, value, complaint):
    path = results / "tiny" / "model.nc"
    dataset = store.read(path, "model")
    dataset.attrs[attribute] = value
    store.write(dataset, path, "model", {})
    [found] = problems(CONTENT, results)["tiny/model.nc"]
    assert found.startswith(complaint)


def test_what_follows_from_another_state(results):
    short = {"plugin": "coordinate_ascent", "parameters": {"max_sweeps": 2}}
    model, inference = results / "tiny" / "model.nc", results / "tiny" / "inference" / "short.nc"
    infer(model, "short", short, inference)
    residual(model, inference, "short", results / "tiny" / "residual" / "short.nc")
    assert not any(problems(CONTENT, results).values())

    changed = CONTENT | {"models": {"tiny": {"plugin": "random_slds", "time": 4, "latent": 1, "states": 1}}}
    found = problems(changed, results)
    assert found["tiny/inference/short.nc"] == ["made from model.nc, which does not belong or is not there"]
    settings = {"plugin": "random_slds", "parameters": {"time": 4, "latent": 1, "states": 1}}
    build_model("tiny", settings, "float64", model)
    found = problems(changed, results)
    assert found["tiny/model.nc"] == []
    assert found["tiny/inference/short.nc"] == ["made from another state of model.nc"]
    assert [finding.path for finding in outdated(read_configuration(changed), results)] == [
        inference,
        results / "tiny" / "residual" / "short.nc",
    ]


def test_of_a_large_file_the_beginning_is_read(results, monkeypatch):
    study = read_configuration(CONTENT | {"models": {"tiny": {"plugin": "random_slds", "time": 4}}})
    whole = outdated(study, results)
    monkeypatch.setattr(store, "_SMALL", 0)
    assert outdated(study, results) == whole
    (results / "tiny" / "model.nc").write_bytes(b"half a file")
    [found] = outdated(study, results)
    assert found.problems[0].startswith("cannot be read as NetCDF")
    assert outdated(study, results / "nowhere") == []


def test_strangers_and_damage(results):
    (results / "tiny" / "inference").mkdir()
    (results / "tiny" / "inference" / "short.nc").write_bytes(b"half a file")
    xr.Dataset().to_netcdf(results / "other.nc")
    found = problems(CONTENT, results)
    assert found["other.nc"] == ["no setting of this configuration leads to it"]
    assert "damaged or foreign" in found["tiny/inference/short.nc"][0]


def test_half_a_report(results):
    page, study = results / "report.html", read_configuration(CONTENT)
    page.write_text("<html>…</html>\n")
    assert "report.html" not in problems(CONTENT, results)
    for text in ("", "<html><body>"):
        page.write_text(text)
        assert problems(CONTENT, results)["report.html"] == ["is not whole"]
        assert [finding.path for finding in outdated(study, results)] == [page]


def test_no_folder(tmp_path):
    with pytest.raises(StudyError, match="no such folder"):
        verify(read_configuration(CONTENT), tmp_path / "nowhere")
