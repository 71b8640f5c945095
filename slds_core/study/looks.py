"""Snakemake's looks for jobs that can start, kept to one at a time."""

import threading
import time
from typing import Any


def keep_apart(scheduler: Any) -> None:
    """Has a scheduler of Snakemake ask for its next look for jobs once, not once a look.

    To keep to a rate of jobs, 100 a second unless one is asked for, Snakemake 9.27 asks after each look for another one when the time is
    over, and so does that one: after n jobs it goes through all that wait n times as often. It also ends no sooner than that time after
    its last job.

    Args:
        scheduler: the workflow's; it asks by ``_schedule_reevalutation`` and looks when ``_open_jobs`` is released.
    """
    due = 0.0

    def ask(delay: float) -> None:
        nonlocal due
        if time.monotonic() < due:
            return
        due = time.monotonic() + delay
        timer = threading.Timer(delay, scheduler._open_jobs.release)
        timer.daemon = True  # nothing waits for it at the end
        timer.start()

    scheduler._schedule_reevalutation = ask
