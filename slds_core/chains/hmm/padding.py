"""Padded steps that change nothing, so that shorter chains run beside longer ones.

There is one state more, in which a chain has ended: certain in padding, impossible before, entered with weight one and never left. One
transition matrix still serves all steps, where an identity in padding would need one matrix for each.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

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


def without_end(
    log_partition: Float[Array, ""], statistics: HMMStatistics, real: Bool[Array, " time"]
) -> tuple[Float[Array, ""], HMMStatistics]:
    """Returns log-partition and statistics of a chain that ``with_end`` made, less the last state; NaN where no path is possible.

    If no path is possible, the padded chain's best path enters the end state too early, at the weight of an impossible event, and the
    other states' statistics look plausible. Such a chain is in the end state before its real end with probability one, any other with
    probability zero: the sum below tells them apart.
    """
    impossible = jnp.sum(jnp.where(real, statistics.marginals[:, -1], 0)) > 0.5
    spoil = jnp.where(impossible, jnp.nan, 1).astype(log_partition.dtype)  # a factor: derivatives are NaN too
    pairs = jnp.where(jnp.any(real[1:]), spoil, 1)  # a single step has none, and their sum is zero
    return spoil * log_partition, HMMStatistics(
        spoil * statistics.initial[:-1], pairs * statistics.transition[:-1, :-1], spoil * statistics.marginals[:, :-1]
    )
