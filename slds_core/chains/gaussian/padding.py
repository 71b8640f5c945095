"""Chains side by side, padded by steps that change nothing, so that shorter ones run beside longer ones."""

import math

import jax.numpy as jnp
from jaxtyping import Array, Bool

from slds_core.chains.gaussian.types import GaussianPotentials, GaussianStatistics
from slds_core.chains.packing import Lengths, pack, transitions, unpack


def side_by_side(lengths: Lengths, potentials: GaussianPotentials) -> GaussianPotentials:
    """Returns potentials of chains end to end with a first axis for the chains, zero in padding."""
    return GaussianPotentials(
        unpack(lengths, potentials.quadratic),
        unpack(transitions(lengths), potentials.cross),
        unpack(lengths, potentials.linear),
    )


def end_to_end(lengths: Lengths, statistics: GaussianStatistics) -> GaussianStatistics:
    """Returns statistics of chains side by side end to end, padding dropped."""
    return GaussianStatistics(
        pack(lengths, statistics.second_moment),
        pack(transitions(lengths), statistics.cross_moment),
        pack(lengths, statistics.mean),
    )


def set_apart(potentials: GaussianPotentials, real: Bool[Array, " time"]) -> GaussianPotentials:
    """Returns the chain with steps of log-partition zero where ``real`` does not hold; all their potentials must be zero.

    Such a step stands apart from all others, with density ``exp(-π zᵀ z)``, which integrates to one.
    """
    latent = potentials.linear.shape[1]
    alone = -math.pi * jnp.eye(latent, dtype=potentials.linear.dtype)
    quadratic = jnp.where(real[:, None, None], potentials.quadratic, alone[None])
    return GaussianPotentials(quadratic, potentials.cross, potentials.linear)
