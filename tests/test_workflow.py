"""The workflow as a user runs it: a small study, reruns of single boxes, failures."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
SMALL = ROOT / "tests" / "data" / "small.yaml"

pytestmark = pytest.mark.slow

RULES = {"build_model", "fit", "infer", "residual", "gradient", "compare", "report"}


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--cores", "2", "--profile", str(ROOT / "profiles" / "default"), *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment, check=False)


def counts(output: str) -> dict[str, int]:
    """How many jobs of each rule a run runs, or a dry run would."""
    table = output.split("Job stats:", 1)[1] if "Job stats:" in output else ""
    lines = [line.split() for line in table.splitlines()]
    return {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[0] in RULES and line[1].isdigit()}


def jobs(output: str) -> set[str]:
    """The rules that a run runs, or a dry run would."""
    return set(counts(output))


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    shutil.copy(SMALL, folder / "config.yaml")
    done = snakemake(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def change(folder: Path, *path: str, to) -> None:
    config = yaml.safe_load((folder / "config.yaml").read_text())
    place = config
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def test_writes_every_file(study):
    results = study / "results"
    for name in (
        "tiny/model.nc",
        "tiny/inference/five.nc",
        "tiny/inference/newton.nc",
        "tiny/residual/five.nc",
        "tiny/gradient/unrolled.nc",
        "tiny/comparison.nc",
        "report.html",
        "figures/tiny/convergence.svg",
        "figures/tiny/convergence.pdf",
        "log/tiny/inference/five.log",
        "benchmark/tiny/inference/five.tsv",
    ):
        assert (results / name).stat().st_size > 0, name
    page = (results / "report.html").read_text()
    assert "http" not in page.replace("http://www.w3.org/", "")  # nothing comes from the network
    assert not list(study.rglob("*.part"))


def test_a_second_run_does_nothing(study):
    planned = snakemake(study, "--dry-run")
    assert "Nothing to be done" in planned.stdout + planned.stderr


def test_a_result_that_was_removed_is_made_again(study):
    """Also beside a report that is there, and not as a whole: what does not depend on it stays."""
    place = study / "results/tiny/residual/five.nc"
    place.rename(study / "kept.nc")
    try:
        planned = snakemake(study, "--dry-run")
        assert jobs(planned.stdout + planned.stderr) == {"residual", "report"}
    finally:
        (study / "kept.nc").rename(place)


@pytest.mark.parametrize(
    ("path", "value", "rerun"),
    [
        (("inference", "five", "max_sweeps"), 6, {"infer", "residual", "report"}),
        (("gradients", "unrolled", "sweeps"), 201, {"gradient", "compare", "report"}),
        (("objective", "seed"), 3, {"gradient", "compare", "report"}),
        (("title",), "Another title", {"report"}),
        (("references",), ["fisher_cg"], {"compare", "report"}),
    ],
)
def test_a_change_reruns_what_depends_on_it(study, path, value, rerun):
    before = (study / "config.yaml").read_text()
    try:
        change(study, *path, to=value)
        planned = snakemake(study, "--dry-run")
        assert planned.returncode == 0, planned.stderr
        assert jobs(planned.stdout + planned.stderr) == rerun
    finally:
        (study / "config.yaml").write_text(before)


def test_one_gradient_more_is_one_job_its_comparison_and_the_report(study):
    before, there = (study / "config.yaml").read_text(), set(study.rglob("*.nc"))
    try:
        change(study, "gradients", "truncated", to={"plugin": "truncated", "at": "newton", "sweeps": 3})
        kept = {path: path.stat().st_mtime_ns for path in there if path.name != "comparison.nc"}
        done = snakemake(study)
        assert done.returncode == 0, done.stdout + done.stderr
        assert counts(done.stdout + done.stderr) == {"gradient": 1, "compare": 1, "report": 1}
        assert set(study.rglob("*.nc")) - there == {study / "results/tiny/gradient/truncated.nc"}
        assert {path: path.stat().st_mtime_ns for path in kept} == kept
    finally:
        (study / "config.yaml").write_text(before)


def test_one_result_alone(study):
    target = study / "results/tiny/residual/five.nc"
    target.unlink()
    done = snakemake(study, "results/tiny/residual/five.nc")
    assert done.returncode == 0, done.stderr
    assert target.exists()
    assert jobs(done.stdout + done.stderr) == {"residual"}


def test_a_rate_of_jobs_is_kept_to_and_the_end_does_not_wait_for_it(study):
    begin = time.monotonic()
    done = snakemake(study, "results/tiny/residual/five.nc", "--forceall", "--max-jobs-per-timespan", "2/30s")
    assert "Job rate limit reached" in done.stdout + done.stderr  # by the third of three jobs
    assert done.returncode == 0
    assert 30 < time.monotonic() - begin < 60


def test_an_unknown_setting_names_the_known_ones(study):
    failed = snakemake(study, "results/tiny/residual/seven.nc")
    assert failed.returncode != 0
    assert "no setting 'seven' in the configuration; expected one of: five, newton" in failed.stdout + failed.stderr


def test_a_wrong_configuration_stops_before_any_job(tmp_path):
    shutil.copy(SMALL, tmp_path / "config.yaml")
    change(tmp_path, "inference", "five", to={"plugin": "coordinate_ascend", "max_sweeps": 5})
    change(tmp_path, "references", to=["unroled"])
    failed = snakemake(tmp_path)
    output = failed.stdout + failed.stderr
    assert failed.returncode != 0
    assert "inference.five: no plugin 'coordinate_ascend' among inference; did you mean 'coordinate_ascent'?" in output
    assert "references: no gradient setting 'unroled'; did you mean 'unrolled'?" in output
    assert not (tmp_path / "results").exists()


OWN = """
from slds_core.plugins import Declined, GradientPlugin

class Failing(GradientPlugin):
    \"\"\"Fails.\"\"\"
    def estimate(self, problem, objective, parameters, state):
        raise RuntimeError("a defect of one's own")

class Unwilling(GradientPlugin):
    \"\"\"Declines.\"\"\"
    def estimate(self, problem, objective, parameters, state):
        raise Declined("not for problems of this kind")
"""


def test_a_failing_setting_leaves_the_others(study):
    before = (study / "config.yaml").read_text()
    try:
        (study / "own.py").write_text(OWN)
        change(study, "plugins", to=["own.py"])
        change(study, "gradients", "failing", to={"plugin": "failing", "at": "newton"})
        change(study, "gradients", "one_step", to={"plugin": "one_step", "at": "newton"})
        failed = snakemake(study)
        output = failed.stdout + failed.stderr
        assert failed.returncode != 0
        assert "a defect of one's own" in output
        assert (study / "results/tiny/gradient/one_step.nc").exists()
        assert not (study / "results/tiny/gradient/failing.nc").exists()
    finally:
        (study / "config.yaml").write_text(before)


def test_an_edited_plugin_reruns_what_used_it_and_a_declining_one_is_shown(study):
    before = (study / "config.yaml").read_text()
    try:
        (study / "own.py").write_text(OWN)
        change(study, "plugins", to=["own.py"])
        change(study, "gradients", "unwilling", to={"plugin": "unwilling", "at": "newton"})
        done = snakemake(study)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "not for problems of this kind" in (study / "results" / "report.html").read_text()
        (study / "own.py").write_text(OWN.replace("of this kind", "like this"))
        planned = snakemake(study, "--dry-run")
        output = planned.stdout + planned.stderr
        assert jobs(output) == {"gradient", "compare", "report"}
        assert output.count("Differentiate tiny by") == 1
        assert "Differentiate tiny by unwilling" in output
    finally:
        (study / "config.yaml").write_text(before)
