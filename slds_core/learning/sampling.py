"""Reparameterised samples of the latent path, as a differentiable function of its expected statistics alone.

So whatever differentiates through the fixed point differentiates through samples too: nothing but the posterior enters.

Nothing here calls LAPACK for a batch of steps, which may wait for ever (``slds_core/one_by_one.py`` says why).
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Key

from slds_core.chains.gaussian import GaussianStatistics
from slds_core.chains.packing import transition_starts
from slds_core.chains.small_matrices import cholesky_factor, fused_inverse
from slds_core.full_precision import in_full_precision


@in_full_precision
def sample_path(
    key: Key[Array, ""], statistics: GaussianStatistics, lengths: tuple[int, ...]
) -> Float[Array, "packed latent"]:
    """Returns a draw of each sequence's path, end to end.

    The path is drawn from the last step backwards, from the conditionals

        z_t | z_{t+1} ~ N(m_t + G_t (z_{t+1} - m_{t+1}), Σ_t - G_t Σ_{t+1} G_tᵀ),      G_t = Cov(z_t, z_{t+1}) Σ_{t+1}^-1.

    Args:
        key: JAX's random key.
        statistics: of the Gaussian chain, sequences end to end.
        lengths: time steps of each; draws of different sequences are independent.

    Returns:
        The paths; NaN where rounding has left no positive definite covariance, see ``GaussianStatistics.covariance``.
    """
    mean, covariance = statistics.mean, statistics.covariance
    steps, latent = mean.shape
    # one chain over all sequences, in which the last step of each is tied to nothing
    joined = transition_starts(lengths)
    between = statistics.cross_moment - mean[joined][:, :, None] * mean[joined + 1][:, None, :]
    cross = jnp.zeros_like(covariance).at[joined].set(between)
    following = jnp.roll(covariance, -1, axis=0)
    gain = cross @ fused_inverse(following)
    root = cholesky_factor(covariance - gain @ cross.mT)
    noise = jnp.einsum("tij,tj->ti", root, jax.random.normal(key, (steps, latent), mean.dtype))

    def back(deviation, step):
        own_gain, own_noise = step
        deviation = own_gain @ deviation + own_noise
        return deviation, deviation

    _, deviations = lax.scan(back, jnp.zeros_like(mean[0]), (gain, noise), reverse=True)
    return mean + deviations
