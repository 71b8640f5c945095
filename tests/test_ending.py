"""A Snakemake that was asked to end and cannot is killed, but never while it has jobs."""

import subprocess
import sys
import time

import pytest

from slds_core.cli import ending

DEAF = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); {}time.sleep({})"
)
"""A process that does not hear; with a child, or none."""
WITH_A_JOB = "import subprocess; subprocess.run(['sleep', '2']); "


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(ending, "_LOOK", 0.1)
    monkeypatch.setattr(ending, "_PATIENCE", 3)


def deaf(job: str, seconds: int) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", DEAF.format(job, seconds)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as output:
        assert output.readline() == "on\n"
    return process


def test_one_without_jobs_is_killed():
    process = deaf("", 60)
    ending.end(process, jobs_are_children=True)
    assert process.wait(10) == -9


def test_one_with_a_job_is_waited_for():
    process, began = deaf(WITH_A_JOB, 60), time.monotonic()
    ending.end(process, jobs_are_children=True)
    assert process.wait(20) == -9
    assert time.monotonic() - began > 1.5  # the job took two seconds


def test_one_whose_jobs_are_elsewhere_is_left_to_wait():
    process = deaf("", 2)
    ending.end(process, jobs_are_children=False)
    assert process.wait(10) == 0
