"""Training as a rule of the workflow: once for all audits, checkpoint after checkpoint, and on from where a kill left it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import studies
import yaml
from test_workflow import jobs, snakemake

from slds_core.study import store
from slds_core.study.configuration import read_configuration
from slds_core.study.plan import describe
from slds_core.study.trainings import checkpoint_before, learnt_models

LONG = 300  # epochs: some seconds, so that a kill finds a training under way
STUDY = {
    "models": {
        "tiny": {"plugin": "random_slds", "time": 12, "latent": 2, "states": 2},
        "learnt": {
            "plugin": "svae",
            "data": {"plugin": "synthetic_slds", "lengths": [12, 12], "channels": 3},
            "states": 2,
            "epochs": [0, 3],
            "inference": {"plugin": "coordinate_ascent", "max_sweeps": 20},
            "gradient": "one_step",
        },
    },
    "inference": {"sweeps": {"plugin": "coordinate_ascent", "max_sweeps": 30}},
    "objective": {"plugin": "elbo"},
}


def changed(*path: str, to) -> dict:
    study = yaml.safe_load(yaml.safe_dump(STUDY))
    place = study
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    return study


def write(folder: Path, study: dict) -> None:
    (folder / "config.yaml").write_text(yaml.safe_dump(study))


def test_checkpoints_of_one_training_follow_each_other():
    study = read_configuration(changed("models", "learnt", "epochs", to=[60, 0, 10]))
    assert learnt_models(study) == ["learnt_60", "learnt_0", "learnt_10"]
    assert [checkpoint_before(study, name) for name in learnt_models(study)] == ["learnt_10", None, "learnt_0"]
    seeds = read_configuration(changed("models", "learnt", "seed", to=[0, 1]))
    assert checkpoint_before(seeds, "learnt_epochs_3_seed_1") == "learnt_epochs_0_seed_1"
    assert "Jobs: 10 (build_model 1, fit 2, infer 3, residual 3, report 1)" in describe(read_configuration(STUDY))


def test_a_plugin_that_learns_nothing_is_refused(tmp_path):
    command = [
        sys.executable,
        "-m",
        "slds_core.cli",
        "fit",
        "--plugin",
        "notebook",
        "--output",
        str(tmp_path / "model.nc"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "slds fit: plugin 'notebook' learns nothing; expected one that does, or 'slds build-model'\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A study whose models are there, and nothing else yet."""
    folder = tmp_path_factory.mktemp("study")
    write(folder, STUDY)
    done = snakemake(folder, "all_models")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_training_has_its_own_files(folder):
    results = folder / "results"
    assert (results / "log/learnt_3/fit.log").read_text().rstrip().splitlines()[-1].startswith("fit learnt_3: ")
    assert "epoch 3 of 3: bound " in (results / "log/learnt_3/fit.log").read_text()
    assert (results / "benchmark/learnt_3/fit.tsv").is_file()
    assert (results / "log/tiny/model.log").is_file()
    assert not (results / "log/tiny/fit.log").exists()
    assert store.read(results / "learnt_3/model.nc", "model").sizes["epoch"] == 3
    assert [path.name[-7:] for path in (folder / ".cache" / "training").iterdir()] == ["003.eqx"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "value", "learnt"),
    [
        (("inference", "sweeps", "max_sweeps"), 31, []),
        (("inference", "more"), {"plugin": "newton_cg"}, []),
        (("objective",), {"plugin": "linear"}, []),
        (("resources",), {"fit": {"threads": 2, "runtime": 600}}, []),
        (("models", "learnt", "epochs"), [0, 3, 5], ["learnt_5"]),  # of checkpoints, those that are new
    ],
)
def test_what_is_learnt_is_not_learnt_again(folder, path, value, learnt):
    try:
        write(folder, changed(*path, to=value))
        planned = snakemake(folder, "--dry-run")
        output = planned.stdout + planned.stderr
        assert planned.returncode == 0, output
        assert jobs(output) == {"infer", "residual", "report"} | ({"fit"} if learnt else set())
        assert re.findall(r"Learn the model (\w+)", output) == learnt
    finally:
        write(folder, STUDY)


@pytest.mark.slow
def test_a_study_with_a_network_for_a_decoder(tmp_path):
    """From data to a report: what it learnt is audited, what was held out is predicted, and the report shows both."""
    study = changed("models", "learnt", "decoder", to="mlp")
    del study["models"]["tiny"]
    study["models"]["learnt"] |= {"held_out_sequences": 1, "horizon": 2, "masked": [4, 6], "epochs": 3}
    write(tmp_path, study | {"gradients": {"fisher_cg": {"plugin": "fisher_cg", "at": "sweeps"}}})
    status, output = studies.run(tmp_path)
    assert status == 0, output
    model = store.read(tmp_path / "results/learnt/model.nc", "model")
    asked = model["training_held_out_role"].values >= 2
    for name in ("mean", "standard_deviation"):
        assert np.all(np.isfinite(model[f"training_held_out_{name}"].values[0][asked]))
    error = float(model["training_held_out_bound_standard_error"][0])
    assert 0 <= error < 0.1
    assert np.isfinite(float(model["training_final_bound_standard_error"]))
    page = (tmp_path / "results/report.html").read_text()
    assert "Learnt from data" in page


def job(run: int) -> int:
    """The training among the jobs of a run of the workflow."""
    return next(pid for pid in studies.jobs(run) if b"fit" in studies.command(pid).split(b"\0"))


@pytest.mark.slow
def test_killed_and_run_again_it_goes_on(tmp_path):
    """The job is killed once and everything once; the model is, bit for bit, that of a training that nothing happened to."""
    study = changed("models", "learnt", "epochs", to=LONG)
    study["inference"] = {"sweeps": study["inference"]["sweeps"]}
    undisturbed, target, kept = tmp_path / "undisturbed", "results/learnt/model.nc", tmp_path / ".cache" / "training"
    write(tmp_path, study)
    status, output = studies.run(tmp_path, target)
    assert status == 0, output
    shutil.move(tmp_path / "results", undisturbed / "results")
    shutil.rmtree(kept)

    for whole in (False, True):
        before = len(list(kept.glob("*.eqx")))
        process = studies.start(tmp_path, target)
        end = time.monotonic() + studies.LIMIT
        while len(list(kept.glob("*.eqx"))) < before + 3:
            assert process.poll() is None, process.output.read_text()
            assert time.monotonic() < end
            time.sleep(0.02)
        if whole:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            os.kill(job(process.pid), signal.SIGKILL)
        process.wait(studies.LIMIT)
        assert not (tmp_path / target).exists()

    status, output = studies.run(tmp_path, target)
    assert status == 0, output
    assert "goes on after epoch " in (tmp_path / "results/log/learnt/fit.log").read_text()
    studies.assert_same_numbers(undisturbed, tmp_path)
