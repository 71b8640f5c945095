"""What a step of learning differentiates through the fixed point."""

from typing import Any

from jaxtyping import Array, Key

from slds_core.gradients.result import Objective
from slds_core.learning.batch import Batch
from slds_core.models.slds import SLDSPotentials
from slds_core.models.slds.model import SLDSPosterior


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
