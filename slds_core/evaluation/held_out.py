"""Inference on sequences that a model was not trained on, and the bound on their log-likelihood."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from slds_core.chains.packing import owners, transitions
from slds_core.fixed_point import Inference, coordinate_ascent
from slds_core.learning.batch import Batch
from slds_core.learning.objective import Estimate, settled_objective
from slds_core.learning.training import SVAE
from slds_core.models.slds import SLDSPotentials
from slds_core.models.slds.starts import uniform_start

_MAX_SWEEPS = 2000
_TOLERANCE = 1e-9  # of the state; the bound's own error is of second order in it


@eqx.filter_jit
def _encode(model: SVAE, batch: Batch) -> SLDSPotentials:
    return model.parameters(batch)


@eqx.filter_jit
def _ascend(problem: Any, parameters: SLDSPotentials, start: Float[Array, "packed state"]) -> Inference:
    return coordinate_ascent(problem, parameters, start, max_sweeps=_MAX_SWEEPS, tolerance=_TOLERANCE)


def infer(
    model: SVAE, batch: Batch, start: Float[Array, "packed state"] | None = None
) -> tuple[SLDSPotentials, Inference]:
    """Returns the potentials of a batch, and the fixed point of inference that has the best bound, sequence by sequence.

    Args:
        model: as training left it.
        batch: any sequences.
        start: where inference starts. Mean field has several fixed points; without a start, inference begins at equal probabilities
            and at each state for the whole of each sequence, and a sequence goes on from the one that led it furthest.
    """
    problem, parameters = batch.problem, _encode(model, batch)
    if start is not None:
        return parameters, _ascend(problem, parameters, start)
    states = model.factors.initial.size
    starts = [uniform_start(batch.transitions, states)]
    if states > 1:
        starts += [np.tile(one, (batch.transitions, 1)) for one in np.eye(states)]
    found = [_ascend(problem, parameters, jnp.asarray(own, batch.values.dtype)) for own in starts]
    if len(found) == 1:
        return parameters, found[0]
    bounds = np.stack([np.atleast_1d(np.asarray(inference.posterior.elbo)) for inference in found])
    best = np.nan_to_num(bounds, nan=-np.inf).argmax(0)
    owner = best[owners(transitions(batch.lengths))]
    chosen = jnp.stack([inference.state for inference in found])[owner, np.arange(batch.transitions)]
    return parameters, _ascend(problem, parameters, chosen)


def held_out_bound(model: SVAE, batch: Batch) -> Estimate:
    """Returns the bound on the log-likelihood of a batch, in nats per observed entry.

    It is ``E_q[log p(y | z)] - KL(q(z) q(k) ‖ p̃(z, k))`` with the global factors as training left them, hence a bound on the
    log-density that they predict, ``log ∫ p(y | η) q(η) dη``.
    """
    parameters, inference = infer(model, batch)
    bound = eqx.filter_jit(settled_objective)(model.decoder, batch, parameters, inference.posterior)
    entries = jnp.sum(batch.observed)
    return Estimate(bound.value / entries, bound.standard_error / entries)
