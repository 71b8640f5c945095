"""Files: whole or absent, checked when read."""

import os
import random
import re
import shutil
from types import SimpleNamespace

import netCDF4
import numpy as np
import pytest
import xarray as xr

from slds_core.study import store
from slds_core.study.errors import StudyError
from slds_core.study.show import file_contents

PROVENANCE = {"settings": {"plugin": "notebook", "parameters": {}}, "precision": "float64"}


@pytest.fixture
def dataset():
    return xr.Dataset({"signal": store.variable("time", np.linspace(0, 1, 500), "a signal", "nat")})


@pytest.fixture
def path(tmp_path, dataset):
    path = tmp_path / "folder" / "model.nc"
    store.write(dataset, path, "model", PROVENANCE)
    return path


def edit(path, **attributes):
    """Rewrites a file's attributes, as another version or an interrupted program might have left them."""
    with xr.open_dataset(path) as dataset:
        changed = dataset.load().assign_attrs(attributes)
    changed.to_netcdf(path)


def refused(path, message, kind="model"):
    with pytest.raises(StudyError, match=re.escape(f"{path}: {message}")):
        store.read(path, kind)


def test_roundtrip(path, dataset):
    found = store.read(path, "model")
    xr.testing.assert_equal(found, dataset)
    assert found.signal.attrs == {"long_name": "a signal", "units": "nat"}
    assert found.attrs["settings"] == '{"parameters": {}, "plugin": "notebook"}'
    assert found.attrs["Conventions"] == "CF-1.10"
    assert found.encoding["source"] == str(path)
    assert [p.name for p in path.parent.iterdir()] == ["model.nc"]


def test_equal_contents_make_equal_files(path, dataset):
    before = path.read_bytes()
    store.write(dataset, path, "model", PROVENANCE)
    assert path.read_bytes() == before


def test_failure_leaves_the_old_file_and_nothing_else(path, dataset, monkeypatch):
    before = path.read_bytes()

    def full_disk(self, target, **_):
        with open(target, "wb") as stream:
            stream.write(b"half a file")
        raise RuntimeError("NetCDF: HDF error")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", full_disk)
    with pytest.raises(StudyError, match=re.escape(f"{path}: cannot be written: NetCDF: HDF error")):
        store.write(dataset, path, "model", PROVENANCE)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["model.nc"]


def test_a_full_disk_is_named_as_the_reason(tmp_path, dataset, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("NetCDF: HDF error")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", refuse)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=512))
    with pytest.raises(StudyError, match="cannot be written: NetCDF: HDF error; 512 bytes are free on its disk"):
        store.write(dataset, tmp_path / "model.nc", "model", PROVENANCE)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_read_only_folder(tmp_path, dataset):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StudyError, match=r"model\.nc: cannot be written: .*Permission denied"):
            store.write(dataset, tmp_path / "model.nc", "model", PROVENANCE)
    finally:
        tmp_path.chmod(0o700)


def test_folder_that_cannot_be(tmp_path, dataset):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StudyError, match=r"model\.nc: cannot be written: .*(Not a directory|File exists)"):
        store.write(dataset, tmp_path / "file" / "model.nc", "model", PROVENANCE)


@pytest.mark.parametrize("attribute", ["long_name", "units"])
def test_variables_must_be_described(tmp_path, dataset, attribute):
    del dataset.signal.attrs[attribute]
    with pytest.raises(ValueError, match="variable 'signal' lacks long_name or units"):
        store.write(dataset, tmp_path / "model.nc", "model", PROVENANCE)
    assert not any(tmp_path.iterdir())


def test_missing_file(tmp_path):
    refused(tmp_path / "none.nc", "no such file; expected a model file")
    refused(tmp_path, "no such file; expected a gradient file", kind="gradient")


def test_what_is_no_plain_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.nc")
    refused(tmp_path / "pipe.nc", "no such file; expected a model file")
    with pytest.raises(StudyError, match=r"pipe\.nc: no such file; expected a file of this project"):
        file_contents(tmp_path / "pipe.nc")


@pytest.mark.parametrize(
    ("kind", "setting", "title"),
    [
        ("model", "checked", "model 'checked'"),
        ("comparison", "comparison", "comparison of model 'checked'"),
        ("inference", "newton", "inference 'newton' of model 'checked'"),
    ],
)
def test_shown_by_its_name(tmp_path, dataset, kind, setting, title):
    path = tmp_path / "file.nc"
    store.write(dataset, path, kind, PROVENANCE | {"model": "checked", "setting": setting})
    assert file_contents(path).splitlines()[0] == f"{path}: {title}"


def test_the_files_that_a_model_was_made_from_are_shown(path, dataset):
    store.write(dataset, path, "model", PROVENANCE | {"input_files": {"river.csv": "f61c" * 16}})
    assert f"  input file river.csv: {'f61c' * 16}\n" in file_contents(path) + "\n"


def test_truncated_file(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(path, "cannot be read as NetCDF, the file is damaged or foreign")


def test_flipped_bits(path):
    """The checksum over the data finds what the format does not."""
    contents = bytearray(path.read_bytes())
    position = bytes(contents).index(np.linspace(0, 1, 500)[1:9].tobytes())
    contents[position] ^= 0xFF
    path.write_bytes(contents)
    refused(path, "cannot be read as NetCDF, the file is damaged or foreign")


def test_whatever_bit_is_flipped(path):
    """Also those that no checksum of the format covers, and those that make the library below read for ever."""
    written, draw = path.read_bytes(), random.Random(0)
    for place in draw.sample(range(len(written)), 1000):
        contents = bytearray(written)
        contents[place] ^= 1 << draw.randrange(8)
        path.write_bytes(contents)
        refused(path, "")


def test_changed_by_another_program(path):
    edit(path, status="solved")
    refused(
        path, "has no checksum at its end: it was cut, changed by another program, or written by an older version; "
    )


def test_changed_in_place(path):
    with netCDF4.Dataset(path, "a") as opened:
        opened.precision = "float32"
    refused(
        path, "has no checksum at its end: it was cut, changed by another program, or written by an older version; "
    )


def test_not_netcdf(tmp_path):
    path = tmp_path / "model.nc"
    path.write_text("model: notebook")
    refused(path, "cannot be read as NetCDF, the file is damaged or foreign")


def test_foreign_netcdf(tmp_path):
    path = tmp_path / "climate.nc"
    xr.Dataset({"temperature": ("time", [280.0, 281.0])}).to_netcdf(path)
    refused(path, "expected a model file, found a NetCDF file of another origin")


def test_other_kind(path):
    refused(path, "expected a gradient file, found a model file", kind="gradient")


def test_other_schema(path):
    edit(path, slds_schema_version=0)
    refused(path, f"schema version 0, expected {store.SCHEMA_VERSION}; rebuild it with this version")


def test_incomplete(path):
    edit(path, complete=0)
    refused(path, "the file is incomplete; delete it and run again")


def test_readers_share_nothing(path, dataset):
    """Small files are taken apart once; whoever changes what was read changes it for itself."""
    name = next(iter(dataset.data_vars))
    first = store.read(path, "model")
    first[name].values[...] = 0
    first.attrs["model"] = "another"
    again = store.read(path, "model")
    np.testing.assert_array_equal(again[name], dataset[name])
    assert "model" not in again.attrs


@pytest.mark.parametrize("size", [3, 10**5])
def test_a_file_written_anew_is_read_anew(path, size):
    for value in (1.0, 2.0):
        store.write(xr.Dataset({"x": store.variable("time", np.full(size, value), "x")}), path, "model", {"model": "m"})
        np.testing.assert_array_equal(store.read(path, "model")["x"], np.full(size, value))


def test_read_all_names_files_by_their_setting(path):
    assert list(store.read_all([path], "model")) == ["model"]
