"""The messages of ``messages``, for many sequences end to end.

Arithmetic runs over all steps at once. Only where every sequence has its own copy of the dynamics, sequences are laid side by side for the
product with it, and end to end again.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from slds_core.chains.gaussian import GaussianPotentials, GaussianStatistics
from slds_core.chains.packing import Lengths, after, before, entering, leaving, pack, starts, transitions, unpack
from slds_core.models.slds.potentials import DynamicsPotentials, SLDSPotentials


def to_gaussian(
    potentials: SLDSPotentials, lengths: Lengths, marginals: Float[Array, "packed_transition state"]
) -> GaussianPotentials:
    """Returns the Gaussian chains' natural parameters, given the states' marginals."""
    dynamics, recognition, initial = potentials.dynamics, potentials.recognition, potentials.initial
    first, away, here = starts(lengths), leaving(lengths, marginals), entering(lengths, marginals)

    def expected(own: Lengths, weights, per_state, rank: int):
        return _each(
            own, lambda weights, per_state: jnp.tensordot(weights, per_state, axes=1), weights, per_state, rank
        )

    quadratic = pack(lengths, recognition.quadratic).at[first].add(-0.5 * initial.precision)
    linear = pack(lengths, recognition.linear).at[first].add(initial.linear)
    return GaussianPotentials(
        quadratic=quadratic
        + expected(lengths, away, dynamics.quadratic_current, 3)
        + expected(lengths, here, dynamics.quadratic_next, 3),
        cross=expected(transitions(lengths), marginals, dynamics.cross, 3),
        linear=linear
        + expected(lengths, away, dynamics.linear_current, 2)
        + expected(lengths, here, dynamics.linear_next, 2),
    )


def to_discrete(
    dynamics: DynamicsPotentials, lengths: Lengths, statistics: GaussianStatistics
) -> Float[Array, "packed_transition state"]:
    """Returns the unary log-potentials of the discrete chains (nats)."""
    between = transitions(lengths)

    def score(own: Lengths, expected, per_state, rank: int):
        axes = tuple(range(1, rank))
        return _each(own, lambda e, p: jnp.tensordot(e, p, axes=(axes, axes)), expected, per_state, rank)

    second, mean = statistics.second_moment, statistics.mean
    away = score(lengths, mean, dynamics.linear_current, 2) + score(lengths, second, dynamics.quadratic_current, 3)
    here = score(lengths, mean, dynamics.linear_next, 2) + score(lengths, second, dynamics.quadratic_next, 3)
    return (
        before(lengths, away)
        + after(lengths, here)
        + score(between, statistics.cross_moment, dynamics.cross, 3)
        + by_entry(between, dynamics.constant, 1)
    )


def by_entry(lengths: Lengths, array: Float[Array, "*rest"], rank: int) -> Float[Array, "entry *rest"]:
    """Returns for each packed entry its sequence's copy of an array, or, as one entry, the array that all share.

    Args:
        lengths: entries of each sequence.
        array: of so many axes, or with one over sequences before them.
        rank: number of axes of what is shared.
    """
    return (
        jnp.repeat(array, np.array(lengths), axis=0, total_repeat_length=sum(lengths))
        if array.ndim > rank
        else array[None]
    )


def _each(lengths: Lengths, function: Callable[..., Array], entries: Array, array: Array, rank: int) -> Array:
    """Returns ``function(entries, array)``, by sequence where each has its own copy of the array."""
    if array.ndim == rank:
        return function(entries, array)
    return pack(lengths, jax.vmap(function)(unpack(lengths, entries), array))
