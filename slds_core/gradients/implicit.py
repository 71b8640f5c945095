"""The implicit function theorem at a fixed point ``x = Φ(θ, x)``: what every implicit estimator shares.

The total derivative of ``L(θ) = ℓ(θ, x(θ))`` is ``∂ℓ/∂θ + (∂Φ/∂θ)ᵀ w`` with the adjoint ``w`` of

    (I - Jᵀ) w = v,      J = ∂Φ/∂x,      v = ∂ℓ/∂x.

``ℓ`` and ``Φ`` share one sweep, so that one linearisation yields ``v``, the products with ``Jᵀ`` and the final gradient.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from slds_core.fixed_point.interface import FixedPoint
from slds_core.gradients.result import AdjointInfo, Gradient, GradientStatus, Objective


class AdjointSystem(eqx.Module):
    """The adjoint system of an objective at a state."""

    value: Float[Array, ""]
    right_hand_side: PyTree  # v
    transposed: Callable[[PyTree], PyTree]  # w ↦ Jᵀ w
    total: Callable[[PyTree], PyTree]  # w ↦ ∂ℓ/∂θ + (∂Φ/∂θ)ᵀ w

    def operator(self, adjoint: PyTree) -> PyTree:
        """Returns ``(I - Jᵀ) w``."""
        return jax.tree.map(jnp.subtract, adjoint, self.transposed(adjoint))

    def relative_residual(self, adjoint: PyTree) -> Float[Array, ""]:
        """Returns ``‖v - (I - Jᵀ) w‖ / ‖v‖``; zero where ``v`` is."""
        leftover = norm(jax.tree.map(jnp.subtract, self.right_hand_side, self.operator(adjoint)))
        scale = norm(self.right_hand_side)
        return leftover / jnp.where(scale > 0, scale, 1)


def linearise(problem: FixedPoint, objective: Objective, parameters: PyTree, state: PyTree) -> AdjointSystem:
    """Returns the adjoint system of ``objective`` at ``state``, which should be a fixed point."""

    def joint(parameters, state):
        posterior = problem.posterior(parameters, state)
        return objective(parameters, posterior), problem.state(posterior)

    (value, image), pull_back = jax.vjp(joint, parameters, state)
    one, nothing = jnp.ones_like(value), jax.tree.map(jnp.zeros_like, image)
    return AdjointSystem(
        value=value,
        right_hand_side=pull_back((one, nothing))[1],
        transposed=lambda adjoint: pull_back((jnp.zeros_like(value), adjoint))[1],
        total=lambda adjoint: pull_back((one, adjoint))[0],
    )


def conclude(system: AdjointSystem, adjoint: PyTree, *, products, tolerance, exhausted) -> Gradient:
    """Returns the gradient that an adjoint gives, with the solver's success judged by the true residual.

    Args:
        products: applications of ``Jᵀ`` spent by the solver; checking the residual adds one.
        tolerance: relative residual that the solver was asked for.
        exhausted: whether the solver stopped for want of products.
    """
    residual = system.relative_residual(adjoint)
    gradient = system.total(adjoint)
    finite = jnp.all(jnp.array([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves((system.value, gradient))]))
    short = GradientStatus.where(exhausted, GradientStatus.product_limit, GradientStatus.stagnated)
    # a recursion's own residual may drift from the true one by rounding: one decimal of grace, no more
    status = GradientStatus.where(residual <= 10 * tolerance, GradientStatus.solved, short)
    status = GradientStatus.where(finite & jnp.isfinite(residual), status, GradientStatus.nonfinite)
    return Gradient(system.value, gradient, AdjointInfo(status, products + 1, residual))


def norm(tree: PyTree) -> Float[Array, ""]:
    """Returns the Euclidean norm of all entries together."""
    return jnp.sqrt(sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(tree)))
