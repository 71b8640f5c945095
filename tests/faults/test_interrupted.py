"""A run that is killed, and two runs at once: nothing is lost, nothing half-made is used."""

import base64
import os
import random
import signal
import time
from pathlib import Path

import pytest
import studies

from slds_core.study import store

pytestmark = pytest.mark.slow

MOMENTS = 5


def begun(folder: Path) -> set[str]:
    """The results that Snakemake knows it was at work on."""
    marks = (folder / ".snakemake" / "incomplete").rglob("*")
    names = {base64.b64decode(mark.name).decode() for mark in marks if mark.is_file() and "migration" not in mark.name}
    return {name.removeprefix("results/") for name in names}


def wait_until(happened, limit: float = 120) -> None:
    end = time.monotonic() + limit
    while not happened():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)


@pytest.mark.parametrize("seed", range(MOMENTS))
def test_killed_at_a_random_moment(reference, folder, seed):
    seconds = float((reference / "seconds").read_text())
    process = studies.start(folder)
    time.sleep(random.Random(seed).uniform(0.1, 0.95) * seconds)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for path in studies.files(folder).values():
        store.read_any(path)  # whole, or not there
    unfinished = begun(folder)
    finished = {name: when for name, when in studies.modified(folder).items() if name not in unfinished}

    status, output = studies.run(folder)
    assert status == 0, output
    after = studies.modified(folder)
    assert {name: after[name] for name in finished} == finished
    studies.assert_same_numbers(reference, folder)
    assert "Nothing to be done" in studies.run(folder)[1]


def test_a_second_run_is_refused_and_the_first_unharmed(reference, folder, tmp_path_factory):
    first = studies.start(folder)
    wait_until((folder / "results" / "tiny" / "model.nc").exists)
    second = studies.start(folder, output=tmp_path_factory.mktemp("second") / "output")
    assert second.wait(60) == 1
    assert first.poll() is None
    assert f"{folder}: another run is at work in this folder, on " in second.output.read_text()
    assert first.wait(studies.LIMIT) == 0
    studies.assert_same_numbers(reference, folder)


def test_snakemake_alone_is_killed(reference, folder):
    """The jobs that it leaves behind go on writing; what they write is whole and the same."""
    process = studies.start(folder)
    wait_until((folder / "results" / "tiny" / "model.nc").exists)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for child in children:
        os.kill(int(child), signal.SIGKILL)
    assert process.wait(60) == 1
    status, output = studies.run(folder)
    assert status == 0, output
    studies.assert_same_numbers(reference, folder)
