"""An undisturbed run to compare with, and compiled programs shared by all runs: only the first compiles."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest
import studies


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module", autouse=True)
def shared_cache(cache):
    """Of this folder's tests only: others on the same worker keep their caches where a user's are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLDS_CACHE", str(cache))
        yield


@pytest.fixture(scope="session")
def reference(tmp_path_factory, cache) -> Path:
    """A study that nothing happened to; ``seconds`` holds how long it took with all programs compiled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLDS_CACHE", str(cache))
        for name in ("compiling", "reference"):
            folder = tmp_path_factory.mktemp(name)
            prepare(folder)
            began = time.monotonic()
            status, output = studies.run(folder)
            assert status == 0, output
            (folder / "seconds").write_text(str(time.monotonic() - began))
    return folder


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with the configuration of a small study."""
    prepare(tmp_path)
    return tmp_path


@pytest.fixture
def small_disk(folder):
    """The study's results on a disk of their own, and a function that mounts it anew with other options."""
    yield from disk(folder / "results")


@pytest.fixture
def log_disk(folder):
    """The same for the jobs' logs alone."""
    yield from disk(folder / "results" / "log")


def disk(place: Path):
    place.mkdir(parents=True)

    def mount(options: str) -> None:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place], capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"a small disk cannot be mounted: {done.stderr.decode().strip()}")

    yield mount
    subprocess.run(["umount", place], capture_output=True, check=False)


def prepare(folder: Path) -> None:
    shutil.copy(studies.SMALL, folder / "config.yaml")
