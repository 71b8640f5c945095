"""Asking Snakemake to end, and insisting where it cannot.

Its handler of the signal takes a lock that the interrupted code may hold, and then waits for itself for ever, now and then.
Nothing is lost by killing a Snakemake that runs no job: the next run takes up where it ended.
"""

import subprocess
import threading
import time
from pathlib import Path

_LOOK = 1.0  # seconds between looks at its jobs
_PATIENCE = 30  # looks without a job after which it counts as stuck


def end(process: subprocess.Popen, *, jobs_are_children: bool) -> None:
    """Asks a Snakemake to end after the jobs that run; returns at once.

    Args:
        process: the Snakemake.
        jobs_are_children: whether its jobs run on this machine; those on a cluster cannot be seen, and it is left to wait for them.
    """
    process.terminate()
    if jobs_are_children:
        threading.Thread(target=_insist, args=(process,), daemon=True).start()


def _insist(process: subprocess.Popen) -> None:
    idle = 0
    while idle < _PATIENCE and process.poll() is None:
        time.sleep(_LOOK)
        idle = 0 if _has_children(process.pid) else idle + 1
    if process.poll() is None:
        process.kill()


def _has_children(pid: int) -> bool:
    """Returns whether a process has children; true where the machine does not tell."""
    lists = list(Path(f"/proc/{pid}/task").glob("*/children"))
    try:
        return not lists or any(path.read_text().strip() for path in lists)
    except OSError:  # a thread, or the process, has ended meanwhile
        return True
