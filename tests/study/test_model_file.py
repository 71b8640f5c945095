"""Model files by anyone's hand."""

import json
import re
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from own_models import LATENT, STATE, TIME, arrays, changed, dataset
from tolerances import DTYPE

from slds_core.models.slds import SLDS
from slds_core.plugins.models import RandomSLDS
from slds_core.study import registry, store
from slds_core.study.errors import StudyError
from slds_core.study.file_models import NetCDF
from slds_core.study.model_file import read_model_file
from slds_core.study.seal import seal
from slds_core.study.stages.build_model import build_model
from slds_core.study.stages.common import read_model

PRECISION = np.dtype(DTYPE).name
DOCS = Path(__file__).parents[2] / "docs" / "own_model.md"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mine.nc"


def write(path, contents):
    contents.to_netcdf(path)
    return path


def refused(path):
    with pytest.raises(StudyError) as caught:
        read_model_file(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def test_a_file_without_attributes(path):
    found = arrays()
    potentials, start = read_model_file(write(path, dataset(found)))
    np.testing.assert_array_equal(potentials.dynamics.cross, found["dynamics_cross"])
    np.testing.assert_array_equal(start, found["start"])


def test_without_start(path):
    _, start = read_model_file(write(path, dataset(arrays()).drop_vars("start")))
    np.testing.assert_array_equal(start, np.full((TIME - 1, STATE), 1 / STATE))


def test_labels_and_foreign_attributes_do_no_harm(path):
    contents = dataset(arrays()).assign_coords(time=("time", np.arange(TIME), {"units": "days since 2000-01-01"}))
    contents = contents.assign_coords(epoch=7, day=("time", list("abcde")))
    contents["recognition_linear"].attrs["units"] = "seconds"
    potentials, _ = read_model_file(write(path, contents.assign_attrs(title="mine")))
    np.testing.assert_array_equal(potentials.recognition.linear, arrays()["recognition_linear"])


def test_through_the_plugin(path, tmp_path):
    """What is in the file is in the model file of the study, and a file of ours is a file like any other."""
    write(path, dataset(arrays()))
    settings = {"plugin": "netcdf", "parameters": {"path": str(path)}}
    build_model("mine", settings, PRECISION, tmp_path / "model.nc")
    stored = read_model(tmp_path / "model.nc")
    assert isinstance(stored.problem, SLDS)
    np.testing.assert_array_equal(stored.start, arrays()["start"].astype(DTYPE))
    settings = {"plugin": "netcdf", "parameters": {"path": str(tmp_path / "model.nc")}}
    build_model("again", settings, PRECISION, tmp_path / "again.nc")
    again, first = store.read(tmp_path / "again.nc", "model"), store.read(tmp_path / "model.nc", "model")
    xr.testing.assert_equal(again, first)
    assert json.loads(again.attrs["settings"]) == settings


def test_the_plugin_tells_what_it_reads():
    assert registry.make("models", "netcdf", {"path": "mine.nc"}).input_files() == [Path("mine.nc")]
    assert RandomSLDS().input_files() == []


def test_built_in_float64_whatever_the_setting(path):
    built = NetCDF(path=write(path, dataset(arrays()))).build()
    assert built.parameters.recognition.linear.dtype == built.start.dtype == np.float64
    np.testing.assert_array_equal(built.start, arrays()["start"])


def test_path_is_needed():
    with pytest.raises(StudyError, match=r"^key 'path' is missing$"):
        registry.make("models", "netcdf", {})


def without(name):
    return dataset(arrays()).drop_vars(name)


def renamed(**names):
    return dataset(arrays()).rename(names)


def replaced(name, dimensions, values):
    return dataset(arrays()).drop_vars(name).assign({name: (dimensions, values)})


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (
            without("dynamics_cross"),
            "variable 'dynamics_cross' is missing; expected it with dimensions (state, latent, latent_next)",
        ),
        (without("initial_normalizer"), "variable 'initial_normalizer' is missing; expected it with dimensions ()"),
        (
            xr.Dataset(),
            "variable 'recognition_quadratic' is missing; expected it with dimensions (time, latent, latent_next)",
        ),
        (renamed(start="strat"), "variable 'strat' is no part of a model; did you mean 'start'?"),
        (
            renamed(dynamics_cross="dynamic_cross"),
            "variable 'dynamic_cross' is no part of a model; did you mean 'dynamics_cross'?",
        ),
        (
            renamed(time="t"),
            "variable 'recognition_quadratic' has dimensions (t, latent, latent_next), expected (time, latent, latent_next)",
        ),
        (
            replaced("recognition_linear", ("latent", "time"), np.zeros((LATENT, TIME))),
            "variable 'recognition_linear' has dimensions (latent, time), expected (time, latent)",
        ),
        (
            replaced("recognition_linear", ("time", "latent", "one"), np.zeros((TIME, LATENT, 1))),
            "variable 'recognition_linear' has dimensions (time, latent, one), expected (time, latent)",
        ),
        (
            replaced("start", ("time", "state"), np.full((TIME, STATE), 1 / STATE)),
            "variable 'start' has dimensions (time, state), expected (transition, state)",
        ),
        (
            replaced("start", ("transition", "state"), np.full((TIME, STATE), 1 / STATE)),
            "start has shape (5, 3): 5 along transition, expected 4: recognition_quadratic has 5 time steps",
        ),
        (
            replaced("discrete_transition", ("state", "state_next"), np.zeros((STATE, 2))),
            "discrete_transition has shape (3, 2): 2 along state_next, expected 3 as in dynamics_linear_current",
        ),
        (
            dataset(arrays()).isel(time=slice(0, 0), transition=slice(0, 0)),
            "recognition_quadratic has shape (0, 2, 2): nothing along time, expected at least 1",
        ),
        (
            replaced("dynamics_constant", "state", ["low", "mid", "top"]),
            "dynamics_constant holds values of type <U3, expected real floating-point numbers",
        ),
        (
            renamed(start="strat").set_coords("strat"),
            "variable 'strat' is no part of a model; did you mean 'start'?",
        ),
        (
            replaced("dynamics_constant", "state", np.array(["2000-01-01", "2000-01-02", "2000-01-05"], "M8[ns]")),
            "variable 'dynamics_constant' holds times (units 'days since 2000-01-01 00:00:00'), expected real numbers",
        ),
        (
            replaced("dynamics_constant", "state", np.array([1, 2, 5], "m8[s]")),
            "variable 'dynamics_constant' holds times (dtype 'timedelta64[s]'), expected real numbers",
        ),
        (
            dataset(changed("recognition_linear", (4, 1), np.nan)),
            "recognition_linear[4, 1] is nan, expected a finite number",
        ),
        (dataset(changed("start", (3, 2), 1.5)), "start[3, 2] is 1.5, expected a probability between 0 and 1"),
        (
            dataset(changed("dynamics_quadratic_current", (1, 0, 1), 2.0)),
            re.compile(
                r"dynamics_quadratic_current\[1, 0, 1\] is 2 and \[1, 1, 0\] is -?0\.\d+, expected a symmetric matrix"
            ),
        ),
        (
            dataset(changed("initial_precision", ..., -9 * np.eye(LATENT))),
            re.compile("initial_precision has the eigenvalue -9, expected none below zero"),
        ),
        (
            dataset(changed("recognition_quadratic", ..., 9 * np.eye(LATENT))),
            re.compile(
                r"total precision of .* is not positive definite: at time 0, latent 0 the pivot is -\d+(\.\d+)?, expected"
            ),
        ),
    ],
)
def test_wrong_contents(path, contents, message):
    found = refused(write(path, contents))
    assert message.match(found) if isinstance(message, re.Pattern) else found == message


def test_a_repeated_dimension(path):
    """What the NetCDF library allows and xarray warns of."""
    write(path, without("initial_precision"))
    with netCDF4.Dataset(path, "a") as file:
        file.createVariable("initial_precision", "f8", ("latent", "latent"))[:] = np.eye(LATENT)
    expected = "variable 'initial_precision' has dimensions (latent, latent), expected (latent, latent_next)"
    assert refused(path) == expected


def test_no_file(path):
    assert refused(path) == "no such file; expected a model file"
    assert refused(path.parent) == "no such file; expected a model file"


def test_truncated(path):
    write(path, dataset(arrays()))
    path.write_bytes(path.read_bytes()[:3000])
    assert refused(path).startswith("cannot be read as NetCDF, the file is damaged or foreign: ")


def test_not_netcdf(path):
    path.write_text("recognition_linear: [[0, 0]]")
    assert refused(path).startswith("cannot be read as NetCDF, the file is damaged or foreign: ")


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"slds_kind": "inference"}, "expected a model file, found an inference file"),
        ({"complete": 0}, "the file is incomplete; delete it and run again"),
        (
            {"slds_schema_version": 0},
            f"schema version 0, expected {store.SCHEMA_VERSION}; rebuild it with this version",
        ),
    ],
)
def test_files_of_ours_are_held_to_more(path, attributes, message):
    ours = {"slds_kind": "model", "slds_schema_version": store.SCHEMA_VERSION, "complete": 1}
    seal(write(path, dataset(arrays()).assign_attrs(ours | attributes)))
    assert refused(path) == message


def test_a_file_of_ours_that_was_changed_is_refused_and_says_how_to_use_it(path):
    ours = {"slds_kind": "model", "slds_schema_version": store.SCHEMA_VERSION, "complete": 1}
    write(path, dataset(arrays()).assign_attrs(ours))
    assert refused(path).endswith("A model that you changed on purpose can be used without the attribute slds_kind")
    del ours["slds_kind"]
    read_model_file(write(path, dataset(arrays()).assign_attrs(ours)))


def test_the_example_in_the_docs(tmp_path, monkeypatch):
    """It runs, makes a valid file, and its potentials are the log-densities that it says they are."""
    monkeypatch.chdir(tmp_path)
    code = re.search(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert code
    names = {}
    exec(compile(code[1], str(DOCS), "exec"), names)
    potentials, start = read_model_file(tmp_path / "mine.nc")
    assert start.shape == (names["T"] - 1, names["K"])

    current, following = np.random.default_rng(1).standard_normal((2, names["D"]))
    dynamics = potentials.dynamics
    scores = (
        dynamics.linear_current @ current
        + current @ dynamics.quadratic_current @ current
        + current @ dynamics.cross @ following
        + following @ dynamics.quadratic_next @ following
        + dynamics.linear_next @ following
        + dynamics.constant
    )
    for k, score in enumerate(scores):
        precision = names["precision"][k]
        error = following - names["A"][k] @ current - names["b"][k]
        log_density = 0.5 * np.linalg.slogdet(precision)[1] - 0.5 * error @ precision @ error
        assert score == pytest.approx(log_density, rel=1e-12)
    np.testing.assert_allclose(np.exp(potentials.discrete.transition).sum(axis=1), 1, rtol=1e-12)
