"""A decoder with a network: its expectations are averages over draws of the latent path, and no draws where the network is a line."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Key

from slds_core.chains.gaussian import GaussianStatistics
from slds_core.chains.small_matrices import cholesky_factor
from slds_core.full_precision import in_full_precision
from slds_core.learning.decoder import LinearDecoder, expected_log_density
from slds_core.learning.sampling import sample_path

_PAIRS = 500  # draws of a prediction, each with its mirror image
_STEPS = 64  # that are predicted at once


class MLPDecoder(eqx.Module):
    """``y_t ~ N(f(z_t), diag(w)^-1)``, ``f(z) = C z + d + g(z)`` with a network ``g``: where that is zero, a linear decoder."""

    sampled: ClassVar[bool] = True  # whether its expectations are averages over draws

    linear: LinearDecoder
    correction: eqx.nn.MLP  # g

    def __call__(self, latent: Float[Array, " latent"]) -> Float[Array, " channel"]:
        """Returns ``f(z)``."""
        return self.linear.loading @ latent + self.linear.offset + self.correction(latent)

    @in_full_precision
    def expected_log_likelihood(
        self,
        values: Float[Array, "packed channel"],
        observed: Bool[Array, "packed channel"],
        statistics: GaussianStatistics,
        lengths: tuple[int, ...],
        key: Key[Array, ""] | None = None,
    ) -> Float[Array, ""]:
        """Returns an estimate without bias of ``E_q[log p(y | z)]`` from one reparameterised path (nats).

        The square of ``y - f(z)`` is that of its tangent at ``E z``, whose expectation is known, plus a difference, which is sampled.

        Args:
            values, observed: sequences end to end.
            statistics: of ``q(z)``, likewise.
            lengths: of the sequences.
            key: of the path.

        Raises:
            ValueError: there is no key.
        """
        if key is None:
            raise ValueError("key: expected a random key, since a network's expectation needs samples; found None")
        path = sample_path(key, statistics, lengths)
        value, slope = jax.vmap(self)(statistics.mean), jax.vmap(jax.jacfwd(self))(statistics.mean)
        gap = jnp.where(observed, values, 0) - value
        spread = jnp.einsum("tci,tij,tcj->tc", slope, statistics.covariance, slope)
        along = jnp.einsum("tci,ti->tc", slope, path - statistics.mean)
        beyond = jax.vmap(self)(path) - value - along  # what the tangent misses of f(z)
        square = gap**2 + spread + beyond * (beyond - 2 * (gap - along))
        return jnp.sum(jnp.where(observed, expected_log_density(square, self.linear.log_precision), 0))

    @in_full_precision
    def predict(
        self, statistics: GaussianStatistics, key: Key[Array, ""] | None = None
    ) -> tuple[Float[Array, "packed channel"], Float[Array, "packed channel"]]:
        """Returns mean and variance of each entry under ``q``, noise included, from a thousand draws of its step.

        Draws come in pairs around ``E z``, so that the mean is exact where ``f`` is a line; the standard error of a variance is some five
        percent of it. All steps share the draws.

        Raises:
            ValueError: there is no key.
        """
        if key is None:
            raise ValueError("key: expected a random key, since a network's prediction needs samples; found None")
        root = cholesky_factor(statistics.covariance)
        draws = jax.random.normal(key, (_PAIRS, root.shape[-1]), root.dtype)

        def of_step(step):
            mean, own_root = step
            moved = draws @ own_root.T
            return self.moments(jnp.concatenate([mean + moved, mean - moved]))

        return lax.map(of_step, (statistics.mean, root), batch_size=_STEPS)

    @in_full_precision
    def moments(self, draws: Float[Array, "draw latent"]) -> tuple[Float[Array, " channel"], Float[Array, " channel"]]:
        """Returns mean and variance of a step's entries, noise included, from draws of that step."""
        values = jax.vmap(self)(draws)
        return jnp.mean(values, 0), jnp.var(values, 0) + jnp.exp(-self.linear.log_precision)


def correcting(linear: LinearDecoder, width: int, key: Key[Array, ""]) -> MLPDecoder:
    """Returns a decoder with a network of one hidden layer that is the linear one, until it has learnt: its last layer is zero."""
    channels, latent = linear.loading.shape
    network = eqx.nn.MLP(latent, channels, width, 1, activation=jnp.tanh, dtype=linear.loading.dtype, key=key)
    silent = jax.tree.map(jnp.zeros_like, network.layers[-1])
    return MLPDecoder(linear, eqx.tree_at(lambda n: n.layers[-1], network, silent))
