"""Model files by anyone's hand that hold many sequences."""

import numpy as np
import pytest
import xarray as xr
from own_models import DIMENSIONS, STATE, arrays
from tolerances import DTYPE

from slds_core.models.slds import SLDS, SLDSSequences
from slds_core.study import store
from slds_core.study.errors import StudyError
from slds_core.study.model_file import read_lengths, read_model_file
from slds_core.study.stages.build_model import build_model
from slds_core.study.stages.common import read_model

PRECISION = np.dtype(DTYPE).name
LENGTHS = (3, 1, 5)
OWN = ("recognition_quadratic", "recognition_linear")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mine.nc"


def ragged(lengths=LENGTHS, filling=np.nan, time=6):
    """The same observations in each sequence, as far as it goes; anything in padding."""
    found = arrays()
    start = np.concatenate([found["start"][: length - 1] for length in LENGTHS])
    variables = {name: (DIMENSIONS[name], array) for name, array in found.items() if name not in (*OWN, "start")}
    for name in OWN:
        padded = np.full((len(LENGTHS), time, *found[name].shape[1:]), filling)
        for row, length in zip(padded, LENGTHS, strict=True):
            row[:length] = found[name][:length]
        variables[name] = (("sequence", *DIMENSIONS[name]), padded)
    variables["start"] = (("packed_transition", "state"), start)
    return xr.Dataset(variables | {"length": ("sequence", np.array(lengths))})


def test_padding_is_not_read(path, tmp_path):
    ragged().to_netcdf(path)
    ragged(filling=7.0, time=9).to_netcdf(tmp_path / "other.nc")
    assert read_lengths(path) == list(LENGTHS)
    potentials, start = read_model_file(path)
    assert potentials.recognition.linear.shape == (3, 5, 2)
    for number, length in enumerate(LENGTHS):
        expected = arrays()["recognition_linear"][:length]
        np.testing.assert_array_equal(potentials.recognition.linear[number, :length], expected)
        assert not np.any(potentials.recognition.quadratic[number, length:])
    assert start.shape == (2 + 0 + 4, STATE)

    stored = []
    for name, source in (("one", path), ("other", tmp_path / "other.nc")):
        settings = {"plugin": "netcdf", "parameters": {"path": str(source)}}
        build_model("mine", settings, PRECISION, tmp_path / f"{name}.model.nc")
        stored.append(store.read(tmp_path / f"{name}.model.nc", "model"))
    xr.testing.assert_equal(*stored)
    path.unlink()  # the model's file suffices
    assert read_model(tmp_path / "one.model.nc").problem == SLDSSequences(LENGTHS)


def test_a_file_of_ours_is_one_like_any_other(path, tmp_path):
    settings = {"plugin": "random_slds", "parameters": {"lengths": [4, 2], "latent": 2, "states": 2}}
    build_model("drawn", settings, PRECISION, path)
    settings = {"plugin": "netcdf", "parameters": {"path": str(path)}}
    build_model("again", settings, PRECISION, tmp_path / "again.nc")
    xr.testing.assert_equal(store.read(tmp_path / "again.nc", "model"), store.read(path, "model"))


def test_starts_may_be_left_out(path):
    ragged().drop_vars("start").to_netcdf(path)
    np.testing.assert_array_equal(read_model_file(path)[1], np.full((6, STATE), 1 / STATE))


def test_without_lengths_a_file_holds_one_sequence(path):
    xr.Dataset({name: (DIMENSIONS[name], array) for name, array in arrays().items()}).to_netcdf(path)
    assert read_lengths(path) is None
    settings = {"plugin": "netcdf", "parameters": {"path": str(path)}}
    build_model("mine", settings, PRECISION, path.parent / "model.nc")
    assert read_model(path.parent / "model.nc").problem == SLDS()


def wrong_inside(dataset):
    dataset["recognition_linear"][2, 4, 1] = np.inf
    return dataset


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (ragged((3, 0, 5)), r"length\[1\] is 0, expected at least 1"),
        (ragged((3, 1, 7)), r"length\[2\] is 7, expected at most 6, the size of time"),
        (ragged((3.0, 1.0, 5.0)), "variable 'length' holds values of type float64, expected whole numbers"),
        (
            ragged((3, 2, 5)),
            r"start has shape \(6, 3\): 6 along packed_transition, expected 7: one less than length for each sequence",
        ),
        (
            ragged((3, 2, 5)).drop_vars("start"),
            r"sequence 1: recognition_quadratic\[1, 0, 0\] is nan, expected a finite",
        ),
        (wrong_inside(ragged()), r"sequence 2: recognition_linear\[4, 1\] is inf, expected a finite number"),
        (
            ragged().drop_vars("length"),
            r"variable 'recognition_quadratic' has dimensions \(sequence, time, latent, latent_next\), expected \(time, ",
        ),
        (
            ragged().drop_vars("length").assign(length=("time", np.ones(6, int))),
            r"variable 'length' has dimensions \(time\), expected \(sequence\)",
        ),
        (ragged().rename(start="strat"), "variable 'strat' is no part of a model; did you mean 'start'"),
        (ragged().isel(sequence=slice(0, 0)), "variable 'length' is empty, expected at least one sequence"),
    ],
)
def test_wrong_contents(path, contents, message):
    contents.to_netcdf(path)
    with pytest.raises(StudyError, match=message) as caught:
        read_model_file(path)
    assert str(caught.value).startswith(f"{path}: ")
