"""Padded steps that change nothing: exact neutral elements of both chains, so that shorter sequences run beside longer ones.

- Gaussian chain: a padded step stands apart from all others, with density ``exp(-π zᵀ z)``, which integrates to one.
- HMM: one state more, in which a sequence has ended: certain in padding, impossible before, entered with weight one and never left.
  One transition matrix still serves all steps, where an identity in padding would need one matrix for each.
"""

import math

import jax.numpy as jnp
from jaxtyping import Array, Bool

from slds_core.chains.gaussian import GaussianPotentials
from slds_core.chains.hmm import HMMPotentials, HMMStatistics


def set_apart(potentials: GaussianPotentials, real: Bool[Array, " time"]) -> GaussianPotentials:
    """Returns the chain with steps of log-partition zero where ``real`` does not hold; all their potentials must be zero."""
    latent = potentials.linear.shape[1]
    alone = -math.pi * jnp.eye(latent, dtype=potentials.linear.dtype)
    quadratic = jnp.where(real[:, None, None], potentials.quadratic, alone[None])
    return GaussianPotentials(quadratic, potentials.cross, potentials.linear)


def with_end(potentials: HMMPotentials, real: Bool[Array, " time"]) -> HMMPotentials:
    """Returns the chain with a last state that is certain where ``real`` does not hold, and impossible elsewhere."""
    states = potentials.initial.size
    ended = jnp.zeros_like(potentials.unary, shape=(real.size, 1))
    return HMMPotentials(
        initial=jnp.pad(potentials.initial, (0, 1)),
        transition=jnp.pad(potentials.transition, (0, 1)).at[states, :states].set(-jnp.inf),
        unary=jnp.concatenate(
            [jnp.where(real[:, None], potentials.unary, -jnp.inf), jnp.where(real[:, None], -jnp.inf, ended)], axis=1
        ),
    )


def without_end(statistics: HMMStatistics) -> HMMStatistics:
    """Returns the statistics of a chain that ``with_end`` made, less the last state."""
    return HMMStatistics(statistics.initial[:-1], statistics.transition[:-1, :-1], statistics.marginals[:, :-1])
