"""Dirichlet: sufficient statistics ``log p``, natural parameters ``concentration - 1``.

Log-partition and expectations are NaN where a concentration is not above zero.
"""

import jax.numpy as jnp
from jax.scipy.special import digamma, gammaln
from jaxtyping import Array, Float

from slds_core.expfam.domain import above


def log_partition(concentration: Float[Array, "*batch state"]) -> Float[Array, "*batch"]:
    """Returns the log-normaliser of ``Π_k p_k^(concentration_k - 1)`` (nats)."""
    concentration = above(0, concentration)
    return jnp.sum(gammaln(concentration), -1) - gammaln(jnp.sum(concentration, -1))


def expected_log_probability(concentration: Float[Array, "*batch state"]) -> Float[Array, "*batch state"]:
    """Returns ``E[log p]`` (nats), along the last axis one distribution each.

    References:
        Bishop (2006), "Pattern Recognition and Machine Learning", equation B.21.
    """
    concentration = above(0, concentration)
    return digamma(concentration) - digamma(jnp.sum(concentration, -1, keepdims=True))
