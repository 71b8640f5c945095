"""What every gradient estimator returns."""

from collections.abc import Callable

import equinox as eqx
from jaxtyping import Array, Float, Int, PyTree

Objective = Callable[[PyTree, PyTree], Float[Array, ""]]
"""A scalar function of ``(parameters, posterior)``, differentiable in both."""


class GradientStatus(eqx.Enumeration):
    """How an estimator ended. The message says what happened and what to try."""

    solved = "The true residual of the adjoint system met the tolerance."
    exact_derivative = "The exact derivative of a finite number of sweeps; whether that is the fixed point's is for the residual to say."
    product_limit = "The product limit was reached first: raise `max_products`, or accept the residual as it stands."
    stagnated = "The solver stopped short of the tolerance: converge the forward pass further, or try another solver."
    nonfinite = "Non-finite values: check the model, and that the forward pass converged."


class AdjointInfo(eqx.Module):
    """What an estimator did, recomputed rather than trusted."""

    status: GradientStatus
    products: Int[Array, ""]  # applications of the sweep's Jacobian or its transpose
    residual: Float[Array, ""]  # ‖v - (I - Jᵀ) w‖ / ‖v‖ in the Euclidean norm; NaN where no adjoint system is solved


class Gradient(eqx.Module):
    """An objective at a fixed point, its total derivative, and how that was found."""

    value: Float[Array, ""]
    gradient: PyTree[Float[Array, "..."]]  # in the structure of the parameters
    info: AdjointInfo
