"""A run that is killed, and two runs at once: nothing is lost, nothing half-made is used."""

import os
import random
import signal
import time
from pathlib import Path

import pytest
import studies

pytestmark = pytest.mark.slow

MOMENTS = 20


def wait_until(happened, limit: float = 120) -> None:
    end = time.monotonic() + limit
    while not happened():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)


def alive(group: int) -> list[str]:
    """The processes of a group that have not ended, by what the kernel says of them."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, owner = status.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # ended meanwhile
            continue
        if int(owner) == group and state != "Z":
            found.append(str(status))
    return found


@pytest.mark.parametrize("first", range(0, MOMENTS, MOMENTS // 4))
def test_killed_at_random_moments(reference, folder, first):
    """Twenty moments in all, five of each study: every kill hits what the last one left. Half kill a job, half everything.

    What is killed with a job is its work too; and everything includes the processes that jobs share, which are in the run's group.
    """
    seconds, finished = float((reference / "seconds").read_text()), {}
    for seed in range(first, first + MOMENTS // 4):
        draw = random.Random(seed)
        process = studies.start(folder)
        time.sleep(draw.uniform(0.1, 0.5) * seconds)
        if seed % 2:
            for job in studies.jobs(process.pid)[:1]:
                os.kill(job, signal.SIGKILL)
            process.wait(studies.LIMIT)
        else:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        there = studies.modified(folder)
        assert {name: there.get(name) for name in finished} == finished  # not computed again
        finished = studies.finished(folder)

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


def test_a_run_that_is_asked_to_end_ends_whole(reference, folder):
    """As a container or a service is stopped: the first process is told, and has the others end with it."""
    process = studies.start(folder)
    wait_until((folder / "results" / "tiny" / "model.nc").exists)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(studies.LIMIT) == 1
    wait_until(lambda: not alive(process.pid), 10)
    finished = studies.finished(folder)
    assert studies.files(folder).keys() < studies.files(reference).keys()
    status, output = studies.run(folder)
    assert status == 0, output
    after = studies.modified(folder)
    assert {name: after[name] for name in finished} == finished
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
