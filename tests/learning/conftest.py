"""Observations with entries missing, and a linear decoder for them."""

import jax.numpy as jnp
import numpy as np
import pytest
from few_steps import CHANNELS, LATENT, TIME
from problems import as_jax

from slds_core.learning import Batch, LinearDecoder


@pytest.fixture
def decoder():
    generator = np.random.default_rng(0)
    arrays = generator.standard_normal((CHANNELS, LATENT)), generator.standard_normal(CHANNELS), np.array([0.5, -1, 2])
    return as_jax(LinearDecoder(*arrays))


@pytest.fixture
def batch():
    generator = np.random.default_rng(1)
    observed = generator.random((1, TIME, CHANNELS)) > 0.4
    observed[0, 3] = False  # a step without any observation
    return Batch(as_jax(generator.standard_normal((1, TIME, CHANNELS))), jnp.asarray(observed), (TIME,))
