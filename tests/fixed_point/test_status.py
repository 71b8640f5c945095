"""Names of how an iteration ended."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

from slds_core.fixed_point import InferenceStatus
from slds_core.fixed_point.status import name_of, names_of


def batch(*names):
    items = [getattr(InferenceStatus, name) for name in names]
    return jax.tree.map(lambda *values: jnp.stack(values), *items)


def test_names():
    assert name_of(InferenceStatus.sweep_limit) == "sweep_limit"
    assert names_of(batch("converged", "nonfinite")).tolist() == ["converged", "nonfinite"]
    with pytest.raises(ValueError, match=r"expected one, found a batch of shape \(2,\)"):
        name_of(batch("converged", "converged"))


def test_what_is_no_status_has_no_name():
    beyond = eqx.tree_at(lambda item: item._value, InferenceStatus.converged, jnp.array(99))
    unknown = jax.eval_shape(lambda: InferenceStatus.converged)
    for item in (beyond, unknown):
        with pytest.raises(ValueError, match="status: expected items of converged, "):
            name_of(item)
