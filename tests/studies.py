"""Studies as a user runs them, for the tests: started, waited for, killed, compared."""

import base64
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import xarray as xr

from slds_core.study import store

ROOT = Path(__file__).parent.parent
DEFAULT = ROOT / "config.yaml"
SMALL = ROOT / "tests" / "data" / "small.yaml"
LIMIT = 600
"""Seconds after which a run counts as hanging."""


def start(folder: Path, *arguments: str, output: Path | None = None) -> subprocess.Popen:
    """Starts ``slds run`` in a folder as a process group of its own; its output goes to the file ``output``."""
    output = output or folder / "output"
    with open(output, "w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "slds_core.cli", "run", *arguments],
            cwd=folder,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )
    process.output = output
    return process


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """Returns the status and the output of ``slds run`` in a folder."""
    process = start(folder, *arguments)
    return process.wait(LIMIT), process.output.read_text()


def files(folder: Path) -> dict[str, Path]:
    """Returns a study's NetCDF files by their place below ``results``."""
    results = folder / "results"
    return {str(path.relative_to(results)): path for path in sorted(results.rglob("*.nc"))}


def numbers(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """Returns all arrays of a study but those that tell times, or that a program was compiled before."""
    found = {}
    for name, path in files(folder).items():
        with xr.open_dataset(path) as dataset:
            kept = {key: value.values for key, value in dataset.variables.items() if value.attrs.get("units") != "s"}
        kept.pop("compilation_cached", None)
        found[name] = kept
    return found


def assert_same_numbers(one: Path, other: Path) -> None:
    """Checks that two studies hold the same files and, bit for bit, the same arrays."""
    expected, found = numbers(one), numbers(other)
    assert expected
    assert found.keys() == expected.keys()
    for name, arrays in expected.items():
        assert found[name].keys() == arrays.keys()
        for key, array in arrays.items():
            same = found[name][key].tobytes() == array.tobytes()
            assert same or array.dtype == object, f"{name}: {key}: {found[name][key]} and not {array}"


def begun(folder: Path) -> set[str]:
    """Returns the results that Snakemake knows it was at work on, by their place below ``results``."""
    marks = (folder / ".snakemake" / "incomplete").rglob("*")
    names = {base64.b64decode(mark.name).decode() for mark in marks if mark.is_file() and "migration" not in mark.name}
    return {name.removeprefix("results/") for name in names}


def finished(folder: Path) -> dict[str, int]:
    """Returns when each result that no job is at work on was written; makes sure that all are whole."""
    for path in files(folder).values():
        store.read_any(path)
    unfinished = begun(folder)
    return {name: when for name, when in modified(folder).items() if name not in unfinished}


def modified(folder: Path) -> dict[str, int]:
    """Returns when each of a study's files was written (ns)."""
    return {name: path.stat().st_mtime_ns for name, path in files(folder).items()}


def processes(top: int) -> list[int]:
    """A process and all that descend from it."""
    found = [top]
    for parent in found:
        for thread in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += map(int, thread.read_text().split())
            except OSError:  # ended meanwhile
                continue
    return found


def jobs(top: int) -> list[int]:
    """The jobs at work at the moment, by their command line."""
    words = {pid: command(pid).split(b"\0") for pid in processes(top)}
    return [
        pid for pid, own in words.items() if b"--output" in own and own[2].endswith((b"client.py", b"slds_core.cli"))
    ]


def command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
