"""A plugin's own failure, told as such: which plugin, what happened, and where in its source."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slds_core.plugins import Declined
from slds_core.study.errors import StudyError


@contextmanager
def failures_of(reference: str, cls: type) -> Iterator[None]:
    """Turns whatever a plugin raises into an error that names it, ``sys.exit()`` too; lets declining and errors of ours through.

    Args:
        reference: how the configuration names the plugin.
        cls: its class, whose file is looked for in the traceback.

    Raises:
        StudyError: the plugin raised something.
    """
    try:
        yield
    except (StudyError, Declined):
        raise
    except (Exception, SystemExit) as error:
        raise StudyError(f"plugin '{reference}' failed: {type(error).__name__}: {error}{_place(error, cls)}") from error


def _place(error: BaseException, cls: type) -> str:
    """Returns the innermost line of the plugin's own source that the error came through."""
    lines = [
        f" ({Path(frame.f_code.co_filename).name}, line {line})"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_globals.get("__name__") == cls.__module__
    ]
    return lines[-1] if lines else ""
