"""The mean-field messages between the two chains: one linear map ``L`` of dynamics potentials, used both ways (docs/theory.md, (15)).

They take one series, or many sequences end to end. A step takes part in up to three potentials: that of the transition from it, that of the
transition to it, and that of the first step. So each message is one product of a matrix over steps with the potentials one below the other:
long series are bound by memory, and nothing of size ``time × latent²`` is written twice.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from slds_core.chains.gaussian import GaussianPotentials, GaussianStatistics
from slds_core.chains.packing import Lengths, after, before, entering, leaving, pack, starts, transitions, unpack
from slds_core.full_precision import in_full_precision
from slds_core.models.slds.potentials import DynamicsPotentials, SLDSPotentials


@in_full_precision
def to_gaussian(
    potentials: SLDSPotentials, marginals: Float[Array, "transition state"], lengths: Lengths | None = None
) -> GaussianPotentials:
    """Returns the Gaussian chain's natural parameters ``recognition + first step + Lᵀ μ_c``, given the states' marginals.

    Args:
        potentials: recognition potentials of all steps, sequences end to end; any other shared, or with a leading axis over sequences.
        marginals: of all transitions.
        lengths: time steps of each of many sequences.
    """
    dynamics, recognition, initial = potentials.dynamics, potentials.recognition, potentials.initial
    lengths = lengths or (recognition.linear.shape[0],)
    first = np.isin(np.arange(sum(lengths)), starts(lengths))[:, None].astype(marginals.dtype)
    weights = jnp.concatenate([leaving(lengths, marginals), entering(lengths, marginals), first], axis=1)
    quadratic = _below(dynamics.quadratic_current, dynamics.quadratic_next, -0.5 * initial.precision[..., None, :, :])
    linear = _below(dynamics.linear_current, dynamics.linear_next, initial.linear[..., None, :], rank=2)
    return GaussianPotentials(
        quadratic=recognition.quadratic + _expected(lengths, weights, quadratic, 3),
        cross=_expected(transitions(lengths), marginals, dynamics.cross, 3),
        linear=recognition.linear + _expected(lengths, weights, linear, 2),
    )


@in_full_precision
def to_discrete(
    dynamics: DynamicsPotentials, statistics: GaussianStatistics, lengths: Lengths | None = None
) -> Float[Array, "transition state"]:
    """Returns the unary log-potentials ``o = L μ_g + c`` (nats): each state's expected log-density of each transition.

    Args:
        dynamics: shared, or with a leading axis over sequences.
        statistics: of all steps and transitions.
        lengths: time steps of each of many sequences.
    """
    lengths = lengths or (statistics.mean.shape[0],)
    states = dynamics.constant.shape[-1]
    quadratic = _below(dynamics.quadratic_current, dynamics.quadratic_next)
    linear = _below(dynamics.linear_current, dynamics.linear_next, rank=2)
    steps = _score(lengths, statistics.second_moment, quadratic, 3) + _score(lengths, statistics.mean, linear, 2)
    return (
        before(lengths, steps[:, :states])
        + after(lengths, steps[:, states:])
        + _score(transitions(lengths), statistics.cross_moment, dynamics.cross, 3)
        + by_entry(transitions(lengths), dynamics.constant, 1)
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


def _below(*potentials: Array, rank: int = 3) -> Array:
    """Returns potentials one below the other; with a leading axis over sequences where one of them has it."""
    count = next((p.shape[0] for p in potentials if p.ndim > rank), None)
    if count is not None:
        potentials = tuple(p if p.ndim > rank else jnp.broadcast_to(p, (count, *p.shape)) for p in potentials)
    return jnp.concatenate(potentials, axis=-rank)


def _expected(lengths: Lengths, weights: Array, potentials: Array, rank: int) -> Array:
    return _each(lengths, lambda weights, own: jnp.tensordot(weights, own, axes=1), weights, potentials, rank)


def _score(lengths: Lengths, statistics: Array, potentials: Array, rank: int) -> Array:
    axes = tuple(range(1, rank))
    return _each(lengths, lambda entries, own: jnp.tensordot(entries, own, (axes, axes)), statistics, potentials, rank)


def _each(lengths: Lengths, function: Callable[..., Array], entries: Array, array: Array, rank: int) -> Array:
    """Returns ``function(entries, array)``, by sequence where each has its own copy of the array."""
    if array.ndim == rank:
        return function(entries, array)
    return pack(lengths, jax.vmap(function)(unpack(lengths, entries), array))
