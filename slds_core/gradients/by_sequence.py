"""Gradients of each sequence alone, from one run of any estimator: every sequence is given its own copy of what they share.

The gradient with respect to a copy is that sequence's part of the gradient, since no sequence's state depends on another's; the sum over
copies is the whole.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from slds_core.fixed_point.interface import FixedPoint
from slds_core.gradients.finite_difference import DirectionalDerivatives
from slds_core.gradients.result import Gradient

Estimate = Gradient | DirectionalDerivatives


def by_sequence(
    problem: FixedPoint, estimate: Callable[[PyTree, PyTree], Estimate]
) -> Callable[[PyTree, PyTree], tuple[Estimate, PyTree | None]]:
    """Returns the estimator that gives, beside its estimate, the gradient of each sequence with respect to all parameters.

    That gradient has a leading axis over sequences, but in arrays in which they lie end to end. It is ``None`` for a model of
    one sequence, and for finite differences, whose directions are those of the shared parameters.

    Args:
        problem: the model.
        estimate: a function of parameters and state.
    """
    sequences = problem.sequences()
    if sequences is None:
        return lambda parameters, state: (estimate(parameters, state), None)
    fields = problem.parameter_fields()

    def copied(leaf, field):
        return leaf if field.of_each_sequence else jnp.broadcast_to(leaf, (sequences.count, *leaf.shape))

    def summed(leaf, field):
        return leaf if field.of_each_sequence else jnp.sum(leaf, axis=0)

    def estimate_both(parameters, state):
        found = estimate(jax.tree.map(copied, parameters, fields), state)
        if not isinstance(found, Gradient):
            return estimate(parameters, state), None
        total = jax.tree.map(summed, found.gradient, fields)
        return eqx.tree_at(lambda result: result.gradient, found, total), found.gradient

    return estimate_both
