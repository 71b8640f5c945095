"""Padded steps that change nothing, so that shorter chains run beside longer ones."""

import math

import jax.numpy as jnp
from jaxtyping import Array, Bool

from slds_core.chains.gaussian.types import GaussianPotentials


def set_apart(potentials: GaussianPotentials, real: Bool[Array, " time"]) -> GaussianPotentials:
    """Returns the chain with steps of log-partition zero where ``real`` does not hold; all their potentials must be zero.

    Such a step stands apart from all others, with density ``exp(-π zᵀ z)``, which integrates to one.
    """
    latent = potentials.linear.shape[1]
    alone = -math.pi * jnp.eye(latent, dtype=potentials.linear.dtype)
    quadratic = jnp.where(real[:, None, None], potentials.quadratic, alone[None])
    return GaussianPotentials(quadratic, potentials.cross, potentials.linear)
