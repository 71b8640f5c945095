"""The linear decoder: likelihood of what is observed, given the latent path. Entries that are missing take no part, exactly."""

import math
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from slds_core.chains.gaussian import GaussianStatistics
from slds_core.full_precision import in_full_precision
from slds_core.models.slds import RecognitionPotentials


class LinearDecoder(eqx.Module):
    """``y_t ~ N(C z_t + d, diag(w)^-1)``."""

    sampled: ClassVar[bool] = False  # whether its expectations are averages over draws

    loading: Float[Array, "channel latent"]  # C
    offset: Float[Array, " channel"]  # d
    log_precision: Float[Array, " channel"]  # log w

    @in_full_precision
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
        return jnp.sum(jnp.where(observed, expected_log_density(expected_square, self.log_precision), 0))

    @in_full_precision
    def predict(
        self, statistics: GaussianStatistics, key: Key[Array, ""] | None = None
    ) -> tuple[Float[Array, "packed channel"], Float[Array, "packed channel"]]:
        """Returns mean and variance of each entry under ``q``, noise included; the key is not used, other decoders draw samples."""
        spread = jnp.einsum("ci,tij,cj->tc", self.loading, statistics.covariance, self.loading)
        return statistics.mean @ self.loading.T + self.offset, spread + jnp.exp(-self.log_precision)

    @in_full_precision
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


def expected_log_density(expected_square: Array, log_precision: Array) -> Array:
    """Returns the expected log-density of entries (nats), from their expected square distance to the mean."""
    return 0.5 * (log_precision - math.log(2 * math.pi) - jnp.exp(log_precision) * expected_square)
