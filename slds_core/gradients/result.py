"""What every gradient estimator returns."""

from collections.abc import Callable

import equinox as eqx
from jaxtyping import Array, Float, Int, PyTree

Objective = Callable[[PyTree, PyTree], Float[Array, ""]]
"""A scalar function of ``(parameters, posterior)``, differentiable in both."""


class GradientStatus(eqx.Enumeration):
    """How an estimator ended. The message says what happened and what to try."""

    solved = "The true residual met the tolerance, or its effect on the gradient is below rounding; and the state is a fixed point."
    exact_derivative = (
        "The exact derivative of a finite number of sweeps; whether that is the fixed point's is for the certificate or a "
        "witness to say."
    )
    approximate = "An approximation by design: the adjoint system was not meant to be solved. Look at its residual."
    not_a_fixed_point = (
        "The state moves in one more sweep by more than `forward_tolerance`: converge the forward pass further."
    )
    product_limit = "The product limit was reached first: raise `max_products`, or accept the residual as it stands."
    still_changing = "The gradient still changed when the sweeps were last doubled: raise `max_sweeps`."
    stagnated = "The solver stopped short of the tolerance: converge the forward pass further, or try another solver."
    not_positive = (
        "The adjoint system is not positive definite here: no strict local maximum. Converge the forward pass further."
    )
    nonfinite = "Non-finite values: check the model, and that the forward pass converged."
    fell_back = "The original's rule replaced the implicit gradient by the one-step gradient."


class AdjointInfo(eqx.Module):
    """What an estimator did: residuals recomputed and the status judged by them, products counted by the solver itself."""

    status: GradientStatus
    products: Int[
        Array, ""
    ]  # products with the sweep's Jacobian (one of F and one of S), those that check the result included
    residual: Float[Array, ""]  # ‖u - (I - Jᵀ) w‖ / ‖u‖ in the Euclidean norm; NaN where no adjoint system is solved
    forward_residual: Float[Array, ""]  # largest change of the state in one more sweep; NaN where no state was given
    certificate: Float[Array, ""]  # bound on ‖gradient - true gradient‖, both parts estimated; NaN unless asked for


class Gradient(eqx.Module):
    """An objective at a fixed point, its total derivative, and how that was found."""

    value: Float[Array, ""]
    gradient: PyTree[Float[Array, "..."]]  # in the structure of the parameters
    info: AdjointInfo
    adjoint: PyTree = None  # w, in the structure of the state; None where none is solved, or one on both blocks
