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
from jaxtyping import Array, Float, PyTree

from slds_core.fixed_point.interface import FixedPoint, MeanField, as_swept
from slds_core.gradients.result import Objective
from slds_core.trees import add, subtract, zeros_like


class AdjointSystem(eqx.Module):
    """The adjoint system of an objective at a state."""

    value: Float[Array, ""]  # ℓ
    image: PyTree  # Φ(θ, x)
    right_hand_side: PyTree  # u
    explicit: PyTree  # ∂ℓ/∂θ, the state held fixed
    pull: Callable[..., "Pulled"]  # one backward pass from a cotangent of Φ and, if asked, from the objective too
    response: Callable[[Any], Any] | None  # o ↦ S o, where the model is a mean field
    fisher: Callable[[Any], Any] | None  # w ↦ F w, likewise

    def transposed(self, adjoint: PyTree) -> PyTree:
        """Returns ``Jᵀ w``."""
        if self.response is None or self.fisher is None:
            return self.pull(adjoint).state
        return self.response(self.fisher(adjoint))

    def residual(self, adjoint: PyTree) -> PyTree:
        """Returns ``u - (I - Jᵀ) w``."""
        return add(subtract(self.right_hand_side, adjoint), self.transposed(adjoint))

    def operator(self, adjoint: PyTree) -> PyTree:
        """Returns ``(I - Jᵀ) w``."""
        return subtract(adjoint, self.transposed(adjoint))


class Pulled(NamedTuple):
    """What one backward pass yields, from a cotangent ``w`` of the sweep and a weight, zero or one, of the objective."""

    parameters: PyTree  # (∂Φ/∂θ)ᵀ w + weight · ∂ℓ/∂θ
    state: PyTree  # Jᵀ w + weight · u
    message: PyTree  # F w, with weight zero; None where the model is no mean field


def linearise(problem: FixedPoint, objective: Objective, parameters: PyTree, state: PyTree) -> AdjointSystem:
    """Returns the adjoint system of ``objective`` at ``state``, which should be a fixed point.

    Raises:
        ValueError: the state has not the shapes of a sweep's, or there are arrays of double precision while JAX is set to single
            precision.
        TypeError: the objective is no scalar in floating point.
    """
    state = as_swept(problem, parameters, state)
    if isinstance(problem, MeanField):
        return _linearise_mean_field(problem, objective, parameters, state)

    def joint(parameters, state):
        posterior = problem.posterior(parameters, state)
        return objective(parameters, posterior), problem.state(posterior)

    (value, image), pull_back = jax.vjp(joint, parameters, state)
    value = _scalar(value)
    explicit, right_hand_side = pull_back((jnp.ones_like(value), zeros_like(image)))

    def pull(adjoint, weight=0.0):
        in_parameters, in_state = pull_back((jnp.full_like(value, weight), adjoint))
        return Pulled(in_parameters, in_state, None)

    return AdjointSystem(value, image, right_hand_side, explicit, pull, None, None)


def _scalar(value: Any) -> Float[Array, ""]:
    shape, dtype = jnp.shape(value), jnp.result_type(value)
    if shape or not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"objective: expected a scalar in floating point, found shape {shape} in {dtype}")
    return jnp.asarray(value)


def _linearise_mean_field(problem: MeanField, objective: Objective, parameters: PyTree, state: PyTree) -> AdjointSystem:
    def joint(parameters, state, shift):
        first = problem.first_block(parameters, state)
        message = problem.message(parameters, first.statistics)
        shifted = add(message, shift)
        second = problem.second_block(parameters, shifted)
        posterior = problem.combine(parameters, state, first, shifted, second)
        return objective(parameters, posterior), problem.second_state(second.statistics), message

    (value, image, message), pull_back = jax.vjp(joint, parameters, state, zeros_like(state))
    value = _scalar(value)
    silence = zeros_like(message)
    explicit, right_hand_side, _ = pull_back((jnp.ones_like(value), zeros_like(image), silence))

    def pull(adjoint, weight=0.0):
        in_parameters, in_state, in_message = pull_back((jnp.full_like(value, weight), adjoint, silence))
        return Pulled(in_parameters, in_state, in_message)

    # Products have programs of their own, which hold neither the objective nor the other block: XLA would multiply by their cotangents of
    # zero, and run kernels on them. What these share with the above it sees to be the same, and computes once (tested).
    _, pull_response = jax.vjp(lambda state: problem.response(parameters, state), state)
    _, pull_marginals = jax.vjp(lambda message: problem.marginals(parameters, message), message)
    return AdjointSystem(
        value,
        image,
        right_hand_side,
        explicit,
        pull,
        response=lambda direction: pull_response(direction)[0],
        fisher=lambda direction: pull_marginals(direction)[0],
    )
