"""Padded steps that change nothing, so that shorter chains run beside longer ones.

There is one state more, in which a chain has ended: certain in padding, impossible before, entered with weight one and never left. One
transition matrix still serves all steps, where an identity in padding would need one matrix for each.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool

from slds_core.chains.hmm.types import HMMPotentials, HMMStatistics

_IMPOSSIBLE = -1e9
"""Its exponential is zero in any precision; an infinity would make second derivatives NaN."""


def with_end(potentials: HMMPotentials, real: Bool[Array, " time"]) -> HMMPotentials:
    """Returns the chain with a last state that is certain where ``real`` does not hold, and impossible elsewhere."""
    states = potentials.initial.size
    ended = jnp.zeros_like(potentials.unary, shape=(real.size, 1))
    return HMMPotentials(
        initial=jnp.pad(potentials.initial, (0, 1)),
        transition=jnp.pad(potentials.transition, (0, 1)).at[states, :states].set(_IMPOSSIBLE),
        unary=jnp.concatenate(
            [jnp.where(real[:, None], potentials.unary, _IMPOSSIBLE), jnp.where(real[:, None], _IMPOSSIBLE, ended)],
            axis=1,
        ),
    )


def without_end(statistics: HMMStatistics) -> HMMStatistics:
    """Returns the statistics of a chain that ``with_end`` made, less the last state."""
    return HMMStatistics(statistics.initial[:-1], statistics.transition[:-1, :-1], statistics.marginals[:, :-1])
