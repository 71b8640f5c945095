"""A setting that fails costs itself and what needs it: the others finish, and the report is made all the same."""

import html
import os
import subprocess
import sys
from pathlib import Path

import pytest
import studies
import yaml

pytestmark = pytest.mark.slow

OWN = """
from slds_core.plugins import GradientPlugin
from slds_core.plugins.gradients import OneStep

class Failing(GradientPlugin):
    \"\"\"Fails.\"\"\"
    def estimate(self, problem, objective, parameters, state):
        raise RuntimeError("a defect of <one's> own")
"""
MENDED = """
from slds_core.plugins.gradients import OneStep

class Failing(OneStep):
    \"\"\"Fails no more.\"\"\"
"""
FAILURE = html.escape("RuntimeError: a defect of <one's> own").replace("&#x27;", "&#39;")
SOME = "not all gradients are there; this report compares those that are"


@pytest.fixture
def study(reference, folder) -> Path:
    """A study with a broken plugin beside good ones."""
    content = yaml.safe_load((folder / "config.yaml").read_text())
    content["plugins"] = ["own.py"]
    content["gradients"]["failing"] = {"plugin": "failing", "at": "newton"}
    (folder / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    (folder / "own.py").write_text(OWN)
    return folder


def page(folder: Path) -> str:
    return (folder / "results" / "report.html").read_text()


def test_the_report_is_made_with_the_failure_shown(reference, study):
    status, output = studies.run(study)
    assert status == 1
    assert "results/report.html shows what is there, and why the rest is not" in output
    assert set(studies.files(reference)) - set(studies.files(study)) == {"tiny/comparison.nc"}
    text = page(study)
    assert FAILURE in text
    assert SOME in text
    assert "is the only one that is right" in text  # the others were compared

    (study / "own.py").write_text(MENDED)  # and the finished report takes the place of this one
    status, output = studies.run(study)
    assert status == 0, output
    assert FAILURE not in page(study)
    assert SOME not in page(study)
    assert "Nothing to be done" in studies.run(study)[1]


def test_it_passes_for_finished_under_no_configuration(reference, study):
    """Not even where the setting is given up, and all that the report needs is older than the one of what was there."""
    kept = (study / "config.yaml").read_text()
    (study / "config.yaml").write_text((reference / "config.yaml").read_text())
    assert studies.run(study)[0] == 0
    finished = page(study)
    (study / "config.yaml").write_text(kept)
    assert studies.run(study)[0] == 1
    assert FAILURE in page(study)
    (study / "config.yaml").write_text((reference / "config.yaml").read_text())
    status, output = studies.run(study)
    assert status == 0, output
    assert FAILURE not in page(study)
    assert len(page(study)) == pytest.approx(len(finished), rel=0.05)


def test_what_is_out_of_date_is_left_out(reference, study):
    """A result of other settings, which its failed predecessor kept from being made anew, is no result of this study."""
    (study / "own.py").write_text(MENDED)
    assert studies.run(study)[0] == 0
    (study / "own.py").write_text(OWN)
    assert studies.run(study)[0] == 1
    assert (study / "results" / "tiny" / "comparison.nc").exists()
    assert SOME in page(study)


def test_plain_snakemake_does_so_too_and_one_result_makes_no_report(reference, study):
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(studies.ROOT / "Snakefile"), "--cores", "2"]
    command += ["--profile", str(studies.ROOT / "profiles" / "default"), "--directory", str(study)]
    environment = os.environ | {"PYTHONPATH": str(studies.ROOT)}
    for target, expected in (("results/tiny/gradient/failing.nc", False), ("results/report.html", True)):
        done = subprocess.run([*command, target], env=environment, capture_output=True, timeout=600, check=False)
        assert done.returncode == 1
        assert (study / "results" / "report.html").exists() == expected, done.stderr.decode()
    assert FAILURE in page(study)
