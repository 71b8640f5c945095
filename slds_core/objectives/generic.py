"""Objectives that any model has."""

import jax
import jax.numpy as jnp
import numpy as np

from slds_core.fixed_point.interface import FixedPoint
from slds_core.full_precision import in_full_precision
from slds_core.gradients.result import Objective


def elbo(problem: FixedPoint) -> Objective:
    """Returns the evidence lower bound as an objective (nats)."""
    return lambda parameters, posterior: problem.elbo(posterior)


def linear(problem: FixedPoint, seed: int) -> Objective:
    """Returns a random linear functional of the expected statistics; the same weights in every precision and on every platform."""

    @in_full_precision
    def objective(parameters, posterior):
        generator = np.random.default_rng(seed)
        leaves = jax.tree.leaves(problem.statistics(posterior))
        weights = [jnp.asarray(generator.standard_normal(leaf.shape), leaf.dtype) for leaf in leaves]
        return jnp.sum(jnp.stack([jnp.vdot(weight, leaf) for weight, leaf in zip(weights, leaves, strict=True)]))

    return objective
