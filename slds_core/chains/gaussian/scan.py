"""Gaussian chain, sequential in time: eliminate forward, substitute backward.

Eliminating ``z_0, …, z_{t-1}`` leaves ``z_t`` with precision ``P_t`` and linear term ``ℓ_t``:

    P_t = -(Q_t + Q_tᵀ) - C_{t-1}ᵀ P_{t-1}⁻¹ C_{t-1},      ℓ_t = h_t + C_{t-1}ᵀ P_{t-1}⁻¹ ℓ_{t-1}.

Hence ``z_t | z_{t+1} ~ N(c_t + G_t z_{t+1}, V_t)`` with ``V = P⁻¹``, ``G = V C``, ``c = V ℓ``, and backward
``m_t = c_t + G_t m_{t+1}``, ``Σ_t = V_t + G_t Σ_{t+1} G_tᵀ``, ``Cov(z_t, z_{t+1}) = G_t Σ_{t+1}``. The Fisher product is the
directional derivative of these two recursions; it needs no further factorisation. Padding ``C`` with a zero at the end
makes all steps alike, so one step is also one time.
"""

import math

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from slds_core.chains.gaussian.moments import differentiate_moments, finish, moved_by_noise, pad_end
from slds_core.chains.gaussian.types import GaussianPotentials, GaussianResiduals, GaussianStatistics
from slds_core.chains.small_matrices import apply, inverse_and_log_determinant, matmul


def smooth(potentials: GaussianPotentials):
    """Returns log-partition and expected statistics."""
    return linearise(potentials)[:2]


def linearise(potentials: GaussianPotentials):
    """Returns log-partition, expected statistics and the residuals for ``fisher_product``."""
    latent, dtype = potentials.linear.shape[1], potentials.linear.dtype
    precision = -(potentials.quadratic + potentials.quadratic.mT)

    def eliminate(carry, step):
        from_past, linear_from_past, log_partition = carry
        precision, cross, linear = step
        filtered_linear = linear + linear_from_past
        conditional, log_determinant = inverse_and_log_determinant(precision + from_past)
        gain, offset = matmul(conditional, cross), apply(conditional, filtered_linear)
        log_partition += 0.5 * (jnp.sum(filtered_linear * offset) + latent * math.log(2 * math.pi) - log_determinant)
        return (-matmul(cross.T, gain), apply(cross.T, offset), log_partition), (gain, conditional, offset)

    def substitute(carry, step):
        mean, covariance = carry
        gain, conditional, offset = step
        cross_covariance = matmul(gain, covariance)
        carry = offset + apply(gain, mean), conditional + matmul(cross_covariance, gain.T)
        return carry, (*carry, cross_covariance)

    nothing, zero = jnp.zeros((latent, latent), dtype), jnp.zeros(latent, dtype)
    steps = precision, pad_end(potentials.cross), potentials.linear
    (_, _, log_partition), conditionals = lax.scan(eliminate, (nothing, zero, jnp.zeros((), dtype)), steps)
    _, (mean, covariance, cross_covariance) = lax.scan(substitute, (zero, nothing), conditionals, reverse=True)
    return log_partition, *finish(*conditionals, mean, covariance, cross_covariance)


def fisher_product(residuals: GaussianResiduals, direction: GaussianPotentials) -> GaussianStatistics:
    """Returns the derivative of the expected statistics along ``direction``; linear and symmetric in it."""
    gain, mean, covariance = residuals.gain, residuals.mean, residuals.covariance

    def eliminate(carry, step):
        d_from_past, d_linear_from_past = carry
        gain, conditional, offset, d_precision, d_cross, d_linear = step
        d_filtered = d_precision + d_from_past
        d_linear_residual = d_linear + d_linear_from_past - apply(d_filtered, offset)
        d_cross_residual = d_cross - matmul(d_filtered, gain)
        carry = (
            -(matmul(d_cross.T, gain) + matmul(gain.T, d_cross_residual)),
            apply(d_cross.T, offset) + apply(gain.T, d_linear_residual),
        )
        d_conditional = -matmul(matmul(conditional, d_filtered), conditional)
        return carry, (matmul(conditional, d_cross_residual), d_conditional, apply(conditional, d_linear_residual))

    def substitute(carry, step):
        d_mean, d_covariance = carry
        gain, next_mean, next_covariance, d_gain, d_conditional, d_offset = step
        shifted = matmul(d_gain, next_covariance)
        kept = matmul(gain, d_covariance)
        widened = matmul(shifted, gain.T)
        carry = (
            d_offset + apply(d_gain, next_mean) + apply(gain, d_mean),
            d_conditional + widened + widened.T + matmul(kept, gain.T),
        )
        return carry, (*carry, shifted + kept)

    nothing, zero = jnp.zeros_like(covariance[0]), jnp.zeros_like(mean[0])
    d_precision = -(direction.quadratic + direction.quadratic.mT)
    steps = gain, residuals.conditional, residuals.offset, d_precision, pad_end(direction.cross), direction.linear
    _, changes = lax.scan(eliminate, (nothing, zero), steps)
    steps = gain, pad_end(mean[1:]), pad_end(covariance[1:]), *changes
    _, (d_mean, d_covariance, d_cross_covariance) = lax.scan(substitute, (zero, nothing), steps, reverse=True)
    return differentiate_moments(mean, d_mean, d_covariance, d_cross_covariance)


def sample(residuals: GaussianResiduals, noise: Float[Array, "time draw latent"]) -> Float[Array, "time draw latent"]:
    """Returns the paths that standard normal noise leads to."""

    def substitute(next_paths, step):
        gain, moved = step
        paths = moved + matmul(next_paths, gain.T)
        return paths, paths

    steps = residuals.gain, moved_by_noise(residuals, noise)
    return lax.scan(substitute, jnp.zeros_like(noise[0]), steps, reverse=True)[1]
