"""Which back end is chosen, by the device that JAX computes on."""

import jax
import jax.numpy as jnp
import pytest

from slds_core.chains import native
from slds_core.chains.backend import choose

ON_A_CPU = "scan" if native.why_not() else "native"


@pytest.mark.parametrize(
    ("default", "chosen"), [(None, "associative"), ("cpu", ON_A_CPU), (jax.devices("cpu")[0], ON_A_CPU)], ids=str
)
def test_where_there_is_a_gpu(monkeypatch, default, chosen):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    with jax.default_device(default):
        assert choose(None, {}, jnp.float32) == chosen


def test_a_gpu_that_is_asked_for():
    with jax.default_device("gpu"):
        assert choose(None, {}, jnp.float32) == "associative"
