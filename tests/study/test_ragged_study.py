"""The example of many sequences, at a tiny size: its files, what they say of each sequence, and the report's rows."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml

from slds_core.plugins import Declined
from slds_core.plugins.models import RandomSLDS
from slds_core.plugins.objectives import NotebookObjective
from slds_core.report.figures import posterior
from slds_core.report.load import load_results
from slds_core.report.sequences import SequenceRow, sequence_rows
from slds_core.study.configuration import read_configuration
from slds_core.study.errors import StudyError
from slds_core.study.registry import make
from slds_core.study.stages.build_model import build_model
from slds_core.study.stages.common import read_model
from slds_core.study.stages.compare import compare
from slds_core.study.stages.gradient import gradient
from slds_core.study.stages.infer import infer
from slds_core.study.stages.residual import residual

EXAMPLE = Path(__file__).parents[2] / "examples" / "studies" / "sequences.yaml"
LENGTHS = [4, 1, 6]
SHARED = 11  # of the thirteen arrays; the recognition potentials are each sequence's own


def box(setting):
    setting = dict(setting)
    return {"plugin": setting.pop("plugin"), "parameters": {k: v for k, v in setting.items() if k != "at"}}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    study = yaml.safe_load(EXAMPLE.read_text())
    folder = tmp_path_factory.mktemp("ragged")
    names = ("model", "inference/newton", "residual/newton", "gradient/fisher_cg", "comparison")
    files = {name: folder / f"{name}.nc" for name in names}
    model, inference, away, slope, comparison = files.values()
    tiny = box(study["models"]["ragged"] | {"lengths": LENGTHS, "latent": 2, "states": 2})
    build_model("ragged", tiny, "float64", model)
    infer(model, "newton", box(study["inference"]["newton"]), inference)
    residual(model, inference, "newton", away)
    gradient(model, inference, "fisher_cg", box(study["gradients"]["fisher_cg"]), box(study["objective"]), slope)
    compare([slope], [], comparison)
    return files


def opened(files, name) -> xr.Dataset:
    with xr.open_dataset(files[name]) as dataset:
        return dataset.load()


def test_a_file_alone_rebuilds_the_model(files):
    stored = read_model(files["model"])
    assert stored.problem.sequences().lengths == tuple(LENGTHS)
    assert opened(files, "model")["length"].values.tolist() == LENGTHS
    assert stored.parameters.recognition.linear.shape == (3, 6, 2)
    assert stored.start.shape == (3 + 0 + 5, 2)


def test_inference_and_residuals_by_sequence(files):
    inference, away = opened(files, "inference/newton"), opened(files, "residual/newton")
    assert inference.attrs["status"] == "converged"
    np.testing.assert_allclose(inference["sequence_elbo"].sum(), inference["trace_elbo"][-1], rtol=1e-12)
    assert (
        inference["sequence_sweeps"].values[1] == inference["trace_sweeps"].values[0]
    )  # nothing to iterate in one step
    assert inference["sequence_sweeps"].max() == inference["sweeps"]
    np.testing.assert_array_equal(
        inference["trace_sequence_residual_max"].max("sequence"), inference["trace_residual_max"]
    )
    assert away["sequence_residual_max"].max() == away["residual_max"]
    assert away["sequence_residual_max"].values[1] == 0
    mean = np.average(away["sequence_residual_mean"], weights=np.array(LENGTHS) - 1)
    np.testing.assert_allclose(mean, away["residual_mean"], rtol=1e-12)


def test_gradients_by_sequence_sum_to_the_whole(files):
    slope = opened(files, "gradient/fisher_cg")
    assert slope.attrs["status"] == "solved"
    parts = [str(name) for name in slope.data_vars if str(name).startswith("sequence_gradient_")]
    assert len(parts) == SHARED
    for name in parts:
        assert slope[name].dims[0] == "sequence"
        total = slope[name.removeprefix("sequence_")]
        scale = float(np.abs(slope[name]).max())
        np.testing.assert_allclose(slope[name].sum("sequence"), total, rtol=0, atol=1e-14 * scale)
    padding = np.arange(6) >= np.array(LENGTHS)[:, None]
    assert np.all(slope["gradient_recognition_linear"].values[padding] == 0)
    assert 0 < slope["certificate"] < 1e-6
    parts = sum(float(slope[f"certificate_{part}"]) for part in ("adjoint", "forward", "rounding"))
    assert float(slope["certificate"]) == pytest.approx(1.5 * parts)  # as its long_name and the docs say
    assert "1.5 times the sum of its parts" in slope["certificate"].attrs["long_name"]
    # what the comparison groups are is not changed by the parts
    assert len(opened(files, "comparison")["group"]) == 13 + 1


def test_the_report_has_a_row_for_each_sequence(files):
    results = load_results(list(files.values()))["ragged"]
    rows = sequence_rows(results)
    assert [(row.setting, row.sequence, row.length) for row in rows] == [
        ("newton", i, n) for i, n in enumerate(LENGTHS)
    ]
    assert isinstance(rows[0], SequenceRow)
    assert all(row.residual_max is not None and row.residual_max < 1e-12 and row.elbo is not None for row in rows)
    axes = posterior(results).axes  # for each sequence the states and two latent dimensions
    assert [len(axes[1 + 3 * n].lines[0].get_xdata()) for n in range(len(LENGTHS))] == LENGTHS


def test_the_example_is_a_valid_study():
    (setting,) = read_configuration(yaml.safe_load(EXAMPLE.read_text())).models.values()
    assert len(setting.parameters["lengths"]) == 6  # a list that the plugin takes, no grid


@pytest.mark.parametrize("lengths", [[], [3, 0]])
def test_lengths_are_checked_with_the_configuration(lengths):
    with pytest.raises(StudyError, match="lengths"):
        make("models", "random_slds", {"lengths": lengths})


def test_one_sequence_is_no_set_of_sequences():
    assert RandomSLDS(time=3).problem().sequences() is None
    assert RandomSLDS(lengths=[3]).problem().sequences().count == 1


def test_the_notebook_objective_declines_what_is_no_slds():
    with pytest.raises(Declined, match="'notebook' is defined for an SLDS only, found int"):
        NotebookObjective().objective(1)
