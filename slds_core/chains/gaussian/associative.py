"""Gaussian chain, parallel in time: the same numbers as ``scan`` in logarithmic depth. For GPUs.

A stretch of the chain, its inner variables integrated out, is a Gaussian potential between its end points ``(z_i, z_j)``,

    exp( -½ z_iᵀ A z_i + z_iᵀ B z_j - ½ z_jᵀ E z_j + aᵀ z_i + eᵀ z_j + s ),

and two neighbouring stretches combine by integrating out the point that they share. Prefixes give the filtered precisions
``P_t = E`` and linear terms ``ℓ_t = e``; means and covariances then obey linear recurrences. The shared point's precision is a Schur
complement of a principal block of the whole precision, hence positive definite whenever the chain is.

References:
    Särkkä and García-Fernández (2021), "Temporal parallelization of Bayesian smoothers", in canonical form.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from slds_core.chains.gaussian.moments import differentiate_moments, finish, moved_by_noise, pad_end
from slds_core.chains.gaussian.types import GaussianPotentials, GaussianResiduals, GaussianStatistics
from slds_core.chains.prefixes import prefixes
from slds_core.chains.recurrence import affine, congruence
from slds_core.chains.small_matrices import apply, inverse_and_log_determinant, matmul


def smooth(potentials: GaussianPotentials):
    """Returns log-partition and expected statistics."""
    return linearise(potentials)[:2]


def linearise(potentials: GaussianPotentials):
    """Returns log-partition, expected statistics and the residuals for ``fisher_product``."""
    latent = potentials.linear.shape[1]
    precision = -(potentials.quadratic + potentials.quadratic.mT)
    no_matrix, no_vector = jnp.zeros_like(precision), jnp.zeros_like(potentials.linear)
    cross = _pad_start(potentials.cross)
    stretches = (no_matrix, cross, precision, no_vector, potentials.linear, no_vector[:, 0])
    _, _, filtered, _, filtered_linear, scale = prefixes(_join, stretches, _neutral(latent, precision.dtype))

    conditional, log_determinant = inverse_and_log_determinant(filtered)
    gain, offset = matmul(conditional, pad_end(potentials.cross)), apply(conditional, filtered_linear)
    last = filtered_linear[-1] @ offset[-1] + latent * math.log(2 * math.pi) - log_determinant[-1]
    covariance, mean = congruence(gain, (conditional, offset), jnp.zeros_like(offset), reverse=True)
    cross_covariance = matmul(gain, pad_end(covariance[1:]))
    return scale[-1] + 0.5 * last, *finish(gain, conditional, offset, mean, covariance, cross_covariance)


def fisher_product(residuals: GaussianResiduals, direction: GaussianPotentials) -> GaussianStatistics:
    """Returns the derivative of the expected statistics along ``direction``; linear and symmetric in it."""
    gain, conditional, offset = residuals.gain, residuals.conditional, residuals.offset
    past_gain = _pad_start(gain[:-1]).mT
    cross, d_cross = direction.cross, pad_end(direction.cross)
    cross_gain = matmul(cross.mT, gain[:-1])
    d_precision = -(direction.quadratic + direction.quadratic.mT) - _pad_start(cross_gain + cross_gain.mT)
    d_linear = direction.linear + _pad_start(apply(cross.mT, offset[:-1]))
    d_filtered, d_filtered_linear = congruence(past_gain, (d_precision, d_linear), -_pad_start(offset[:-1]))
    d_offset = apply(conditional, d_filtered_linear - apply(d_filtered, offset))
    d_gain = matmul(conditional, d_cross - matmul(d_filtered, gain))
    d_conditional = -matmul(matmul(conditional, d_filtered), conditional)

    next_mean, next_covariance = pad_end(residuals.mean[1:]), pad_end(residuals.covariance[1:])
    widened = matmul(matmul(d_gain, next_covariance), gain.mT)
    moved = d_conditional + widened + widened.mT, d_offset + apply(d_gain, next_mean)
    d_covariance, d_mean = congruence(gain, moved, jnp.zeros_like(offset), reverse=True)
    d_cross_covariance = matmul(d_gain, next_covariance) + matmul(gain, pad_end(d_covariance[1:]))
    return differentiate_moments(residuals.mean, d_mean, d_covariance, d_cross_covariance)


def sample(residuals: GaussianResiduals, noise: Float[Array, "time draw latent"]) -> Float[Array, "time draw latent"]:
    """Returns the paths that standard normal noise leads to."""
    along_draws = jax.vmap(lambda moved: affine(residuals.gain, moved, reverse=True), in_axes=1, out_axes=1)
    return along_draws(moved_by_noise(residuals, noise))


def _join(first, second):
    """Integrates out the point that two stretches share."""
    left, to_shared, shared_left, left_linear, shared_left_linear, first_scale = first
    shared_right, from_shared, right, shared_right_linear, right_linear, second_scale = second
    covariance, log_determinant = inverse_and_log_determinant(shared_left + shared_right)
    linear = shared_left_linear + shared_right_linear
    mean, gain = apply(covariance, linear), matmul(to_shared, covariance)
    latent = mean.shape[-1]
    scale = 0.5 * (jnp.sum(linear * mean, -1) + latent * math.log(2 * math.pi) - log_determinant)
    return (
        left - matmul(gain, to_shared.mT),
        matmul(gain, from_shared),
        right - matmul(from_shared.mT, matmul(covariance, from_shared)),
        left_linear + apply(to_shared, mean),
        right_linear + apply(from_shared.mT, mean),
        first_scale + second_scale + scale,
    )


def _neutral(latent, dtype):
    """Returns a stretch that changes none behind it that begins at the first step, on which no earlier point has a bearing."""
    nothing, zero = jnp.zeros((latent, latent), dtype), jnp.zeros(latent, dtype)
    scale = jnp.asarray(-0.5 * latent * math.log(2 * math.pi), dtype)
    return nothing, nothing, jnp.eye(latent, dtype=dtype), zero, zero, scale


def _pad_start(array):
    return jnp.concatenate([jnp.zeros_like(array, shape=(1, *array.shape[1:])), array])
