"""Matrix-normal-inverse-Wishart over the coefficients ``X`` (D × P) and the noise precision ``Λ`` (D × D) of a linear regression.

    Λ ~ Wishart(S⁻¹, ν),      X | Λ ~ MN(M, Λ⁻¹, V⁻¹)

Sufficient statistics ``(-½ Λ, Xᵀ Λ, -½ Xᵀ Λ X, ½ log |Λ|)``; natural parameters ``(S + M V Mᵀ, V Mᵀ, V, ν + D + P + 1)``.
Parameters of no distribution make NaN of what depends on them.
"""

import math

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.special import multigammaln
from jaxtyping import Array, Float

from slds_core.expfam.domain import above, inverse, log_determinant
from slds_core.expfam.niw import expected_log_determinant
from slds_core.full_precision import in_full_precision


class MatrixNormalInverseWishart(eqx.Module):
    """The distribution, in its usual parameters. ``V`` is a precision: some texts write its inverse."""

    scale: Float[Array, "latent latent"]  # S, positive definite
    location: Float[Array, "latent input"]  # M
    strength: Float[Array, "input input"]  # V, positive definite
    degrees: Float[Array, ""]  # ν > latent - 1


class NaturalParameters(eqx.Module):
    """The same distribution in natural parameters; also the shape of its sufficient statistics."""

    precision: Float[Array, "latent latent"]  # of -½ Λ
    cross: Float[Array, "input latent"]  # of Xᵀ Λ
    quadratic: Float[Array, "input input"]  # of -½ Xᵀ Λ X
    log_determinant: Float[Array, ""]  # of ½ log |Λ|


@in_full_precision
def natural_parameters(distribution: MatrixNormalInverseWishart) -> NaturalParameters:
    """Returns the natural parameters."""
    location, strength = distribution.location, distribution.strength
    return NaturalParameters(
        precision=distribution.scale + location @ strength @ location.T,
        cross=strength @ location.T,
        quadratic=strength,
        log_determinant=distribution.degrees + sum(location.shape) + 1,
    )


@in_full_precision
def distribution(natural: NaturalParameters) -> MatrixNormalInverseWishart:
    """Returns the distribution that has these natural parameters."""
    location = jnp.linalg.solve(natural.quadratic, natural.cross).T
    return MatrixNormalInverseWishart(
        scale=natural.precision - natural.cross.T @ location.T,
        location=location,
        strength=natural.quadratic,
        degrees=natural.log_determinant - sum(location.shape) - 1,
    )


@in_full_precision
def log_partition(natural: NaturalParameters) -> Float[Array, ""]:
    """Returns the log-normaliser (nats); its gradient is the expected statistics."""
    inputs, latent = natural.cross.shape
    degrees = above(latent - 1, natural.log_determinant - latent - inputs - 1)
    scale = natural.precision - natural.cross.T @ jnp.linalg.solve(natural.quadratic, natural.cross)
    return (
        0.5 * degrees * (latent * math.log(2) - log_determinant(scale))
        + multigammaln(0.5 * degrees, latent)
        + 0.5 * latent * (inputs * math.log(2 * math.pi) - log_determinant(natural.quadratic))
    )


@in_full_precision
def expected_statistics(distribution: MatrixNormalInverseWishart) -> NaturalParameters:
    """Returns ``(-½ E[Λ], E[Xᵀ Λ], -½ E[Xᵀ Λ X], ½ E[log |Λ|])``.

    References:
        Fox (2009), PhD thesis, "Bayesian nonparametric learning of complex dynamical phenomena", appendix F.
    """
    location = distribution.location
    latent = location.shape[0]
    precision = above(latent - 1, distribution.degrees) * inverse(distribution.scale)
    return NaturalParameters(
        precision=-0.5 * precision,
        cross=location.T @ precision,
        quadratic=-0.5 * (latent * inverse(distribution.strength) + location.T @ precision @ location),
        log_determinant=0.5 * expected_log_determinant(distribution.scale, distribution.degrees),
    )
