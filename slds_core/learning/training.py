"""One step of learning: encode, infer, differentiate through the fixed point, update."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, Key

from slds_core.fixed_point.progress import Inference
from slds_core.fixed_point.status import InferenceStatus
from slds_core.gradients.result import Gradient, GradientStatus
from slds_core.learning.batch import Batch
from slds_core.learning.factors import GlobalFactors, divergence, expected_statistics, natural_step, potentials
from slds_core.learning.objective import training_objective
from slds_core.models.slds import SLDSPotentials
from slds_core.trees import all_finite, scale


class SVAE(eqx.Module):
    """All that is learnt."""

    encoder: Any
    decoder: Any
    factors: GlobalFactors

    def parameters(self, batch: Batch) -> SLDSPotentials:
        """Returns the potentials of local inference on a batch."""
        return self.local(batch, expected_statistics(self.factors))

    def local(self, batch: Batch, statistics: GlobalFactors) -> SLDSPotentials:
        """Returns the same, given the factors' expected statistics, in which they are linear."""
        recognition = self.encoder(self.decoder, batch.values, batch.observed)
        return potentials(statistics, batch.as_parameters(recognition))


CHECKED = ("recognition potentials", "posterior", "bound", "gradient", "global factors", "encoder and decoder")
"""What a step checks for non-finite values, in the order in which one breaks the next."""


def _finite(
    parameters: Any, posterior: Any, bound: Any, gradient: Any, factors: Any, networks: Any
) -> Bool[Array, " checked"]:
    """Returns of each of ``CHECKED``, in its order, whether it holds no NaN and no infinity."""
    checked = (parameters, posterior, bound, gradient, factors, networks)
    return jnp.stack([all_finite(quantity) for quantity in checked])


class Outcome(NamedTuple):
    """What a step did. Bounds are in nats, before its update, summed over the batch; the divergence is that of the whole model."""

    likelihood: Float[Array, ""]  # E_q[log p(y | z)]
    local_divergence: Float[Array, ""]  # KL(q(z) q(k) ‖ p(z, k))
    global_divergence: Float[Array, ""]  # KL(q(η) ‖ p(η))
    state_use: Float[Array, " state"]  # expected number of transitions in each state
    inference_status: InferenceStatus
    sweeps: Int[Array, ""]
    gradient_status: GradientStatus
    products: Int[Array, ""]
    adjoint_residual: Float[Array, ""]
    forward_residual: Float[Array, ""]
    gradient_norm: Float[Array, ""]  # Euclidean, of the gradient with respect to all potentials
    natural_rate: Float[Array, ""]  # size of the natural step that was taken
    finite: Bool[Array, " checked"]  # of CHECKED


class Learner(NamedTuple):
    """How to learn: what does not change from step to step. Plugins enter as plain functions."""

    infer: Callable[[Any, Any, Any], Inference]
    estimate: Callable[[Any, Any, Any, Any], Gradient]
    at_fixed_point: bool  # whether the estimator starts where inference ended, or where it began
    prior: GlobalFactors
    optimizer: optax.GradientTransformation  # of encoder and decoder
    natural_rate: float

    def begin(self, model: SVAE) -> Any:
        """Returns the optimizer's state."""
        return self.optimizer.init(eqx.filter((model.encoder, model.decoder), eqx.is_inexact_array))

    def step(
        self,
        model: SVAE,
        optimizer_state: Any,
        batch: Batch,
        start: Float[Array, "packed state"],
        weight: Float[Array, ""] | float,
        key: Key[Array, ""] | None = None,
    ) -> tuple[SVAE, Any, Float[Array, "packed state"], Outcome]:
        """Returns the model, the optimizer's state, the state where inference ended, and what happened.

        Args:
            model, optimizer_state: those before the step.
            batch: the sequences to learn from.
            start: where their inference starts.
            weight: what the batch's bound is multiplied by to stand for all data, the number of batches.
            key: for decoders that draw samples.

        References:
            Johnson et al. (2016), algorithm 1; Bendekgey, Hope and Sudderth (2023); docs/learning.md.
        """
        problem = batch.problem
        networks = (model.encoder, model.decoder)
        learnt, fixed = eqx.partition(networks, eqx.is_inexact_array)

        def encode(learnt, statistics):
            encoder, decoder = eqx.combine(learnt, fixed)
            return SVAE(encoder, decoder, model.factors).local(batch, statistics)

        # the potentials' gradient is the estimator's business; from there on the chain rule is automatic
        parameters, pull = jax.vjp(encode, learnt, expected_statistics(model.factors))
        inference = self.infer(problem, parameters, start)
        found = self.estimate(
            problem,
            training_objective(model.decoder, batch, key),
            parameters,
            inference.state if self.at_fixed_point else start,
        )
        through_potentials, in_statistics = pull(found.gradient)

        def local_bound_of(learnt):
            decoder = eqx.combine(learnt, fixed)[1]
            return training_objective(decoder, batch, key)(parameters, inference.posterior)

        local_bound, through_decoder = jax.value_and_grad(local_bound_of)(learnt)
        local_divergence = problem.monitors(inference.posterior)["kl"]
        entries = jnp.maximum(jnp.sum(batch.observed), 1)  # per entry, so that rates mean the same for all data
        descent = jax.tree.map(lambda a, b: -(a + b) / entries, through_potentials, through_decoder)
        updates, optimizer_state = self.optimizer.update(descent, optimizer_state, learnt)
        updated: Any = optax.apply_updates(learnt, updates)
        encoder, decoder = eqx.combine(updated, fixed)
        factors, rate = natural_step(model.factors, self.prior, scale(weight, in_statistics), self.natural_rate)
        outcome = Outcome(
            likelihood=local_bound + local_divergence,
            local_divergence=local_divergence,
            global_divergence=divergence(model.factors, self.prior),
            state_use=jnp.sum(inference.state, 0),
            inference_status=inference.status,
            sweeps=inference.sweeps,
            gradient_status=found.info.status,
            products=found.info.products,
            adjoint_residual=found.info.residual,
            forward_residual=found.info.forward_residual,
            gradient_norm=optax.global_norm(found.gradient),
            natural_rate=rate,
            finite=_finite(parameters, inference.posterior, local_bound, (found.gradient, descent), factors, updated),
        )
        return SVAE(encoder, decoder, factors), optimizer_state, inference.state, outcome


def bad_quantity(outcome: Outcome) -> str | None:
    """Returns the first quantity of a step that is not finite; ``None`` where all are."""
    bad = np.flatnonzero(~np.asarray(outcome.finite))
    return CHECKED[bad[0]] if bad.size else None
