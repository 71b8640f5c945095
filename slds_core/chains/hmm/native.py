"""Hidden Markov model, sequential in time, in C++: the recursions of ``scan``, compiled once for all programs.

Derivatives beyond the Fisher product are those of ``scan``.
"""

import jax

from slds_core.chains.hmm import scan
from slds_core.chains.hmm.types import HMMPotentials, HMMResiduals, HMMStatistics
from slds_core.chains.native import call


def smooth(potentials: HMMPotentials):
    """Returns log-partition and expected statistics."""
    return linearise(potentials)[:2]


@jax.custom_jvp
def linearise(potentials: HMMPotentials):
    """Returns log-partition, expected statistics and the residuals for ``fisher_product``."""
    initial, transition, unary = potentials.initial, potentials.transition, potentials.unary
    time, state = unary.shape
    shapes = (), initial.shape, transition.shape, unary.shape, unary.shape, (time - 1, state)
    results = [jax.ShapeDtypeStruct(shape, unary.dtype) for shape in shapes]
    log_partition, first, pairs, marginals, filtered, predicted = call(
        "slds_hmm_smooth", results, initial, transition, unary, varying=transition.ndim == 3
    )
    statistics = HMMStatistics(first, pairs, marginals)
    return log_partition, statistics, HMMResiduals(transition, filtered, predicted, marginals)


@jax.custom_jvp
def fisher_product(residuals: HMMResiduals, direction: HMMPotentials) -> HMMStatistics:
    """Returns the derivative of the expected statistics along ``direction``; linear and symmetric in it."""
    initial, transition, unary = direction.initial, direction.transition, direction.unary
    results = [jax.ShapeDtypeStruct(x.shape, unary.dtype) for x in (initial, transition, unary)]
    kept = residuals.transition, residuals.filtered, residuals.predicted, residuals.marginals
    varying = transition.ndim == 3
    return HMMStatistics(*call("slds_hmm_fisher", results, *kept, initial, transition, unary, varying=varying))


@linearise.defjvp
def _linearise_jvp(primals, tangents):
    return jax.jvp(scan.linearise, primals, tangents)


@fisher_product.defjvp
def _fisher_product_jvp(primals, tangents):
    return jax.jvp(scan.fisher_product, primals, tangents)
