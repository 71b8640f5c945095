"""Gaussian chain, sequential in time, in C++: the recursions of ``scan``, compiled once for all programs.

It takes one chain, or many end to end. Derivatives beyond the Fisher product are those of ``scan``, chains side by side.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from slds_core.chains.gaussian import scan
from slds_core.chains.gaussian.padding import end_to_end, set_apart, side_by_side
from slds_core.chains.gaussian.types import GaussianPotentials, GaussianResiduals, GaussianStatistics
from slds_core.chains.native import call
from slds_core.chains.packing import Lengths, inside, pack, unpack


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
        # each on its own: in the one chain that they are end to end, zero times NaN is NaN between them
        apart = jax.vmap(set_apart)(side_by_side(lengths, potentials), jnp.asarray(inside(lengths)))
        log_partition, statistics, residuals = jax.vmap(scan.linearise)(apart)
        return log_partition, end_to_end(lengths, statistics), jax.tree.map(partial(pack, lengths), residuals)

    return jax.jvp(linearise if lengths else scan.linearise, primals, tangents)


@_fisher_product.defjvp
def _fisher_product_jvp(lengths, primals, tangents):
    def product(residuals, direction):
        apart = jax.tree.map(partial(unpack, lengths), residuals)
        return end_to_end(lengths, jax.vmap(scan.fisher_product)(apart, side_by_side(lengths, direction)))

    return jax.jvp(product if lengths else scan.fisher_product, primals, tangents)


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


def _arrays(potentials: GaussianPotentials):
    return potentials.quadratic, potentials.cross, potentials.linear


def _moments(potentials: GaussianPotentials, lengths: Lengths):
    """Returns the shapes of log-partition, second moments, cross moments and means."""
    dtype, chains = potentials.linear.dtype, (len(lengths),) if lengths else ()
    return [jax.ShapeDtypeStruct(shape, dtype) for shape in (chains, *(array.shape for array in _arrays(potentials)))]
