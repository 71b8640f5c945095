"""Trees of arrays through named variables and back."""

import jax
import numpy as np
import pytest
import xarray as xr
from problems import Affine, affine, slds

from slds_core.models.slds import SLDS
from slds_core.study.errors import StudyError
from slds_core.study.trees import from_dataset, named_fields, to_variables

MODELS = {"slds": (SLDS(), lambda: slds(4, 2, 3)), "affine": (Affine(), affine)}


@pytest.mark.parametrize("prefix", ["", "start"])
@pytest.mark.parametrize("name", MODELS)
def test_roundtrip(name, prefix):
    problem, make = MODELS[name]
    parameters, _ = make()
    fields = problem.parameter_fields()
    dataset = xr.Dataset(to_variables(parameters, fields, prefix))
    assert list(dataset.data_vars) == list(named_fields(fields, prefix))
    back = from_dataset(dataset, fields, prefix)
    assert jax.tree.structure(back) == jax.tree.structure(parameters)
    for found, expected in zip(jax.tree.leaves(back), jax.tree.leaves(parameters), strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


def test_a_tree_that_is_one_array_is_named_by_its_prefix():
    assert list(named_fields(SLDS().state_fields(), "state")) == ["state"]


def test_names_are_paths():
    assert list(named_fields(SLDS().parameter_fields(), "gradient"))[:3] == [
        "gradient_recognition_quadratic",
        "gradient_recognition_linear",
        "gradient_dynamics_linear_current",
    ]


def test_missing_and_misshapen_variables():
    parameters, _ = affine()
    fields = Affine().parameter_fields()
    dataset = xr.Dataset(to_variables(parameters, fields))
    dataset.encoding["source"] = "somewhere.nc"
    with pytest.raises(StudyError, match=r"^somewhere\.nc: variable 'offset' is missing$"):
        from_dataset(dataset.drop_vars("offset"), fields)
    turned = dataset.assign(matrix=dataset.matrix.transpose())
    expected = r"variable 'matrix' has dimensions \(column, row\), expected \(row, column\)"
    with pytest.raises(StudyError, match=expected):
        from_dataset(turned, fields)
