"""Encoder and decoder as a training begins with them: both give what the warm start's linear decoder gives, or nearly so."""

from typing import Any

import jax
from jaxtyping import Array, Key

from slds_core.learning.batch import Batch
from slds_core.learning.decoder import LinearDecoder
from slds_core.learning.encoder import ExactEncoder, imitating, imitating_network
from slds_core.learning.network_decoder import correcting

ENCODERS = ("exact", "linear", "mlp")
DECODERS = ("linear", "mlp")


def networks(
    encoder: str, decoder: str, start: LinearDecoder, batch: Batch, width: int, key: Key[Array, ""]
) -> tuple[Any, Any]:
    """Returns encoder and decoder.

    Args:
        encoder: 'exact', which needs a linear decoder, 'linear' or 'mlp'.
        decoder: 'linear' or 'mlp'.
        start: the warm start's.
        batch: all data.
        width: units of each network's hidden layer.
        key: of their first weights.

    Raises:
        ValueError: one of them has another name, or they do not go together.
    """
    for name, found, known in (("encoder", encoder, ENCODERS), ("decoder", decoder, DECODERS)):
        if found not in known:
            raise ValueError(f"{name}: expected one of {', '.join(known)}, found {found!r}")
    if (encoder, decoder) == ("exact", "mlp"):
        raise ValueError("encoder: expected 'linear' or 'mlp' with decoder 'mlp', found 'exact'")
    if encoder == "exact":
        own: Any = ExactEncoder()
    elif encoder == "linear":
        own = imitating(start)
    else:
        own = imitating_network(start, batch.values, batch.observed, width, key)
    return own, start if decoder == "linear" else correcting(start, width, jax.random.fold_in(key, 1))
