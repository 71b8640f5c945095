"""The folder where a run meets its workers: its own, and no dead run's left behind."""

import os
import subprocess

import pytest

from slds_core.study import worker_folder


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_only_empty_folders_of_dead_runs_are_removed(temporary):
    dead = subprocess.Popen(["true"])
    dead.wait()
    others = [f"slds-{dead.pid}-empty", f"slds-{dead.pid}-full", f"slds-{os.getppid()}-living", "slds-no-process"]
    for name in others:
        (temporary / name).mkdir()
    (temporary / others[1] / "0.socket").touch()
    own = worker_folder.make()
    assert {path.name for path in temporary.iterdir()} == {*others[1:], os.path.basename(own)}
    assert os.path.basename(own).startswith(f"slds-{os.getpid()}-")
    assert os.stat(own).st_mode & 0o777 == 0o700
