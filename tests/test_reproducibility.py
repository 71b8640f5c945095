"""The same configuration gives the same numbers, to the bit: only times and memory of a run may differ."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from slds_core.study.configuration import read_files
from slds_core.study.verify import verify

ROOT = Path(__file__).parent.parent
SMALL = ROOT / "tests" / "data" / "small.yaml"
MEASURED = {"compile_seconds", "compilation_cached", "run_seconds", "trace_seconds"}

pytestmark = pytest.mark.slow


def run(folder: Path, **environment: str) -> Path:
    command = [sys.executable, "-m", "slds_core.cli", "run", "--config", str(SMALL), "--cores", "2"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "results"


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    """The study by processes that jobs share, and with each job in a process of its own."""
    shared, alone = (tmp_path_factory.mktemp(name) for name in ("shared", "alone"))
    return [run(shared), run(alone, SLDS_PROCESS_PER_JOB="1")]


def test_every_number_and_attribute_is_the_same(twice):
    first, second = twice
    names = sorted(path.relative_to(first) for path in first.rglob("*.nc"))
    assert names == sorted(path.relative_to(second) for path in second.rglob("*.nc"))
    assert len(names) == 8
    for name in names:
        with xr.open_dataset(first / name) as a, xr.open_dataset(second / name) as b:
            assert a.attrs == b.attrs, name
            assert set(a.variables) == set(b.variables), name
            for variable in set(map(str, a.variables)) - MEASURED:
                left, right = a[variable].values, b[variable].values
                assert left.dtype == right.dtype, (name, variable)
                if left.dtype.kind == "f":
                    np.testing.assert_array_equal(
                        left.view(np.uint64), right.view(np.uint64), err_msg=f"{name} {variable}"
                    )
                else:
                    np.testing.assert_array_equal(left, right, err_msg=f"{name} {variable}")


def test_all_files_verify(twice):
    findings = verify(read_files([SMALL]), twice[0])
    assert [finding for finding in findings if finding.problems] == []
    assert len(findings) == 8
