"""Gaussian chain, sequential in time, in C++: the recursions of ``scan``, compiled once for all programs.

It takes one chain, or many end to end. Derivatives beyond the Fisher product are those of ``scan``.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from slds_core.chains.gaussian import scan
from slds_core.chains.gaussian.types import GaussianPotentials, GaussianResiduals, GaussianStatistics
from slds_core.chains.native import call
from slds_core.chains.packing import Lengths, before, leaving, total


def smooth(potentials: GaussianPotentials, lengths: Lengths = ()):
    """Returns log-partition and expected statistics; stores nothing for the Fisher product."""
    shapes = _moments(potentials, lengths)
    log_partition, *moments = call("slds_gaussian_smooth", shapes, *_arrays(potentials), lengths=lengths)
    return log_partition, GaussianStatistics(*moments)


def linearise(potentials: GaussianPotentials, lengths: Lengths = ()):
    """Returns log-partition, expected statistics and the residuals for ``fisher_product``."""
    return _linearise(lengths, potentials)


def fisher_product(
    residuals: GaussianResiduals, direction: GaussianPotentials, lengths: Lengths = ()
) -> GaussianStatistics:
    """Returns the derivative of the expected statistics along ``direction``; linear and symmetric in it."""
    return _fisher_product(lengths, residuals, direction)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _linearise(lengths: Lengths, potentials: GaussianPotentials):
    scalar, square, between, vector = _moments(potentials, lengths)
    shapes = scalar, square, between, vector, square, square, vector, square
    log_partition, *arrays = call("slds_gaussian_linearise", shapes, *_arrays(potentials), lengths=lengths)
    second_moment, cross_moment, mean, gain, conditional, offset, covariance = arrays
    return (
        log_partition,
        GaussianStatistics(second_moment, cross_moment, mean),
        GaussianResiduals(gain, conditional, offset, mean, covariance),
    )


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _fisher_product(lengths: Lengths, residuals: GaussianResiduals, direction: GaussianPotentials):
    kept = residuals.gain, residuals.conditional, residuals.offset, residuals.mean, residuals.covariance
    shapes = _moments(direction, lengths)[1:]
    return GaussianStatistics(*call("slds_gaussian_fisher", shapes, *kept, *_arrays(direction), lengths=lengths))


@_linearise.defjvp
def _linearise_jvp(lengths, primals, tangents):
    def linearise(potentials):
        log_partition, statistics, residuals = scan.linearise(_as_one(lengths, potentials))
        if lengths:
            log_partition = total(lengths, _by_step(residuals))
        return log_partition, _apart(lengths, statistics), residuals

    return jax.jvp(linearise, primals, tangents)


@_fisher_product.defjvp
def _fisher_product_jvp(lengths, primals, tangents):
    def product(residuals, direction):
        return _apart(lengths, scan.fisher_product(residuals, _as_one(lengths, direction)))

    return jax.jvp(product, primals, tangents)


def sample(residuals: GaussianResiduals, noise: Float[Array, "time draw latent"]) -> Float[Array, "time draw latent"]:
    """Returns the paths that standard normal noise leads to; differentiated as ``scan`` is."""
    return _sample((residuals.gain, residuals.conditional, residuals.offset), noise)


@jax.custom_jvp
def _sample(conditionals, noise):
    (paths,) = call("slds_gaussian_sample", [jax.ShapeDtypeStruct(noise.shape, noise.dtype)], *conditionals, noise)
    return paths


@_sample.defjvp
def _sample_jvp(primals, tangents):
    def sample(conditionals, noise):
        gain, conditional, offset = conditionals
        return scan.sample(GaussianResiduals(gain, conditional, offset, offset, conditional), noise)

    return jax.jvp(sample, primals, tangents)


def _as_one(lengths: Lengths, potentials: GaussianPotentials) -> GaussianPotentials:
    """Returns the one chain that chains end to end are: nothing ties each one's last step to the next one's first."""
    cross = leaving(lengths, potentials.cross)[:-1] if lengths else potentials.cross
    return GaussianPotentials(potentials.quadratic, cross, potentials.linear)


def _apart(lengths: Lengths, statistics: GaussianStatistics) -> GaussianStatistics:
    """Returns that chain's statistics less those between chains."""
    between = statistics.cross_moment
    if lengths:
        between = before(lengths, jnp.concatenate([between, jnp.zeros_like(statistics.second_moment[:1])]))
    return GaussianStatistics(statistics.second_moment, between, statistics.mean)


def _by_step(residuals: GaussianResiduals) -> Float[Array, " time"]:
    """Returns what each step adds to the log-partition (nats): ``½ (cᵀ V⁻¹ c + log |V| + latent log 2π)``."""
    conditional, offset = residuals.conditional, residuals.offset
    weighted = jnp.linalg.solve(conditional, offset[..., None])[..., 0]
    constant = offset.shape[1] * math.log(2 * math.pi)
    return 0.5 * (jnp.sum(offset * weighted, 1) + jnp.linalg.slogdet(conditional)[1] + constant)


def _arrays(potentials: GaussianPotentials):
    return potentials.quadratic, potentials.cross, potentials.linear


def _moments(potentials: GaussianPotentials, lengths: Lengths):
    """Returns the shapes of log-partition, second moments, cross moments and means."""
    dtype, chains = potentials.linear.dtype, (len(lengths),) if lengths else ()
    return [jax.ShapeDtypeStruct(shape, dtype) for shape in (chains, *(array.shape for array in _arrays(potentials)))]
