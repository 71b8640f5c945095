"""Disks that are full or read-only, files that are damaged: said in a sentence, put right by a plain rerun."""

import os
import re
import shutil
import subprocess
import sys
import time

import pytest
import studies
import xarray as xr

from slds_core.study import store

pytestmark = pytest.mark.slow


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    """Changes one byte of the data, which nothing but the checksum can notice."""
    with xr.open_dataset(path) as dataset:
        values = dataset.recognition_linear.values.tobytes()
    contents = bytearray(path.read_bytes())
    contents[contents.index(values) + 3] ^= 0xFF
    path.write_bytes(contents)


def replace_by_foreign(path):
    path.unlink()
    xr.Dataset({"temperature": ("time", [280.0, 281.0])}).to_netcdf(path)


def make_older(path):
    with xr.open_dataset(path) as dataset:
        older = dataset.load().assign_attrs(slds_schema_version=0)
    older.to_netcdf(path)


HARMS = {
    truncate: "cannot be read as NetCDF, the file is damaged or foreign",
    flip: "cannot be read as NetCDF, the file is damaged or foreign",
    replace_by_foreign: "expected a model file, found a NetCDF file of another origin",
    make_older: f"schema version 0, expected {store.SCHEMA_VERSION}; rebuild it with this version",
}


def test_a_harmed_file_is_named_and_made_again(reference, folder):
    target, model = "results/tiny/residual/newton.nc", folder / "results/tiny/model.nc"
    assert studies.run(folder, target)[0] == 0
    sound = shutil.copy2(model, folder / "sound.nc")
    for harm, message in HARMS.items():
        shutil.copy2(sound, model)
        harm(model)
        status, output = studies.run(folder, target)
        assert status == 1, harm
        assert f"results/tiny/model.nc: {message}" in output
    model.unlink()
    status, output = studies.run(folder, target)
    assert status == 0, output


def test_a_plain_run_makes_again_what_is_harmed(reference, folder):
    assert studies.run(folder)[0] == 0
    flip(folder / "results/tiny/model.nc")
    truncate(folder / "results/tiny/inference/newton.nc")
    status, output = studies.run(folder)
    assert status == 0, output
    assert "made anew: " in output
    assert "results/tiny/model.nc: the file is damaged, its checksum does not hold" in output
    studies.assert_same_numbers(reference, folder)
    assert "Nothing to be done" in studies.run(folder)[1]


def test_what_another_study_left_is_made_again_without_records(reference, folder):
    """Snakemake, without its records, takes what is there for up to date."""
    configuration = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(
        configuration.replace("max_sweeps: 5", "max_sweeps: 6").replace("time: 12", "time: 9")
    )
    assert studies.run(folder)[0] == 0
    shutil.rmtree(folder / ".snakemake")
    (folder / "config.yaml").write_text(configuration)
    status, output = studies.run(folder)
    assert status == 0, output
    assert "not of this study, and made anew: 8 results" in output
    studies.assert_same_numbers(reference, folder)


def test_only_what_differs_is_made_again_without_records(reference, folder):
    shutil.copytree(reference / "results", folder / "results")
    (folder / "config.yaml").write_text((folder / "config.yaml").read_text().replace("max_sweeps: 5", "max_sweeps: 6"))
    before = studies.modified(folder)
    status, output = studies.run(folder)
    assert status == 0, output
    after = studies.modified(folder)
    assert {name for name in after if after[name] != before[name]} == {
        "tiny/inference/five.nc",
        "tiny/residual/five.nc",
    }
    assert studies.run(folder, "--forcerun", "compare")[0] == 0  # a user's own wish is kept
    assert studies.modified(folder)["tiny/comparison.nc"] > after["tiny/comparison.nc"]


def test_a_full_disk(reference, folder, small_disk):
    small_disk("size=64k")
    status, output = studies.run(folder)
    assert status == 1
    assert re.search(r"cannot be written|No space left", output), output
    for path in studies.files(folder).values():
        store.read_any(path)
    small_disk("remount,size=32m")
    status, output = studies.run(folder)
    assert status == 0, output
    studies.assert_same_numbers(reference, folder)


def test_results_that_may_not_be_written(reference, folder, small_disk):
    small_disk("ro")
    status, output = studies.run(folder)
    assert status == 1
    assert re.search(r"results\S*.*Read-only file system|Read-only file system.*results", output), output
    small_disk("remount,rw")
    assert studies.run(folder, "results/tiny/model.nc")[0] == 0


def test_logs_that_may_not_be_written(reference, folder, log_disk):
    log_disk("ro")
    status, output = studies.run(folder, "results/tiny/model.nc")
    assert status == 1
    assert "slds run: results/log: cannot be written, and every job writes there: Read-only file system" in output
    assert not (folder / "results" / "tiny").exists()
    log_disk("remount,rw")
    assert studies.run(folder, "results/tiny/model.nc")[0] == 0


ELSEWHERE = """
mount --make-rprivate / || exit 77
for place in results .snakemake "$SLDS_CACHE"; do mount --bind "$place" "$place" || exit 77; done
mount -o remount,ro,bind / || exit 77
cd "$PWD"  # now on the disk that may only be read
"$0" -c "open('anywhere', 'w')" 2>/dev/null && exit 77
exec "$0" -m slds_core.cli run
"""
"""A study in a file system of which only its results, Snakemake's own folder and the cache may be written."""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs Linux's unshare")
def test_jobs_write_nowhere_else(reference, folder):
    for name in ("results", ".snakemake/temporary"):
        (folder / name).mkdir(parents=True)
    own = {"TMPDIR": ".snakemake/temporary", "XDG_CACHE_HOME": ".snakemake/caches"}  # Snakemake's own files
    own = {key: str(folder / place) for key, place in own.items()} | {"PYTHONPATH": str(studies.ROOT)}
    command = ["unshare", "--mount", "sh", "-c", ELSEWHERE, sys.executable]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | own, capture_output=True, text=True, timeout=studies.LIMIT, check=False
    )
    if "unshare" in done.stderr or done.returncode == 77:
        pytest.skip(f"no file system of one's own can be had: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    time.sleep(1)  # what the run's processes share is removed by the last of them
    assert not list((folder / ".snakemake" / "temporary").iterdir())
    assert {path.name for path in (folder / ".snakemake" / "caches").iterdir()} == {"snakemake"}
    studies.assert_same_numbers(reference, folder)


@pytest.mark.parametrize("name", ["log", "benchmark"])
def test_a_file_where_logs_or_benchmarks_should_be(folder, name):
    (folder / "results").mkdir()
    (folder / "results" / name).write_text("")
    status, output = studies.run(folder)
    assert status == 1
    assert f"slds run: results/{name}: cannot be written, and every job writes there: File exists" in output


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_may_not_be_written(folder, tmp_path_factory):
    folder.chmod(0o500)
    try:
        process = studies.start(folder, output=tmp_path_factory.mktemp("elsewhere") / "output")
        assert process.wait(60) == 1
        assert f"{folder}: a study cannot run here: Permission denied" in process.output.read_text()
    finally:
        folder.chmod(0o700)
