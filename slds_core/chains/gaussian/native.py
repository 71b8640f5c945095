"""Gaussian chain, sequential in time, in C++: the recursions of ``scan``, compiled once for all programs.

Derivatives beyond the Fisher product are those of ``scan``.
"""

import jax

from slds_core.chains.gaussian import scan
from slds_core.chains.gaussian.types import GaussianPotentials, GaussianResiduals, GaussianStatistics
from slds_core.chains.native import call


def smooth(potentials: GaussianPotentials):
    """Returns log-partition and expected statistics; stores nothing for the Fisher product."""
    log_partition, *moments = call("slds_gaussian_smooth", _moments(potentials), *_arrays(potentials))
    return log_partition, GaussianStatistics(*moments)


@jax.custom_jvp
def linearise(potentials: GaussianPotentials):
    """Returns log-partition, expected statistics and the residuals for ``fisher_product``."""
    scalar, square, between, vector = _moments(potentials)
    results = scalar, square, between, vector, square, square, vector, square
    log_partition, *arrays = call("slds_gaussian_linearise", results, *_arrays(potentials))
    second_moment, cross_moment, mean, gain, conditional, offset, covariance = arrays
    return (
        log_partition,
        GaussianStatistics(second_moment, cross_moment, mean),
        GaussianResiduals(gain, conditional, offset, mean, covariance),
    )


@jax.custom_jvp
def fisher_product(residuals: GaussianResiduals, direction: GaussianPotentials) -> GaussianStatistics:
    """Returns the derivative of the expected statistics along ``direction``; linear and symmetric in it."""
    kept = residuals.gain, residuals.conditional, residuals.offset, residuals.mean, residuals.covariance
    return GaussianStatistics(*call("slds_gaussian_fisher", _moments(direction)[1:], *kept, *_arrays(direction)))


@linearise.defjvp
def _linearise_jvp(primals, tangents):
    return jax.jvp(scan.linearise, primals, tangents)


@fisher_product.defjvp
def _fisher_product_jvp(primals, tangents):
    return jax.jvp(scan.fisher_product, primals, tangents)


def _arrays(potentials: GaussianPotentials):
    return potentials.quadratic, potentials.cross, potentials.linear


def _moments(potentials: GaussianPotentials):
    """Returns the shapes of log-partition, second moments, cross moments and means."""
    dtype = potentials.linear.dtype
    return [jax.ShapeDtypeStruct(shape, dtype) for shape in ((), *(array.shape for array in _arrays(potentials)))]
