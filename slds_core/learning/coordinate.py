"""The conjugate update of the global factors: what a natural-gradient step of size one is, where the bound is linear."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from slds_core.chains.gaussian import GaussianStatistics
from slds_core.chains.hmm import HMMStatistics
from slds_core.chains.packing import starts
from slds_core.full_precision import in_full_precision
from slds_core.learning.batch import Batch
from slds_core.learning.factors import GlobalFactors, natural_step, potentials
from slds_core.models.slds import RecognitionPotentials, SLDSPotentials


@in_full_precision
def energy(
    batch: Batch, parameters: SLDSPotentials, gaussian: GaussianStatistics, discrete: HMMStatistics
) -> Float[Array, ""]:
    """Returns ``E_q[log p̃(z, k)]``, linear in the potentials and in the statistics of each chain (nats)."""
    begun = starts(batch.lengths)
    first = parameters.initial

    def total(values: Any, axes: int) -> Array:
        return jnp.sum(values, 0) if values.ndim > axes else values

    return (
        jnp.vdot(batch.problem.message(parameters, gaussian), discrete.marginals)
        - 0.5 * jnp.vdot(first.precision, jnp.sum(gaussian.second_moment[begun], 0))
        + jnp.vdot(first.linear, jnp.sum(gaussian.mean[begun], 0))
        - len(batch.lengths) * first.normalizer
        - batch.transitions * 0.5 * gaussian.mean.shape[1] * math.log(2 * math.pi)
        + jnp.vdot(parameters.discrete.initial, total(discrete.initial, 1))
        + jnp.vdot(parameters.discrete.transition, total(discrete.transition, 2))
    )


@in_full_precision
def coordinate_update(
    prior: GlobalFactors, batch: Batch, gaussian: GaussianStatistics, discrete: HMMStatistics
) -> GlobalFactors:
    """Returns the best global factors for a posterior of the local variables: the prior and the expected statistics together."""
    recognition = RecognitionPotentials(
        jnp.zeros((*batch.values.shape[:2], *2 * gaussian.mean.shape[1:])),
        jnp.zeros((*batch.values.shape[:2], *gaussian.mean.shape[1:])),
    )

    def of_statistics(statistics):
        return energy(batch, potentials(statistics, batch.as_parameters(recognition)), gaussian, discrete)

    return natural_step(prior, prior, jax.grad(of_statistics)(prior), 1.0)[0]
