"""The original code's two implicit gradients, budgets, tolerance and fallback included. For comparison, never by default.

Both run their own forward pass, stopped by the relative change of the notebook's KL or by its sweep limit, and solve the adjoint
of both blocks at once. In training the original iterates that with damping ½ from the cotangent, and *replaces the result by the
cotangent itself*, a one-step gradient, wherever the forward pass used all its sweeps. Here the same happens, and the status says so.

References:
    Bendekgey, Hope and Sudderth (2023), "Unbiased learning of deep generative models with structured discrete
    representations", §3.3, and its public code.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.sparse.linalg import bicgstab as jax_bicgstab
from jaxtyping import Array, Float, PyTree

from slds_core.fixed_point.coordinate_ascent import coordinate_ascent
from slds_core.fixed_point.coupled import Coupled
from slds_core.fixed_point.interface import MeanField
from slds_core.fixed_point.residual import fixed_point_residual
from slds_core.gradients.result import AdjointInfo, Gradient, GradientStatus, Objective
from slds_core.trees import add, add_scaled, all_finite, norm, scale, subtract, where

_DAMPING = 0.5
_CLIP = 1e2  # root mean square residual above which the original falls back too


class _Backward(NamedTuple):
    value: Float[Array, ""]
    explicit: PyTree  # ∂ℓ/∂θ, both blocks held fixed
    cotangent: PyTree  # ∂ℓ/∂(first block's statistics, state)
    transposed: Any  # product with the coupled map's transposed Jacobian
    to_parameters: Any  # and with its derivative in the parameters
    sweeps: Array
    forward_residual: Float[Array, ""]


def original_itersolve(
    problem: MeanField,
    objective: Objective,
    parameters: PyTree,
    state: PyTree,
    *,
    max_sweeps: int = 10,
    tolerance: float = 1e-5,
    fallback: bool = True,
) -> Gradient:
    """Returns the original's training gradient: damped Richardson on the coupled system, or its silent one-step fallback.

    Args:
        problem: a mean-field model with the monitor ``kl_notebook``.
        objective: the function of its posterior.
        parameters, state: where to differentiate, and where inference starts.
        max_sweeps: limit on sweeps, and on Richardson iterations.
        tolerance: of the relative change of the KL, and of the mean squared change in one Richardson iteration.
        fallback: whether to fall back to one step as the original does.

    Raises:
        TypeError: the problem is no mean-field model.
        ValueError: it has no monitor ``kl_notebook``.
    """
    back = _forward(problem, objective, parameters, state, max_sweeps, tolerance)

    def iterate(carry):
        _, adjoint, count = carry
        moved = add(back.transposed(adjoint), back.cotangent)
        return adjoint, add_scaled(scale(1 - _DAMPING, adjoint), _DAMPING, moved), count + 1

    def moving(carry):
        before, adjoint, count = carry
        changes = [jnp.mean(leaf**2) for leaf in jax.tree.leaves(subtract(before, adjoint))]
        return (count == 0) | ((sum(changes) / len(changes) > tolerance) & (count < max_sweeps))

    _, adjoint, count = lax.while_loop(moving, iterate, (back.cotangent, back.cotangent, jnp.array(0)))
    leftover = jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(_residual(back, adjoint))])
    misfit = jnp.sqrt(jnp.mean(leftover**2))
    gives_up = fallback & ((misfit > _CLIP) | jnp.isnan(misfit) | (back.sweeps == max_sweeps))
    return _conclude(back, where(gives_up, back.cotangent, adjoint), count + 1, gives_up)


def original_bicgstab(
    problem: MeanField,
    objective: Objective,
    parameters: PyTree,
    state: PyTree,
    *,
    max_sweeps: int = 10,
    tolerance: float = 1e-5,
) -> Gradient:
    """Returns the notebook's implicit gradient: JAX's BiCGStab on the coupled system, as many iterations as sweeps were taken.

    Args:
        problem, objective, parameters, state, max_sweeps, tolerance: as for ``original_itersolve``; the solver's own tolerance
            is JAX's default, 1e-5. Its iterations are not reported: the products given are the most it may have used.

    Raises:
        TypeError, ValueError: as for ``original_itersolve``.
    """
    back = _forward(problem, objective, parameters, state, max_sweeps, tolerance)
    adjoint, _ = jax_bicgstab(lambda x: subtract(x, back.transposed(x)), back.cotangent, maxiter=back.sweeps)
    return _conclude(back, adjoint, 2 * back.sweeps + 1, jnp.array(False))


def _forward(problem, objective, parameters, state, max_sweeps: int, tolerance: float) -> _Backward:
    if not isinstance(problem, MeanField):
        raise TypeError(f"the original's gradients need a mean-field model, found {type(problem).__name__}")
    inference = coordinate_ascent(
        problem, parameters, state, max_sweeps=max_sweeps, tolerance=tolerance, criterion="kl_notebook"
    )
    blocks = problem.parts(inference.posterior)[0], inference.state

    def evaluate(parameters, blocks):
        statistics, state = blocks
        message = problem.message(parameters, statistics)
        second = problem.second_block(parameters, message)
        first = problem.first_block(parameters, state)._replace(statistics=statistics)
        posterior = problem.combine(parameters, state, first, message, second)
        return objective(parameters, problem.with_state(posterior, state))

    value, (explicit, cotangent) = jax.value_and_grad(evaluate, argnums=(0, 1))(parameters, blocks)
    _, pull_back = jax.vjp(Coupled(problem).sweep, parameters, blocks)
    return _Backward(
        value,
        explicit,
        cotangent,
        lambda adjoint: pull_back(adjoint)[1],
        lambda adjoint: pull_back(adjoint)[0],
        inference.sweeps,
        fixed_point_residual(problem, parameters, inference.state).maximum,
    )


def _residual(back: _Backward, adjoint: PyTree) -> PyTree:
    return subtract(add(back.cotangent, back.transposed(adjoint)), adjoint)


def _conclude(back: _Backward, adjoint: PyTree, products: Array, fell_back: Array) -> Gradient:
    gradient = add(back.explicit, back.to_parameters(adjoint))
    residual = norm(_residual(back, adjoint)) / norm(back.cotangent)
    status = GradientStatus.where(fell_back, GradientStatus.fell_back, GradientStatus.approximate)
    status = GradientStatus.where(all_finite((back.value, gradient)), status, GradientStatus.nonfinite)
    unknown = jnp.full_like(back.value, jnp.nan)
    info = AdjointInfo(status, products, residual, back.forward_residual, unknown)
    return Gradient(back.value, gradient, info)
