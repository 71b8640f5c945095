"""Snakemake's looks for jobs: few, and none lost."""

import inspect
import threading
import time
from types import SimpleNamespace

import pytest

from slds_core.study.looks import keep_apart

DELAY = 0.2  # seconds


@pytest.fixture
def scheduler() -> SimpleNamespace:
    found = SimpleNamespace(_open_jobs=threading.Semaphore(0))
    keep_apart(found)
    return found


def test_however_often_a_look_is_asked_for_there_is_one(scheduler):
    for _ in range(100):
        scheduler._schedule_reevalutation(DELAY)
    assert scheduler._open_jobs.acquire(timeout=10)
    assert not scheduler._open_jobs.acquire(timeout=2 * DELAY)


def test_each_look_can_ask_for_the_next(scheduler):
    begin = time.monotonic()
    for _ in range(5):  # as Snakemake does
        scheduler._schedule_reevalutation(DELAY)
        assert scheduler._open_jobs.acquire(timeout=10)
    assert time.monotonic() - begin >= 5 * DELAY


def test_nothing_waits_for_a_look_at_the_end(scheduler):
    before = set(threading.enumerate())
    scheduler._schedule_reevalutation(DELAY)
    (timer,) = set(threading.enumerate()) - before
    assert timer.daemon


def test_snakemake_still_asks_by_these_names():
    from snakemake.scheduling.job_scheduler import JobScheduler

    assert "self._open_jobs.release" in inspect.getsource(JobScheduler._schedule_reevalutation)
