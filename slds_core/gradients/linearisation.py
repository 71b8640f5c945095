"""One linearisation of a sweep and an objective, from which every implicit estimator takes its products.

The total derivative of ``L(θ) = ℓ(θ, x(θ))`` at a fixed point ``x = Φ(θ, x)`` is ``∂ℓ/∂θ + (∂Φ/∂θ)ᵀ w`` with the adjoint ``w`` of

    (I - Jᵀ) w = u,      J = ∂Φ/∂x,      u = ∂ℓ/∂x.

``ℓ`` and ``Φ`` share one sweep. For a mean-field model the two factors of ``Jᵀ = S F`` are taken from the same linearisation, by a
shift ``δ`` of the message that is zero and an output that is the message itself.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.interpreters import ad
from jaxtyping import Array, Float, PyTree

from slds_core.fixed_point.interface import FixedPoint, MeanField
from slds_core.gradients.result import Objective
from slds_core.trees import add, subtract, zeros_like


class AdjointSystem(eqx.Module):
    """The adjoint system of an objective at a state."""

    value: Float[Array, ""]  # ℓ
    image: PyTree  # Φ(θ, x)
    right_hand_side: PyTree  # u
    explicit: PyTree  # ∂ℓ/∂θ, the state held fixed
    pull: Callable[..., "Pulled"]  # one backward pass from a cotangent of Φ and, given a weight, from the objective too
    response: Callable[[Any], Any] | None  # o ↦ S o, where the model is a mean field

    def transposed(self, adjoint: PyTree) -> PyTree:
        """Returns ``Jᵀ w``."""
        return self.pull(adjoint).state

    def fisher(self, adjoint: PyTree) -> PyTree:
        """Returns ``F w``."""
        return self.pull(adjoint).message

    def residual(self, adjoint: PyTree) -> PyTree:
        """Returns ``u - (I - Jᵀ) w``."""
        return add(subtract(self.right_hand_side, adjoint), self.transposed(adjoint))

    def operator(self, adjoint: PyTree) -> PyTree:
        """Returns ``(I - Jᵀ) w``."""
        return subtract(adjoint, self.transposed(adjoint))


class Pulled(NamedTuple):
    """What one backward pass yields, from a cotangent ``w`` of the sweep and a weight of the objective, zero where none is given."""

    parameters: PyTree  # (∂Φ/∂θ)ᵀ w + weight · ∂ℓ/∂θ
    state: PyTree  # Jᵀ w + weight · u
    message: PyTree  # F w, with weight zero; None where the model is no mean field


def linearise(problem: FixedPoint, objective: Objective, parameters: PyTree, state: PyTree) -> AdjointSystem:
    """Returns the adjoint system of ``objective`` at ``state``, which should be a fixed point."""
    if isinstance(problem, MeanField):
        return _linearise_mean_field(problem, objective, parameters, state)

    def joint(parameters, state):
        posterior = problem.posterior(parameters, state)
        return objective(parameters, posterior), problem.state(posterior)

    (value, image), pull_back = jax.vjp(joint, parameters, state)
    explicit, right_hand_side = pull_back((jnp.ones_like(value), _nothing(image)))

    def pull(adjoint, weight=None):
        in_value = _nothing(value) if weight is None else jnp.full_like(value, weight)
        in_parameters, in_state = pull_back((in_value, adjoint))
        return Pulled(in_parameters, in_state, None)

    return AdjointSystem(value, image, right_hand_side, explicit, pull, None)


def _linearise_mean_field(problem: MeanField, objective: Objective, parameters: PyTree, state: PyTree) -> AdjointSystem:
    def joint(parameters, state, shift):
        first = problem.first_block(parameters, state)
        message = problem.message(parameters, first.statistics)
        shifted = add(message, shift)
        second = problem.second_block(parameters, shifted)
        posterior = problem.combine(parameters, state, first, shifted, second)
        return objective(parameters, posterior), problem.second_state(second.statistics), message

    (value, image, message), pull_back = jax.vjp(joint, parameters, state, zeros_like(state))
    explicit, right_hand_side, _ = pull_back((jnp.ones_like(value), _nothing(image), _nothing(message)))

    def pull(adjoint, weight=None):
        in_value = _nothing(value) if weight is None else jnp.full_like(value, weight)
        in_parameters, in_state, in_message = pull_back((in_value, adjoint, _nothing(message)))
        return Pulled(in_parameters, in_state, in_message)

    def response(direction):
        return pull_back((_nothing(value), _nothing(image), direction))[1]

    return AdjointSystem(value, image, right_hand_side, explicit, pull, response)


def _nothing(tree: PyTree) -> PyTree:
    """Returns a cotangent of zero that costs nothing: what it would be multiplied with is left out of the program, which does not drop
    products with zero by itself, nor compiled kernels."""
    return jax.tree.map(lambda leaf: ad.Zero(jax.typeof(leaf).to_ct_aval()), tree)
