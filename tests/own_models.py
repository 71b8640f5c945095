"""A small SLDS as a person would write it down: NumPy arrays by the names of the model file. No JAX."""

import numpy as np
import xarray as xr

from slds_core.models.slds import fields
from slds_core.study.trees import named_fields

DIMENSIONS = {name: field.dimensions for name, field in named_fields(fields.PARAMETERS).items()}
DIMENSIONS["start"] = fields.MARGINALS.dimensions
TIME, LATENT, STATE = 5, 2, 3


def arrays(seed=0):
    """Returns the arrays of a valid model: known dynamics, noisy observations."""
    generator = np.random.default_rng(seed)
    matrix = 0.9 * np.eye(LATENT) + 0.3 * generator.standard_normal((STATE, LATENT, LATENT))
    offset = generator.standard_normal((STATE, LATENT))
    precision = np.tile(2 * np.eye(LATENT), (STATE, 1, 1))
    return {
        "recognition_quadratic": np.tile(-0.5 * np.eye(LATENT), (TIME, 1, 1)),
        "recognition_linear": generator.standard_normal((TIME, LATENT)),
        "dynamics_linear_current": -2 * np.einsum("kji,kj->ki", matrix, offset),
        "dynamics_quadratic_current": -matrix.mT @ matrix,
        "dynamics_cross": matrix.mT @ precision,
        "dynamics_quadratic_next": -0.5 * precision,
        "dynamics_linear_next": 2 * offset,
        "dynamics_constant": -np.sum(offset**2, axis=1),
        "initial_precision": np.eye(LATENT),
        "initial_linear": np.zeros(LATENT),
        "initial_normalizer": np.array(1.8),
        "discrete_initial": np.log([0.5, 0.3, 0.2]),
        "discrete_transition": np.log(np.full((STATE, STATE), 0.3)),
        "start": generator.dirichlet(np.ones(STATE), TIME - 1),
    }


def changed(name, index, value):
    """Returns the arrays with one entry, or some, replaced."""
    found = arrays()
    found[name][index] = value
    return found


def dataset(found):
    """Returns the arrays as a dataset without any attribute."""
    return xr.Dataset({name: (DIMENSIONS[name], array) for name, array in found.items()})
