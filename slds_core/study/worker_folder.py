"""The folder in which a run of Snakemake and its shared processes meet: ``slds-PROCESS-…`` among the machine's temporary files."""

import contextlib
import os
from pathlib import Path
from tempfile import gettempdir, mkdtemp


def make() -> str:
    """Returns a new folder for this process. Empty ones are removed of runs that were killed before any worker saw it."""
    for folder in Path(gettempdir()).glob("slds-*-*"):
        with contextlib.suppress(OSError, ValueError):  # another user's, in use, or no such folder at all
            if not alive(folder):
                folder.rmdir()
    return mkdtemp(prefix=f"slds-{os.getpid()}-")


def alive(folder: Path) -> bool:
    """Returns whether the run is alive that a folder belongs to.

    Raises:
        ValueError: the folder's name is no such folder's.
    """
    try:
        os.kill(int(folder.name.split("-")[1]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
