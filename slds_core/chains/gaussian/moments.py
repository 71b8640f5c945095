"""From means and covariances to expected statistics, the same for their changes, and conditional draws; shared by the back ends."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from slds_core.chains.gaussian.types import GaussianResiduals, GaussianStatistics
from slds_core.chains.small_matrices import cholesky_factor


def pad_end(array):
    """Returns the array with one more, zero, entry along its first axis."""
    return jnp.concatenate([array, jnp.zeros_like(array, shape=(1, *array.shape[1:]))])


def outer(a, b):
    """Returns ``a bᵀ``, for vectors along the last axis."""
    return a[..., :, None] * b[..., None, :]


def finish(gain, conditional, offset, mean, covariance, cross_covariance):
    """Returns the expected statistics and the residuals, given means and covariances."""
    statistics = GaussianStatistics(
        second_moment=covariance + outer(mean, mean),
        cross_moment=cross_covariance[:-1] + outer(mean[:-1], mean[1:]),
        mean=mean,
    )
    return statistics, GaussianResiduals(gain, conditional, offset, mean, covariance)


def differentiate_moments(mean, d_mean, d_covariance, d_cross_covariance):
    """Returns the change of the expected statistics that changes of mean and covariance bring."""
    widened = outer(d_mean, mean)
    return GaussianStatistics(
        second_moment=d_covariance + widened + widened.mT,
        cross_moment=d_cross_covariance[:-1] + outer(d_mean[:-1], mean[1:]) + outer(mean[:-1], d_mean[1:]),
        mean=d_mean,
    )


def moved_by_noise(
    residuals: GaussianResiduals, noise: Float[Array, "time draw latent"]
) -> Float[Array, "time draw latent"]:
    """Returns ``c_t + L_t ε_t``, the conditional draws as far as they do not depend on the next step."""
    root = cholesky_factor(residuals.conditional)
    return residuals.offset[:, None] + noise @ root.mT
