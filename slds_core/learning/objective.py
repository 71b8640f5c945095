"""What a step of learning differentiates through the fixed point."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Key

from slds_core.gradients.result import Objective
from slds_core.learning.batch import Batch
from slds_core.models.slds import SLDSPotentials
from slds_core.models.slds.model import SLDSPosterior

_DRAWS = 100


def training_objective(decoder: Any, batch: Batch, key: Key[Array, ""] | None = None) -> Objective:
    """Returns ``E_q[log p(y | z)] - KL(q(z) q(k) ‖ p(z, k))`` (nats): the bound without the global factors' divergence.

    With the exact encoder this is the bound that inference maximises, plus a constant; with any other it is not, and its derivative needs
    the adjoint.

    Args:
        decoder: the likelihood.
        batch: the observations.
        key: for decoders that draw samples.
    """
    values, observed = batch.packed(batch.values), batch.packed(batch.observed)

    def objective(parameters: SLDSPotentials, posterior: SLDSPosterior):
        likelihood = decoder.expected_log_likelihood(values, observed, posterior.gaussian, batch.lengths, key)
        return likelihood - batch.problem.monitors(posterior)["kl"]

    return objective


class Estimate(NamedTuple):
    """A number, and the standard error that comes of its draws; zero where there are none."""

    value: Float[Array, ""]
    standard_error: Float[Array, ""]


def settled_objective(decoder: Any, batch: Batch, parameters: SLDSPotentials, posterior: SLDSPosterior) -> Estimate:
    """Returns the training objective of a posterior that stays as it is (nats).

    With a decoder that draws samples it is the mean over a hundred draws. They are the same for all that is judged, so that their noise
    all but cancels in differences.

    Args:
        decoder, batch: as for ``training_objective``.
        parameters, posterior: what the objective is a function of.
    """
    if not decoder.sampled:
        value = training_objective(decoder, batch)(parameters, posterior)
        return Estimate(value, jnp.zeros_like(value))
    draws = lax.map(
        lambda key: training_objective(decoder, batch, key)(parameters, posterior),
        jax.random.split(jax.random.key(0), _DRAWS),
    )
    return Estimate(jnp.mean(draws), jnp.std(draws, ddof=1) / jnp.sqrt(_DRAWS))
