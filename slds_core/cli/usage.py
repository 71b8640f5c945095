"""What a command used, as a table: the columns of Snakemake's benchmarks that can be told in a process that other jobs share."""

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from slds_core.study.errors import StudyError

_FORGET_PEAK = Path("/proc/self/clear_refs"), "5"
_STATUS = Path("/proc/self/status")


@contextmanager
def usage_written(path: Path) -> Iterator[None]:
    """Writes what the work inside used to a file, unless it fails: seconds, peak memory (MiB), processor seconds.

    Raises:
        StudyError: the file cannot be written.
    """
    _forget_peak()
    began, computed = time.perf_counter(), time.process_time()
    yield
    seconds, cpu = time.perf_counter() - began, time.process_time() - computed
    row = f"{seconds:.4f}\t{timedelta(seconds=round(seconds))}\t{_peak():.2f}\t{100 * cpu / seconds:.2f}\t{cpu:.2f}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\tmax_rss\tmean_load\tcpu_time\n{row}\n", encoding="utf-8")
    except OSError as error:
        raise StudyError(f"{path}: cannot be written: {error.strerror}") from error


def _forget_peak() -> None:
    """Makes the kernel count peak memory from now on, where it can."""
    place, word = _FORGET_PEAK
    with suppress(OSError):  # then the peak is that of the whole process
        place.write_text(word)


def _peak() -> float:
    """Returns the peak of resident memory (MiB) since it was last forgotten."""
    if _STATUS.exists():
        lines = _STATUS.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / 2**20 if sys.platform == "darwin" else used / 2**10  # bytes there, KiB elsewhere
