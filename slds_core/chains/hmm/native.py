"""Hidden Markov model, sequential in time, in C++: the recursions of ``scan``, compiled once for all programs.

Derivatives beyond the Fisher product are those of ``scan``.
"""

import jax

from slds_core.chains.hmm import scan
from slds_core.chains.hmm.types import HMMPotentials, HMMResiduals, HMMStatistics
from slds_core.chains.native import call


def smooth(potentials: HMMPotentials):
    """Returns log-partition and expected statistics; stores nothing for the Fisher product."""
    varying = potentials.transition.ndim == 3
    log_partition, *moments = call("slds_hmm_smooth", _moments(potentials), *_arrays(potentials), varying=varying)
    return log_partition, HMMStatistics(*moments)


@jax.custom_jvp
def linearise(potentials: HMMPotentials):
    """Returns log-partition, expected statistics and the residuals for ``fisher_product``."""
    time, state = potentials.unary.shape
    moments = _moments(potentials)
    results = *moments, moments[-1], jax.ShapeDtypeStruct((time - 1, state), potentials.unary.dtype)
    varying = potentials.transition.ndim == 3
    log_partition, first, pairs, marginals, filtered, predicted = call(
        "slds_hmm_linearise", results, *_arrays(potentials), varying=varying
    )
    statistics = HMMStatistics(first, pairs, marginals)
    return log_partition, statistics, HMMResiduals(potentials.transition, filtered, predicted, marginals)


@jax.custom_jvp
def fisher_product(residuals: HMMResiduals, direction: HMMPotentials) -> HMMStatistics:
    """Returns the derivative of the expected statistics along ``direction``; linear and symmetric in it."""
    kept = residuals.transition, residuals.filtered, residuals.predicted, residuals.marginals
    varying = direction.transition.ndim == 3
    moved = call("slds_hmm_fisher", _moments(direction)[1:], *kept, *_arrays(direction), varying=varying)
    return HMMStatistics(*moved)


@linearise.defjvp
def _linearise_jvp(primals, tangents):
    return jax.jvp(scan.linearise, primals, tangents)


@fisher_product.defjvp
def _fisher_product_jvp(primals, tangents):
    return jax.jvp(scan.fisher_product, primals, tangents)


def _arrays(potentials: HMMPotentials):
    return potentials.initial, potentials.transition, potentials.unary


def _moments(potentials: HMMPotentials):
    """Returns the shapes of log-partition, first step, pairs and marginals."""
    dtype = potentials.unary.dtype
    return [jax.ShapeDtypeStruct(shape, dtype) for shape in ((), *(array.shape for array in _arrays(potentials)))]
