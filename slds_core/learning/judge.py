"""Judges of a training that are the same whatever estimator trained: the bound at convergence, and a gradient to compare with."""

from typing import Any, NamedTuple

from jaxtyping import Array, Float, Key

from slds_core.fixed_point import fixed_point_residual, newton_cg
from slds_core.gradients import fisher_cg
from slds_core.learning.batch import Batch
from slds_core.learning.objective import settled_objective, training_objective
from slds_core.learning.training import SVAE, Learner
from slds_core.trees import norm, subtract

_SWEEPS = 2000
_STATE = 1e-9  # tolerance of the state; float32 ends at its floor
_ADJOINT = 1e-9


class ConvergedBound(NamedTuple):
    """The local terms of the bound with inference converged (nats, summed over the batch), and how far it converged."""

    likelihood: Float[Array, ""]  # E_q[log p(y | z)]
    local_divergence: Float[Array, ""]  # KL(q(z) q(k) ‖ p(z, k))
    standard_error: Float[Array, ""]  # of the likelihood, where the decoder draws samples
    residual: Float[Array, ""]  # largest change of the marginals in one more sweep


def converged_bound(model: SVAE, batch: Batch, start: Float[Array, "packed state"]) -> ConvergedBound:
    """Returns what a model makes of a batch at the fixed point that is reached from ``start``.

    Args:
        model: what was learnt.
        batch: sequences that it was learnt from, or others.
        start: marginals of their states to start from.
    """
    parameters = model.parameters(batch)
    problem = batch.problem
    found = newton_cg(problem, parameters, start, max_sweeps=_SWEEPS, tolerance=_STATE)
    objective = settled_objective(model.decoder, batch, parameters, found.posterior)
    divergence = problem.monitors(found.posterior)["kl"]
    residual = fixed_point_residual(problem, parameters, found.state).maximum
    return ConvergedBound(objective.value + divergence, divergence, objective.standard_error, residual)


class Judgement(NamedTuple):
    """A step's gradient beside the right one, and the objective with inference converged (nats)."""

    gradient_error: Float[Array, ""]  # relative, in the Euclidean norm over all potentials
    objective: Float[Array, ""]


def judge(
    learner: Learner, model: SVAE, batch: Batch, start: Float[Array, "packed state"], key: Key[Array, ""] | None = None
) -> Judgement:
    """Returns how far the gradient that a step would take is from that of the same objective at the same parameters.

    That one is by ``fisher_cg`` at the fixed point, to which inference is brought from where the learner's own ended. Of a decoder that
    draws samples both gradients are those of the same draw; the objective is averaged over many.

    Args:
        learner, model, batch, start, key: as for ``Learner.step``.
    """
    problem: Any = batch.problem
    parameters = model.parameters(batch)
    objective = training_objective(model.decoder, batch, key)
    inference = learner.infer(problem, parameters, start)
    own = learner.estimate(problem, objective, parameters, inference.state if learner.at_fixed_point else start)
    found = newton_cg(problem, parameters, inference.state, max_sweeps=_SWEEPS, tolerance=_STATE)
    right = fisher_cg(problem, objective, parameters, found.state, tolerance=_ADJOINT)
    error = norm(subtract(own.gradient, right.gradient)) / norm(right.gradient)
    if not model.decoder.sampled:
        return Judgement(error, right.value)
    return Judgement(error, settled_objective(model.decoder, batch, parameters, found.posterior).value)
