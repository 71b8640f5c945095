"""One run of a study at a time in a folder. What a run that was killed left locked is told from what a living one holds."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slds_core.study.errors import StudyError

_NAME = "slds_run.lock"


@dataclass(frozen=True)
class Claim:
    """A folder that is this run's own."""

    descriptor: int  # the lock goes with it: processes that inherit it hold the folder too
    abandoned: bool  # whether the run before was killed, on this machine


@contextmanager
def claim(folder: Path) -> Iterator[Claim]:
    """Holds a folder for one run.

    The system takes the lock from a process that dies, however it dies, so that nobody ever has to clean up. The file says on
    which machine a run is at work, and says so still after a run that was killed.

    Args:
        folder: where the run writes.

    Raises:
        StudyError: another run is at work there, or the folder cannot be written.
    """
    path = folder.absolute() / ".snakemake" / _NAME
    try:
        path.parent.mkdir(exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StudyError(f"{folder.absolute()}: a study cannot run here: {error.strerror}") from error
    try:
        certain = _lock(descriptor, path)
        here = socket.gethostname()
        abandoned = certain and path.read_text(encoding="utf-8") == here
        _write(path, here)
        yield Claim(descriptor, abandoned)
        _write(path, "")
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> bool:
    """Takes the lock; returns whether the file system knows locks at all. Where it does not, Snakemake's own must do."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        place, where = path.parent.parent, path.read_text(encoding="utf-8")
        raise StudyError(
            f"{place}: another run is at work in this folder, on {where or 'some machine'};"
            " wait for it, or run in another folder"
        ) from error
    except OSError:
        return False
    return True


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StudyError(f"{path}: cannot be written: {error.strerror}") from error
