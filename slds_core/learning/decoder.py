"""Decoders: the likelihood of what is observed, given the latent path. Entries that are missing take no part, exactly.

Each has ``expected_log_likelihood``; a linear one in closed form, one with a network by a sample of the latent path.
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from slds_core.chains.gaussian import GaussianStatistics
from slds_core.learning.sampling import sample_path
from slds_core.models.slds import RecognitionPotentials


class LinearDecoder(eqx.Module):
    """``y_t ~ N(C z_t + d, diag(w)^-1)``."""

    loading: Float[Array, "channel latent"]  # C
    offset: Float[Array, " channel"]  # d
    log_precision: Float[Array, " channel"]  # log w

    def expected_log_likelihood(
        self,
        values: Float[Array, "packed channel"],
        observed: Bool[Array, "packed channel"],
        statistics: GaussianStatistics,
        lengths: tuple[int, ...],
        key: Key[Array, ""] | None = None,
    ) -> Float[Array, ""]:
        """Returns ``E_q[log p(y | z)]`` of the observed entries (nats).

        Args:
            values, observed: sequences end to end.
            statistics: of ``q(z)``, likewise.
            lengths, key: not used; other decoders draw samples.
        """
        # E (y - C z - d)² with z's second moment as it is, not a covariance: linear in the statistics, as potentials are
        gap = jnp.where(observed, values, 0) - self.offset
        linear = statistics.mean @ self.loading.T
        square = jnp.einsum("ci,tij,cj->tc", self.loading, statistics.second_moment, self.loading)
        expected_square = gap**2 - 2 * gap * linear + square
        return jnp.sum(jnp.where(observed, _log_density(expected_square, self.log_precision), 0))

    def predict(self, statistics: GaussianStatistics) -> tuple[Array, Array]:
        """Returns mean and variance (packed, channel) of each entry under ``q``, noise included."""
        spread = jnp.einsum("ci,tij,cj->tc", self.loading, statistics.covariance, self.loading)
        return statistics.mean @ self.loading.T + self.offset, spread + jnp.exp(-self.log_precision)

    def potentials(
        self, values: Float[Array, "*batch channel"], observed: Bool[Array, "*batch channel"]
    ) -> RecognitionPotentials:
        """Returns the potentials of ``z`` that the likelihood of the observed entries is, up to a factor."""
        weight = jnp.where(observed, jnp.exp(self.log_precision), 0)
        gap = jnp.where(observed, values, 0) - self.offset
        return RecognitionPotentials(
            quadratic=-0.5 * jnp.einsum("...c,ci,cj->...ij", weight, self.loading, self.loading),
            linear=(weight * gap) @ self.loading,
        )


class MLPDecoder(eqx.Module):
    """``y_t ~ N(f(z_t), diag(w)^-1)`` with a network ``f``."""

    network: eqx.nn.MLP
    log_precision: Float[Array, " channel"]  # log w

    def expected_log_likelihood(self, values, observed, statistics: GaussianStatistics, lengths, key: Any = None):
        """Returns an estimate of ``E_q[log p(y | z)]`` from one reparameterised path (nats); arguments as for ``LinearDecoder``.

        Raises:
            ValueError: there is no key.
        """
        if key is None:
            raise ValueError("key: expected a random key, since a network's expectation needs samples; found None")
        path = sample_path(key, statistics, lengths)
        square = (jnp.where(observed, values, 0) - jax.vmap(self.network)(path)) ** 2
        return jnp.sum(jnp.where(observed, _log_density(square, self.log_precision), 0))

    def predict(self, statistics: GaussianStatistics) -> tuple[Array, Array]:
        """Returns mean and variance (packed, channel) to first order around ``E_q[z]``, noise included."""
        slope = jax.vmap(jax.jacfwd(self.network))(statistics.mean)
        spread = jnp.einsum("tci,tij,tcj->tc", slope, statistics.covariance, slope)
        return jax.vmap(self.network)(statistics.mean), spread + jnp.exp(-self.log_precision)


def _log_density(expected_square: Array, log_precision: Array) -> Array:
    return 0.5 * (log_precision - math.log(2 * math.pi) - jnp.exp(log_precision) * expected_square)
