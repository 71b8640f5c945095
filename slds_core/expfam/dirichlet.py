"""Dirichlet: sufficient statistics ``log p``, natural parameters ``concentration - 1``."""

import jax.numpy as jnp
from jax.scipy.special import digamma, gammaln
from jaxtyping import Array, Float


def log_partition(concentration: Float[Array, "*batch state"]) -> Float[Array, "*batch"]:
    """Returns the log-normaliser of ``Π_k p_k^(concentration_k - 1)`` (nats)."""
    return jnp.sum(gammaln(concentration), -1) - gammaln(jnp.sum(concentration, -1))


def expected_log_probability(concentration: Float[Array, "*batch state"]) -> Float[Array, "*batch state"]:
    """Returns ``E[log p]`` (nats), along the last axis one distribution each.

    References:
        Bishop (2006), "Pattern Recognition and Machine Learning", equation B.21.
    """
    return digamma(concentration) - digamma(jnp.sum(concentration, -1, keepdims=True))
