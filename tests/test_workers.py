"""Jobs that share a process: each has its own output, exit code and end; and no job depends on another's."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import pytest

from slds_core.cli import worker

CLIENT = Path(__file__).parent.parent / "slds_core" / "cli" / "client.py"
TELLS = "import os\nraise RuntimeError(f'process {os.getpid()}.')\n"
"""A plugin's file that cannot be imported: listing it shows in which process it was tried."""


@pytest.fixture
def workers(tmp_path):
    """The folder of a run's workers. The run is a process that sleeps."""
    run = subprocess.Popen(["sleep", "600"])
    folder = tmp_path / f"slds-{run.pid}-test"
    folder.mkdir()
    (tmp_path / "own.py").write_text(TELLS)
    yield folder
    run.kill()
    run.wait()
    wait_until(lambda: not serving(folder))


def start(workers: Path, *arguments: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-S", str(CLIENT), *arguments],
        cwd=workers.parent,
        env=os.environ | {"SLDS_WORKERS": str(workers)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(workers: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    job = start(workers, *arguments, **environment)
    output, errors = job.communicate(timeout=120)
    return job.returncode, output, errors


def process_of(workers: Path, **environment: str) -> int:
    """Which process a job runs in."""
    code, _, errors = finish(workers, "plugins", "list", "--path", "own.py", **environment)
    assert code == 1
    return int(errors.split("process ")[1].split(".")[0])


def serving(folder: Path) -> list[int]:
    """The living workers of a run."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
            state = (place / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:  # ended meanwhile
            continue
        if b"slds_core.cli.worker" in words and os.fsencode(folder) in words and state != "Z":
            found.append(int(place.name))
    return found


def wait_until(happened, limit: float = 60) -> None:
    end = time.monotonic() + limit
    while not happened():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


def hang(workers: Path) -> subprocess.Popen:
    """A job that goes on until it is killed, once it is at work in a worker."""
    (workers.parent / "hang.py").write_text("import time\nopen('begun', 'w').close()\ntime.sleep(600)\n")
    job = start(workers, "plugins", "list", "--path", "hang.py")
    wait_until((workers.parent / "begun").exists)
    return job


def test_output_and_exit_code_are_those_of_a_process_of_its_own(workers):
    for arguments in (
        ["show", "nowhere.nc"],
        ["--version"],
        ["infer", "--nonsense"],
        ["--debug", "show", "nowhere.nc"],
        ["show", os.fsdecode("ñ ".encode() + b"\xff.nc")],
        ["show", ""],
        [],
    ):
        shared = finish(workers, *arguments)
        alone = finish(workers, *arguments, SLDS_WORKERS="")
        assert shared[0] == alone[0]
        assert shared[1] == alone[1]
        assert shared[2].splitlines()[-1:] == alone[2].splitlines()[-1:]  # tracebacks begin elsewhere
    assert len(serving(workers)) == 1


def test_jobs_one_after_another_share_a_process_and_a_failure_does_not_end_it(workers):
    first = process_of(workers)
    assert finish(workers, "show", "nowhere.nc")[0] == 1
    assert process_of(workers) == first
    assert serving(workers) == [first]


def test_jobs_at_the_same_time_and_of_other_threads_do_not(workers):
    first = process_of(workers)
    assert process_of(workers, OMP_NUM_THREADS="7") != first
    job = hang(workers)
    assert process_of(workers) not in (first, job.pid)
    job.kill()
    job.communicate()


def test_a_killed_job_takes_its_work_with_it_and_the_next_is_served(workers):
    job = hang(workers)
    (worker,) = serving(workers)
    job.kill()
    job.communicate(timeout=60)  # nobody else holds its output
    wait_until(lambda: worker not in serving(workers))
    assert process_of(workers) != worker


def test_a_job_whose_worker_dies_begins_again_alone(workers):
    (workers.parent / "dies.py").write_text(
        "import os, signal, sys\n"
        "if 'slds_core.cli.worker' in sys.orig_argv:\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "raise RuntimeError('alone')\n"
    )
    code, _, errors = finish(workers, "plugins", "list", "--path", "dies.py")
    assert code == 1
    assert "alone" in errors
    assert "slds: the shared process died; its job begins again in one of its own" in errors


def test_a_plugin_that_ends_the_program_fails_its_job_and_not_the_worker(workers):
    first = process_of(workers)
    (workers.parent / "ends.py").write_text("import sys\nsys.exit(0)\n")
    code, _, errors = finish(workers, "build-model", "--plugin", "ends.py:mine", "--output", "never.nc")
    assert code == 1
    assert "ends.py: cannot be imported: SystemExit: 0" in errors
    assert serving(workers) == [first]


def test_a_worker_ends_with_its_run(workers):
    process_of(workers)
    run = int(workers.name.split("-")[1])
    os.kill(run, signal.SIGKILL)
    os.waitpid(run, 0)
    wait_until(lambda: not serving(workers))
    assert not workers.exists()


def test_a_worker_of_edited_sources_serves_no_more(workers):
    (workers.parent / "good.py").write_text(
        "from slds_core.plugins.gradients import OneStep\nclass Good(OneStep):\n    '''A good one.'''\n"
    )
    assert "good" in finish(workers, "plugins", "list", "--path", "good.py")[1]
    (worker,) = serving(workers)
    later = time.time() + 5
    os.utime(workers.parent / "good.py", (later, later))
    assert process_of(workers) != worker
    wait_until(lambda: worker not in serving(workers))


def test_without_room_for_sockets_a_job_is_alone(workers):
    assert process_of(workers, SLDS_WORKERS=str(workers / "missing")) not in serving(workers)
    assert process_of(workers, SLDS_WORKERS=str(workers / ("long" * 30))) not in serving(workers)


def test_what_a_job_used_is_written_if_it_succeeds(workers):
    used = workers.parent / "used" / "list.tsv"
    assert finish(workers, "--benchmark", str(used), "plugins", "list")[0] == 0
    header, row = (line.split("\t") for line in used.read_text().splitlines())
    assert header == ["s", "h:m:s", "max_rss", "mean_load", "cpu_time"]
    assert 0 < float(row[0]) < 60
    assert 10 < float(row[2]) < 2000
    code, _, errors = finish(workers, "--benchmark", str(used.parent / "show.tsv"), "show", "nowhere.nc")
    assert code == 1
    assert errors.startswith("slds show: nowhere.nc: no such file")
    assert not (used.parent / "show.tsv").exists()


@pytest.mark.parametrize(("in_advance", "spent"), [(None, True), ("true", True), ("false", False)])
def test_a_process_that_took_a_gpus_memory_in_advance_ends_with_its_job(monkeypatch, in_advance, spent):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(worker, "_MAPPINGS", Path("nowhere"))
    monkeypatch.delenv("XLA_PYTHON_CLIENT_PREALLOCATE", raising=False)
    if in_advance:
        monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", in_advance)
    assert worker._spent() == spent
