"""Whatever bytes a file holds, reading it ends in a model or in an error of ours."""

import contextlib
import pickle

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slds_core.study import store
from slds_core.study.errors import StudyError
from slds_core.study.model_file import read_model_file
from slds_core.study.notebook_pickle import read_notebook_pickle
from slds_core.study.stages.build_model import build_model

few = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
numbers = st.sampled_from([0.0, -1.0, 1e300, np.nan, np.inf])
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.lists(st.floats(), max_size=4).map(np.array),
    lambda inner: st.lists(inner, max_size=5).map(tuple) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=20,
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.nc"
    chosen = {"plugin": "random_slds", "parameters": {"time": 4, "latent": 2, "states": 2}}
    build_model("tiny", chosen, "float64", path)
    return path


@few
@given(data=st.data())
def test_netcdf_cut_or_garbled(data, model, tmp_path_factory):
    contents = bytearray(model.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        contents[data.draw(st.integers(0, len(contents) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("fuzz") / "model.nc"
    path.write_bytes(contents[: data.draw(st.sampled_from([len(contents), len(contents) // 2, 100]))])
    for reader in (read_model_file, store.read_any):
        with contextlib.suppress(StudyError):
            reader(path)


@few
@given(data=st.data())
def test_netcdf_with_other_variables(data, model, tmp_path_factory):
    with xr.open_dataset(model) as opened:
        dataset = opened.load()
    if data.draw(st.booleans()):
        dataset = dataset.assign_attrs(slds_schema_version=data.draw(st.integers(-1, 3)))
    else:
        dataset.attrs = {}
    name = data.draw(st.sampled_from(sorted(map(str, dataset.data_vars))))
    match data.draw(st.sampled_from(["drop", "rename", "axis", "type", "value", "cut"])):
        case "drop":
            dataset = dataset.drop_vars(name)
        case "rename":
            dataset = dataset.rename({name: data.draw(st.sampled_from(["other", "length", "start_"]))})
        case "axis":
            dataset[name] = dataset[name].expand_dims("more")
        case "type":
            dataset[name] = dataset[name].astype(data.draw(st.sampled_from(["int8", "float32", "str"])))
        case "value":
            dataset[name] = dataset[name] * data.draw(numbers)
        case "cut":
            dataset = dataset.isel({data.draw(st.sampled_from(sorted(map(str, dataset.dims)))): slice(0, 1)})
    path = tmp_path_factory.mktemp("fuzz") / "model.nc"
    dataset.to_netcdf(path)
    with contextlib.suppress(StudyError):
        read_model_file(path)


@few
@given(data=st.data(), value=values)
def test_pickles(data, value, tmp_path_factory):
    contents = bytearray(pickle.dumps(value, data.draw(st.integers(0, 5))))
    for _ in range(data.draw(st.integers(0, 3))):
        contents[data.draw(st.integers(0, len(contents) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("fuzz") / "model.pkl"
    path.write_bytes(contents)
    with pytest.raises(StudyError):  # such a tree is never a whole model
        read_notebook_pickle(path)


@pytest.mark.parametrize("version", [0, 2, None, "1"])
@pytest.mark.parametrize("reader", [read_model_file, store.read_any])
def test_files_of_another_schema_are_refused_by_name(model, tmp_path, reader, version):
    with xr.open_dataset(model) as opened:
        dataset = opened.load()
    if version is None:
        del dataset.attrs["slds_schema_version"]
    else:
        dataset.attrs["slds_schema_version"] = version
    dataset.to_netcdf(tmp_path / "model.nc")
    with pytest.raises(StudyError, match=rf"model\.nc: schema version {version}, expected 1; rebuild it"):
        reader(tmp_path / "model.nc")
