"""Normal-inverse-Wishart over the mean ``μ`` and the precision ``Λ`` of a Gaussian.

    Λ ~ Wishart(S⁻¹, ν),      μ | Λ ~ N(m, (λ Λ)⁻¹)

Sufficient statistics ``(-½ Λ, Λ μ, -½ μᵀ Λ μ, ½ log |Λ|)``; natural parameters ``(S + λ m mᵀ, λ m, λ, ν + D + 2)``.
Parameters of no distribution make NaN of what depends on them.
"""

import math

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.special import digamma, multigammaln
from jaxtyping import Array, Float

from slds_core.expfam.domain import above, inverse, log_determinant
from slds_core.full_precision import in_full_precision


class NormalInverseWishart(eqx.Module):
    """The distribution, in its usual parameters."""

    scale: Float[Array, "latent latent"]  # S, positive definite
    location: Float[Array, " latent"]  # m
    strength: Float[Array, ""]  # λ > 0
    degrees: Float[Array, ""]  # ν > latent - 1


class NaturalParameters(eqx.Module):
    """The same distribution in natural parameters; also the shape of its sufficient statistics."""

    precision: Float[Array, "latent latent"]  # of -½ Λ
    linear: Float[Array, " latent"]  # of Λ μ
    quadratic: Float[Array, ""]  # of -½ μᵀ Λ μ
    log_determinant: Float[Array, ""]  # of ½ log |Λ|


@in_full_precision
def natural_parameters(distribution: NormalInverseWishart) -> NaturalParameters:
    """Returns the natural parameters."""
    m, strength = distribution.location, distribution.strength
    return NaturalParameters(
        precision=distribution.scale + strength * jnp.outer(m, m),
        linear=strength * m,
        quadratic=strength,
        log_determinant=distribution.degrees + m.shape[0] + 2,
    )


@in_full_precision
def distribution(natural: NaturalParameters) -> NormalInverseWishart:
    """Returns the distribution that has these natural parameters."""
    location = natural.linear / natural.quadratic
    return NormalInverseWishart(
        scale=natural.precision - natural.quadratic * jnp.outer(location, location),
        location=location,
        strength=natural.quadratic,
        degrees=natural.log_determinant - location.shape[0] - 2,
    )


@in_full_precision
def log_partition(natural: NaturalParameters) -> Float[Array, ""]:
    """Returns the log-normaliser (nats); its gradient is the expected statistics."""
    latent = natural.linear.shape[0]
    degrees, strength = above(latent - 1, natural.log_determinant - latent - 2), above(0, natural.quadratic)
    scale = natural.precision - jnp.outer(natural.linear, natural.linear) / strength
    return (
        0.5 * degrees * (latent * math.log(2) - log_determinant(scale))
        + multigammaln(0.5 * degrees, latent)
        + 0.5 * latent * (math.log(2 * math.pi) - jnp.log(strength))
    )


@in_full_precision
def expected_statistics(distribution: NormalInverseWishart) -> NaturalParameters:
    """Returns ``(-½ E[Λ], E[Λ μ], -½ E[μᵀ Λ μ], ½ E[log |Λ|])``.

    References:
        Murphy (2012), "Machine Learning", §4.6.3; Bishop (2006), equations B.80 and B.81.
    """
    m = distribution.location
    latent = m.shape[0]
    precision = above(latent - 1, distribution.degrees) * inverse(distribution.scale)
    return NaturalParameters(
        precision=-0.5 * precision,
        linear=precision @ m,
        quadratic=-0.5 * (latent / above(0, distribution.strength) + m @ precision @ m),
        log_determinant=0.5 * expected_log_determinant(distribution.scale, distribution.degrees),
    )


def expected_log_determinant(scale: Float[Array, "latent latent"], degrees: Float[Array, ""]) -> Float[Array, ""]:
    """Returns ``E[log |Λ|]`` under ``Λ ~ Wishart(S⁻¹, ν)`` (Bishop 2006, equation B.81)."""
    latent = scale.shape[0]
    halves = 0.5 * (above(latent - 1, degrees) - jnp.arange(latent, dtype=degrees.dtype))
    return jnp.sum(digamma(halves)) + latent * math.log(2) - log_determinant(scale)
