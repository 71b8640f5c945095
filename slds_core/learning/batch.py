"""Sequences that are learnt from together, as JAX arrays."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from slds_core.chains.packing import pack
from slds_core.data import Series
from slds_core.fixed_point.limits import require_size
from slds_core.models.slds import SLDS, RecognitionPotentials, SLDSSequences, slds_problem


class Batch(eqx.Module):
    """Padded sequences. One compiled program serves all batches of the same lengths."""

    values: Float[Array, "sequence time channel"]  # whatever is in entries that are not observed is not read
    observed: Bool[Array, "sequence time channel"]
    lengths: tuple[int, ...] = eqx.field(static=True)

    @property
    def problem(self) -> SLDS | SLDSSequences:
        """The fixed point of an SLDS on these sequences."""
        return slds_problem(self.lengths if len(self.lengths) > 1 else None)

    @property
    def transitions(self) -> int:
        """Number of transitions in all sequences together: entries of the state."""
        return sum(self.lengths) - len(self.lengths)

    def packed(self, padded: Float[Array, "sequence time *rest"]) -> Float[Array, "packed *rest"]:
        """Returns the sequences end to end, as the posterior's statistics lie."""
        return pack(self.lengths, padded)

    def as_parameters(self, recognition: RecognitionPotentials) -> RecognitionPotentials:
        """Returns padded potentials as the problem takes them: without an axis over sequences where there is one only."""
        if len(self.lengths) > 1:
            return recognition
        return RecognitionPotentials(recognition.quadratic[0], recognition.linear[0])


def full_batch(series: Series) -> Batch:
    """Returns all sequences as one batch, in the precision that JAX is set to."""
    return Batch(jnp.asarray(series.values), jnp.asarray(series.observed), series.lengths)


def batches(series: Series, size: int | None, seed: int) -> list[tuple[list[int], Batch]]:
    """Returns batches of about ``size`` sequences, each with the sequences' numbers; all in one where ``size`` is ``None``.

    Sequences are dealt out once: batches stay as they are, and with them their compiled programs and their last states. Only the order
    in which an epoch visits them changes. Within a batch longer sequences come first, so that equal batches are seen to be equal.

    Args:
        series: all sequences.
        size: sequences in a batch; the last may have fewer.
        seed: of the deal.

    Raises:
        ValueError: ``size`` is below 1.
    """
    if size is not None:
        require_size("size", size, 1)
    count = len(series.lengths)
    if size is None or size >= count:
        return [(list(range(count)), full_batch(series))]
    order = np.random.default_rng(seed).permutation(count)
    dealt = [order[start : start + size] for start in range(0, count, size)]
    groups = [sorted((int(i) for i in group), key=lambda i: (-series.lengths[i], i)) for group in dealt]
    return [(group, full_batch(series.select(group))) for group in groups]
