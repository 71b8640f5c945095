"""Sequences side by side, padded to the longest, as encoders hand them over, and end to end, as all else sees them.

Packed arrays hold nothing but what the sequences hold: no mean, norm, random draw or solver can see padding, because there is none.
A sequence has one transition less than steps, and steps and transitions are packed each on their own.
"""

import operator
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

Lengths = tuple[int, ...]


def as_lengths(lengths: Iterable[Any]) -> Lengths:
    """Returns lengths as a tuple of integers, whatever held them.

    Raises:
        ValueError: one is no whole number.
    """
    try:
        return tuple(operator.index(length) for length in lengths)
    except TypeError as error:
        raise ValueError(
            f"lengths: expected a sequence of whole numbers, none of them traced, found {lengths!r}"
        ) from error


def transitions(lengths: Lengths) -> Lengths:
    """Returns how many transitions sequences of these lengths have."""
    return tuple(length - 1 for length in lengths)


def inside(lengths: Lengths) -> Bool[np.ndarray, "sequence entry"]:
    """Returns which entries of the padded layout belong to a sequence."""
    return np.arange(max(lengths)) < np.array(lengths)[:, None]


def owners(lengths: Lengths) -> Int[np.ndarray, " packed"]:
    """Returns which sequence each entry of the packed layout belongs to."""
    return np.repeat(np.arange(len(lengths)), lengths)


def starts(lengths: Lengths) -> Int[np.ndarray, " sequence"]:
    """Returns each sequence's first step."""
    return np.cumsum((0, *lengths[:-1]))


def transition_starts(lengths: Lengths) -> Int[np.ndarray, " transition"]:
    """Returns the step that each transition starts from: every step but each sequence's last."""
    return np.delete(np.arange(sum(lengths)), np.cumsum(lengths) - 1)


def split(
    lengths: Lengths, packed: Float[Array, "packed *rest"] | np.ndarray
) -> list[Float[np.ndarray, "entry *rest"]]:
    """Returns each sequence's part of an array."""
    return np.split(np.asarray(packed), np.cumsum(lengths)[:-1])


def pack(lengths: Lengths, padded: Float[Array, "sequence entry *rest"]) -> Float[Array, "packed *rest"]:
    """Returns the sequences end to end, padding dropped, which may go beyond the longest."""
    cut = jnp.asarray(padded)[:, : max(lengths)]
    flat = cut.reshape(-1, *cut.shape[2:])
    return flat if _uniform(lengths) else _take(flat, np.flatnonzero(inside(lengths)))


def unpack(lengths: Lengths, packed: Float[Array, "packed *rest"]) -> Float[Array, "sequence entry *rest"]:
    """Returns the sequences side by side, zero in padding.

    Raises:
        ValueError: the array does not hold as many entries as the sequences do together.
    """
    _check(lengths, packed)
    packed = jnp.asarray(packed)
    if _uniform(lengths):
        return packed.reshape(len(lengths), lengths[0], *packed.shape[1:])
    source = np.full(inside(lengths).shape, sum(lengths))  # out of bounds: filled with zero
    source[inside(lengths)] = np.arange(sum(lengths))
    return packed.at[source].get(mode="fill", fill_value=0)


def leaving(lengths: Lengths, packed: Float[Array, "transition *rest"]) -> Float[Array, "step *rest"]:
    """Returns for each step what belongs to the transition from it; zero for a sequence's last."""
    return _spread(lengths, packed, first=0)


def entering(lengths: Lengths, packed: Float[Array, "transition *rest"]) -> Float[Array, "step *rest"]:
    """Returns for each step what belongs to the transition to it; zero for a sequence's first."""
    return _spread(lengths, packed, first=1)


def before(lengths: Lengths, packed: Float[Array, "step *rest"]) -> Float[Array, "transition *rest"]:
    """Returns for each transition what belongs to the step that it starts from."""
    return _narrow(lengths, packed, first=0)


def after(lengths: Lengths, packed: Float[Array, "step *rest"]) -> Float[Array, "transition *rest"]:
    """Returns for each transition what belongs to the step that it leads to."""
    return _narrow(lengths, packed, first=1)


def total(lengths: Lengths, packed: Float[Array, " packed"]) -> Float[Array, " sequence"]:
    """Returns each sequence's sum."""
    if _uniform(lengths):
        return jnp.sum(packed.reshape(len(lengths), -1), axis=1)
    return jax.ops.segment_sum(packed, owners(lengths), len(lengths), indices_are_sorted=True)


def _spread(lengths: Lengths, packed: Array, first: int) -> Array:
    _check(transitions(lengths), packed)
    if _uniform(lengths):
        rows = unpack(transitions(lengths), packed)
        padded = jnp.pad(rows, [(0, 0), (first, 1 - first), *((0, 0) for _ in rows.shape[2:])])
        return padded.reshape(-1, *packed.shape[1:])
    source = np.full(sum(lengths), packed.shape[0])  # out of bounds: filled with zero
    source[transition_starts(lengths) + first] = np.arange(packed.shape[0])
    return packed.at[source].get(mode="fill", fill_value=0)


def _narrow(lengths: Lengths, packed: Array, first: int) -> Array:
    if _uniform(lengths):
        rows = unpack(lengths, packed)
        return rows[:, first : first + lengths[0] - 1].reshape(-1, *packed.shape[1:])
    return _take(packed, transition_starts(lengths) + first)


def _check(lengths: Lengths, packed: Array) -> None:
    if packed.shape[0] != sum(lengths):
        raise ValueError(f"expected {sum(lengths)} entries, sequence after sequence, found shape {packed.shape}")


def _take(packed: Array, kept: np.ndarray) -> Array:
    return packed.at[kept].get(unique_indices=True, indices_are_sorted=True, mode="promise_in_bounds")


def _uniform(lengths: Lengths) -> bool:
    return len(set(lengths)) == 1
