"""The study on a real SLURM of one node, started for the test."""

import math
import os
import platform
import random
import re
import shutil
import subprocess
import sys
import time
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

import pytest
import studies
import yaml

from slds_core.chains.backend import description
from slds_core.study import store

SCRIPT = Path(__file__).parent / "slurm.sh"
PROMPT = ("--seconds-between-status-checks", "2", "--slurm-init-seconds-before-status-checks", "2")
"""So that jobs of seconds are not waited for as if they took hours."""
NO_ACCOUNTS = ("--slurm-status-command", "squeue", "--slurm-no-account")
"""The test's SLURM keeps no accounts and no history."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """A running SLURM, with the partitions 'short' and 'long'."""
    if find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("snakemake-executor-plugin-slurm is not installed: pip install -e '.[cluster]'")
    place = tmp_path_factory.mktemp("slurm")
    for folder in (place, *place.parents[:2]):
        folder.chmod(0o755)  # munge runs as a user of its own
    started = subprocess.run([SCRIPT, "start", place], capture_output=True, text=True, timeout=300, check=False)
    if started.returncode == 77:
        pytest.skip(started.stdout.strip())
    assert started.returncode == 0, started.stdout + started.stderr
    yield place
    subprocess.run([SCRIPT, "stop", place], check=True, timeout=60)


def on_this_machine(folder: Path, configuration: Path) -> Path:
    shutil.copy(configuration, folder / "config.yaml")
    status, output = studies.run(folder)
    assert status == 0, output
    return folder


@pytest.fixture(scope="module")
def local(slurm, tmp_path_factory) -> Path:
    """The default study on this machine."""
    return on_this_machine(tmp_path_factory.mktemp("local"), studies.DEFAULT)


@pytest.fixture(scope="module")
def study(slurm, tmp_path_factory) -> Path:
    """The default study through SLURM, its gradients with wishes of their own."""
    folder = tmp_path_factory.mktemp("study")
    config = yaml.safe_load(studies.DEFAULT.read_text())
    config["resources"] = {
        "all": {"slurm_partition": "short"},
        "gradient": {"slurm_partition": "long", "mem_mb": 3000, "runtime": 90, "threads": 2, "gpu": 1},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    status, output = through_slurm(folder)
    assert status == 0, output
    return folder


def through_slurm(folder: Path, *arguments: str) -> tuple[int, str]:
    return studies.run(folder, "--profile", "slurm", *PROMPT, *NO_ACCOUNTS, *arguments)


def submitted() -> list[dict[str, str]]:
    """What SLURM knows of every job so far, oldest first."""
    shown = subprocess.run(["scontrol", "show", "job", "--oneliner"], capture_output=True, text=True, check=True).stdout
    jobs = [dict(re.findall(r"([\w/]+)=(\S*)", line)) for line in shown.splitlines() if "JobId=" in line]
    return sorted(jobs, key=lambda job: int(job["JobId"]))


def test_the_same_numbers_as_on_this_machine(local, study):
    studies.assert_same_numbers(local, study)
    assert (study / "results" / "report.html").stat().st_size > 0


def test_each_rule_asks_for_what_the_configuration_says(study):
    keys = ("Partition", "MinMemoryNode", "TimeLimit", "CPUs/Task")
    asked = {(job["Comment"].split("_wildcards")[0], *(job[key] for key in keys)) for job in submitted()}
    assert ("rule_build_model", "short", "2000M", "00:10:00", "1") in asked
    assert ("rule_gradient", "long", "3000M", "01:30:00", "2") in asked
    assert ("rule_report", "short", "4000M", "00:15:00", "1") in asked
    devices = {job["Comment"].split("_wildcards")[0]: job.get("TresPerJob") for job in submitted()}
    assert devices["rule_gradient"] == "gres:gpu:1"
    assert devices["rule_report"] is None


def test_each_file_tells_precision_and_platform(study):
    for path in studies.files(study).values():
        attributes = store.read_any(path).attrs
        assert attributes["precision"] == "float64"
        computed = "none" if attributes["slds_kind"] == "comparison" else description()
        assert attributes["platform"].startswith(f"{computed}, {platform.system()} {platform.machine()}, Python 3.")


def test_an_inference_and_its_residual_are_one_submission(study):
    comments = [job["Comment"] for job in submitted()]
    assert comments.count("rule_inference_infer_residual") == 4
    assert len(comments) == 12  # of sixteen jobs


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="the members of a submission run beside each other")
def test_many_small_jobs_are_one_submission(slurm, tmp_path):
    content = yaml.safe_load(studies.SMALL.read_text()) | {"resources": {"all": {"mem_mb": 1500}}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    known = len(submitted())
    status, output = through_slurm(tmp_path, "all_residual", "--group-components", "inference=2")
    assert status == 0, output
    assert [job["Comment"] for job in submitted()[known:]] == [
        "rule_build_model_wildcards_tiny",
        "rule_inference_infer_residual",
    ]
    assert {"tiny/residual/five.nc", "tiny/residual/newton.nc"} <= studies.files(tmp_path).keys()


def test_one_rule_again(study):
    before, known = studies.modified(study), len(submitted())
    status, output = through_slurm(study, "--force", "results/notebook/residual/sweeps_10.nc")
    assert status == 0, output
    after = studies.modified(study)
    assert {name for name in after if after[name] != before[name]} == {"notebook/residual/sweeps_10.nc"}
    assert len(submitted()) == known + 1


def test_jobs_write_nowhere_else(study):
    """Outputs, logs, benchmarks and the cache; Snakemake's own records; and this test's files."""
    assert {path.name for path in study.iterdir()} == {"results", ".cache", ".snakemake", "config.yaml", "output"}
    assert {path.name for path in (study / ".cache").iterdir()} == {"jax", "matplotlib"}
    assert len(list((study / ".cache" / "jax").iterdir())) == 1  # one type of node


OWN = """
import time
import numpy as np
from slds_core.plugins.gradients import FisherCG

class Needy(FisherCG):
    \"\"\"Takes some three gigabytes, long enough for SLURM to notice.\"\"\"
    def estimate(self, problem, objective, parameters, state):
        hoard = np.ones(325_000_000)
        time.sleep(8)
        del hoard
        return super().estimate(problem, objective, parameters, state)

class Endless(FisherCG):
    \"\"\"Never ends.\"\"\"
    def estimate(self, problem, objective, parameters, state):
        time.sleep(3600)
"""


def with_own(folder: Path, plugin: str, **resources: int) -> None:
    """A study with one gradient more, of a plugin that behaves badly."""
    content = yaml.safe_load(studies.SMALL.read_text())
    content |= {"plugins": ["own.py"], "resources": {"gradient": resources}}
    content["gradients"] = {"fisher_cg": content["gradients"]["fisher_cg"], "own": {"plugin": plugin, "at": "newton"}}
    content["references"] = ["fisher_cg"]
    (folder / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    (folder / "own.py").write_text(OWN)


def test_want_of_memory_is_met_by_a_second_attempt(slurm, tmp_path):
    with_own(tmp_path, "needy", mem_mb=2000)
    known = len(submitted())
    status, output = through_slurm(tmp_path)
    assert status == 0, output
    asked = [job["MinMemoryNode"] for job in submitted()[known:] if "gradient_wildcards_tiny_own" in job["Comment"]]
    assert asked == ["2000M", "4000M"]


def test_a_job_over_its_time_limit_is_told_and_the_rest_finishes(slurm, tmp_path):
    with_own(tmp_path, "endless", runtime=1)
    status, output = through_slurm(tmp_path, "--retries", "0")
    assert status == 1
    assert "TIMEOUT" in output
    assert (tmp_path / "results" / "tiny" / "gradient" / "fisher_cg.nc").exists()
    page = (tmp_path / "results" / "report.html").read_text()
    assert "not all gradients are there; this report compares those that are" in page


def wait_for_a_job(process: subprocess.Popen, known: int) -> None:
    """Returns once a job after the first ``known`` runs, or the run has ended."""
    end = time.monotonic() + 180
    while process.poll() is None and "RUNNING" not in {job["JobState"] for job in submitted()[known:]}:
        assert time.monotonic() < end, process.output.read_text()
        time.sleep(0.2)


def finished_at_the_latest(folder: Path, known: int) -> dict[str, int]:
    """Returns when each result was written that cannot be of a job after the first ``known`` that still runs.

    A job whose results are whole, and that has told Snakemake so, still takes a moment to end; lost in that moment,
    it counts as failed, and is rightly run anew.
    """
    running = [job for job in submitted()[known:] if job["JobState"] in {"RUNNING", "COMPLETING"}]
    since = min((datetime.fromisoformat(job["StartTime"]).timestamp() for job in running), default=math.inf)
    return {name: when for name, when in studies.finished(folder).items() if when < since * 1e9}


def test_a_node_is_lost_at_random_moments(slurm, tmp_path, tmp_path_factory):
    """Its daemon alone, when jobs go on unheard of; or all that runs there, as when a machine loses its power."""
    shutil.copy(studies.SMALL, tmp_path / "config.yaml")
    known, losses, finished = len(submitted()), 0, {}
    process = studies.start(tmp_path, "--profile", "slurm", *PROMPT, *NO_ACCOUNTS)
    for seed, what in enumerate(("lose", "behead", "lose", "behead")):
        draw = random.Random(seed)
        wait_for_a_job(process, known)
        time.sleep(draw.uniform(0, 5))
        if process.poll() is not None:
            break
        finished |= finished_at_the_latest(tmp_path, known)
        subprocess.run([SCRIPT, what, slurm], check=True, timeout=60)
        losses += 1
        time.sleep(draw.uniform(0.5, 3))
        subprocess.run([SCRIPT, "revive", slurm], check=True, timeout=60)
    process.wait(studies.LIMIT)
    assert losses >= 2  # at least one of each
    status, output = through_slurm(tmp_path)  # whatever became of the run, the same command ends it
    assert status == 0, output
    after = studies.modified(tmp_path)
    assert {name: after[name] for name in finished} == finished  # not computed again
    studies.assert_same_numbers(on_this_machine(tmp_path_factory.mktemp("undisturbed"), studies.SMALL), tmp_path)


@pytest.mark.skipif(find_spec("snakemake_executor_plugin_slurm") is not None, reason="the plugin is installed")
def test_without_the_plugin_it_says_what_to_install(tmp_path):
    shutil.copy(studies.SMALL, tmp_path / "config.yaml")
    status, output = studies.run(tmp_path, "--profile", "slurm")
    assert status == 1
    assert "pip install 'slds-core[cluster]'" in output
    assert sys.executable not in output
