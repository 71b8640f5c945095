"""The same configuration gives the same numbers, to the bit: only times and memory of a run may differ."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from slds_core.study import store
from slds_core.study.configuration import read_files
from slds_core.study.stages.build_model import build_model
from slds_core.study.verify import verify

ROOT = Path(__file__).parent.parent
SMALL = ROOT / "tests" / "data" / "small.yaml"
MEASURED = {"compile_seconds", "compilation_cached", "run_seconds", "trace_seconds"}

pytestmark = pytest.mark.slow


def run(folder: Path) -> Path:
    command = [sys.executable, "-m", "slds_core.cli", "run", "--config", str(SMALL), "--cores", "2"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "results"


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    return [run(tmp_path_factory.mktemp(name)) for name in ("first", "second")]


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


ACROSS_CORES = 1e-10
"""Largest difference, of a variable's largest entry, that another number of threads may make; docs/files.md states it."""


def computed(folder: Path, threads: int, devices: int = 1) -> dict[str, xr.Dataset]:
    """An inference and a gradient, of the size of the default study, with so many threads and devices."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | dict.fromkeys(("NPROC", "OMP_NUM_THREADS"), str(threads))
    environment["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
    count = f"{threads}_{devices}"
    model, inference, gradient = (
        folder / name for name in ("model.nc", f"inference_{count}.nc", f"gradient_{count}.nc")
    )
    for command in (
        ["infer", "--model", model, "--plugin", "newton_cg", "--output", inference],
        ["gradient", "--model", model, "--inference", inference, "--plugin", "fisher_cg", "--set", "tolerance=1e-12",
         "--objective", "elbo", "--output", gradient],
    ):  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "slds_core.cli", *command],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    return {"inference": store.read(inference, "inference"), "gradient": store.read(gradient, "gradient")}


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """A model's folder, and what one thread of one device makes of it."""
    folder = tmp_path_factory.mktemp("one")
    chosen = {"plugin": "random_slds", "parameters": {"time": 100, "latent": 5, "states": 4}}
    build_model("drawn", chosen, "float64", folder / "model.nc")
    return folder, computed(folder, 1)


@pytest.mark.parametrize(("threads", "devices"), [(3, 1), (1, 2)])
def test_other_numbers_of_cores_and_devices_give_the_same_within_the_stated_tolerance(one, threads, devices):
    folder, expected = one
    found, compared = computed(folder, threads, devices), 0
    for kind, dataset in expected.items():
        for name in map(str, dataset.variables):
            if name.startswith(("posterior_", "state", "gradient_", "value")):
                values = dataset[name].values
                largest = np.abs(values).max()
                np.testing.assert_allclose(
                    found[kind][name].values, values, rtol=0, atol=ACROSS_CORES * largest, err_msg=name
                )
                compared += 1
    assert compared == 5 + 13 + 1
    assert f"{ACROSS_CORES:.0e}" in (ROOT / "docs" / "files.md").read_text()
