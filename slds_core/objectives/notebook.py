"""The notebook's objective on an SLDS."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from slds_core.full_precision import in_full_precision
from slds_core.models.slds.model import SLDSPosterior, normalizer
from slds_core.models.slds.potentials import SLDSPotentials


@in_full_precision
def notebook_objective(
    parameters: SLDSPotentials, posterior: SLDSPosterior, transitions: Float[Array, ""] | int | None = None
) -> Float[Array, ""]:
    """Returns the sum of all Gaussian expected statistics plus a KL divergence whose Gaussian log-partition is left out.

    An "arbitrary scalar-valued function of the output", in the notebook's words. Like the original, the recognition term
    reads only the diagonal of ``-½ R_t``: the same value for a diagonal encoder, but not the same derivative beside the diagonal.

    Args:
        parameters, posterior: of an SLDS.
        transitions: how many there are, where both are padded with zeros beyond them; by default all.
    """
    if transitions is None:
        transitions = parameters.time - 1
    statistics, marginals = posterior.gaussian, posterior.discrete.marginals
    recognition = parameters.recognition

    def diagonal(blocks):
        return jnp.diagonal(blocks, axis1=-2, axis2=-1)

    recognition_energy = jnp.vdot(diagonal(recognition.quadratic), diagonal(statistics.second_moment)) + jnp.vdot(
        recognition.linear, statistics.mean
    )
    prior_normalizer = normalizer(parameters, transitions) - jnp.vdot(
        jnp.sum(marginals, 0), parameters.dynamics.constant
    )
    gaussian_kl = recognition_energy + prior_normalizer
    discrete_kl = jnp.vdot(posterior.unary, marginals) - posterior.discrete_log_partition
    return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(statistics)) + gaussian_kl + discrete_kl
