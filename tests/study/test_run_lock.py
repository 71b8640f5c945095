"""A folder has one run at a time; a killed one holds nothing."""

import multiprocessing
import os
import signal
import socket

import pytest

from slds_core.study.errors import StudyError
from slds_core.study.run_lock import claim


def test_one_run_after_another(tmp_path):
    for _ in range(2):
        with claim(tmp_path) as ours:
            assert not ours.abandoned


def test_a_second_run_is_refused_and_says_where_the_first_is(tmp_path):
    with (
        claim(tmp_path),
        pytest.raises(StudyError, match=f"another run is at work in this folder, on {socket.gethostname()};"),
        claim(tmp_path),
    ):
        pass


def test_an_error_ends_the_claim_but_leaves_word(tmp_path):
    """Snakemake may have been broken off with its locks in place."""
    with pytest.raises(KeyboardInterrupt), claim(tmp_path):
        raise KeyboardInterrupt
    with claim(tmp_path) as ours:
        assert ours.abandoned


def hold(folder, ready):
    with claim(folder):
        ready.set()
        signal.pause()


def test_a_killed_run_is_recognised(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=hold, args=(tmp_path, ready))
    process.start()
    assert ready.wait(60)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with claim(tmp_path) as ours:
        assert ours.abandoned
    with claim(tmp_path) as ours:
        assert not ours.abandoned


def test_a_run_killed_on_another_machine_is_left_to_the_user(tmp_path):
    """Its lock may be invisible from here, and the run alive."""
    with claim(tmp_path):
        pass
    (tmp_path / ".snakemake" / "slds_run.lock").write_text("another-machine")
    with claim(tmp_path) as ours:
        assert not ours.abandoned


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / ".snakemake").write_text("in the way")
    with pytest.raises(StudyError, match="a study cannot run here: "), claim(tmp_path):
        pass
