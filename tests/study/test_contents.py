"""The hash of what a file holds: of results, not of what they cost."""

import numpy as np
import pytest
import xarray as xr

from slds_core.study import store
from slds_core.study.contents import contents_hash, made_from, place, source

PROVENANCE = {"settings": {"plugin": "newton_cg"}, "precision": "float64", "plugins": {"inference": "newton_cg 1.0"}}


def dataset(state=(1.0, 2.0), status="converged", seconds=0.5, label="a") -> xr.Dataset:
    return xr.Dataset(
        {
            "state": store.variable("time", np.array(state), "state"),
            "group": store.variable("label", np.array([label, "b"], dtype=object), "labels"),
            "run_seconds": store.variable("repeat", [seconds], "run time", "s"),
        },
        attrs={"status": status},
    )


def test_equal_results_at_another_cost():
    assert contents_hash(dataset(), PROVENANCE) == contents_hash(
        dataset(seconds=7.0), dict(reversed(PROVENANCE.items()))
    )


@pytest.mark.parametrize(
    "other",
    [{"state": (1.0, np.nextafter(2.0, 3.0))}, {"state": (1.0, 2.0, 3.0)}, {"status": "sweep_limit"}, {"label": "c"}],
)
def test_other_results(other):
    assert contents_hash(dataset(**other), PROVENANCE) != contents_hash(dataset(), PROVENANCE)


@pytest.mark.parametrize("other", [{"settings": {"plugin": "anderson"}}, {"precision": "float32"}, {"plugins": {}}])
def test_other_origins(other):
    assert contents_hash(dataset(), PROVENANCE | other) != contents_hash(dataset(), PROVENANCE)


def test_shape_and_type_count():
    flat = xr.Dataset({"a": store.variable("time", np.zeros(4), "zeros")})
    square = xr.Dataset({"a": store.variable(("time", "latent"), np.zeros((2, 2)), "zeros")})
    whole = xr.Dataset({"a": store.variable("time", np.zeros(4, dtype=np.int64), "zeros")})
    assert len({contents_hash(one, PROVENANCE) for one in (flat, square, whole)}) == 3


def test_a_file_names_what_it_was_made_from(tmp_path):
    first, second = tmp_path / "first.nc", tmp_path / "second.nc"
    store.write(dataset(), first, "inference", PROVENANCE | {"model": "m", "setting": "newton"})
    used = store.read(first, "inference")
    assert place(used) == "inference/newton"
    store.write(
        dataset(), second, "residual", PROVENANCE | {"model": "m", "setting": "newton", "made_from": source(used)}
    )
    assert made_from(store.read(second, "residual")) == {"inference/newton": used.attrs["contents_hash"]}
