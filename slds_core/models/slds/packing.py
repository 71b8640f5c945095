"""Between sequences padded to the longest, as chains are run side by side, and packed end to end, as all else sees them.

Packed arrays hold nothing but what the sequences hold: no mean, norm, random draw or solver can see padding, because there is none.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

Lengths = tuple[int, ...]


def inside(lengths: Lengths) -> Bool[np.ndarray, "sequence entry"]:
    """Returns which entries of the padded layout belong to a sequence."""
    return np.arange(max(lengths)) < np.array(lengths)[:, None]


def owners(lengths: Lengths) -> np.ndarray:
    """Returns which sequence each entry of the packed layout belongs to."""
    return np.repeat(np.arange(len(lengths)), lengths)


def pack(lengths: Lengths, padded: Float[Array, "sequence entry *rest"]) -> Float[Array, "packed *rest"]:
    """Returns the sequences end to end, padding dropped."""
    flat = padded.reshape(-1, *padded.shape[2:])
    if _uniform(lengths):
        return flat
    kept = np.flatnonzero(inside(lengths))
    return flat.at[kept].get(unique_indices=True, indices_are_sorted=True, mode="promise_in_bounds")


def unpack(lengths: Lengths, packed: Float[Array, "packed *rest"]) -> Float[Array, "sequence entry *rest"]:
    """Returns the sequences side by side, zero in padding.

    Raises:
        ValueError: the array does not hold as many entries as the sequences do together.
    """
    rest = packed.shape[1:]
    if packed.shape[0] != sum(lengths):
        raise ValueError(f"expected {sum(lengths)} entries, sequence after sequence, found shape {packed.shape}")
    if _uniform(lengths):
        return packed.reshape(len(lengths), lengths[0], *rest)
    source = np.full(inside(lengths).shape, sum(lengths))  # out of bounds: filled with zero
    source[inside(lengths)] = np.arange(sum(lengths))
    return packed.at[source].get(mode="fill", fill_value=0)


def without_padding(
    lengths: Lengths, padded: Float[Array, "sequence entry *rest"]
) -> Float[Array, "sequence longest *rest"]:
    """Returns padded arrays cut to the longest sequence and zero in what padding is left, whatever was there, NaN included."""
    cut = padded[:, : max(lengths)]
    if _uniform(lengths):
        return cut
    mask = inside(lengths).reshape(*cut.shape[:2], *(1 for _ in cut.shape[2:]))
    return jnp.where(mask, cut, 0)


def _uniform(lengths: Lengths) -> bool:
    return len(set(lengths)) == 1
