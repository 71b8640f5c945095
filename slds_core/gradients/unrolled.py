"""Differentiate the sweeps themselves."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import PyTree

from slds_core.fixed_point.interface import FixedPoint
from slds_core.gradients.result import AdjointInfo, Gradient, GradientStatus, Objective
from slds_core.trees import all_finite


def unrolled(problem: FixedPoint, objective: Objective, parameters: PyTree, state: PyTree, *, sweeps: int) -> Gradient:
    """Returns the derivative of the objective after ``sweeps`` sweeps from ``state``, which is held fixed.

    It is exact for that finite computation and tends to the fixed point's gradient as the sweeps go on, more slowly than
    the state does. Memory grows with the number of sweeps.

    Args:
        problem, objective: the model and the function of its posterior.
        parameters, state: where to differentiate, and where the sweeps start.
        sweeps: how many, at least 1.

    Raises:
        ValueError: ``sweeps`` is below 1.

    References:
        Scieur, Gidel, Bertrand and Pedregosa (2022), "The curse of unrolling".
    """
    if sweeps < 1:
        raise ValueError(f"sweeps: expected at least 1, found {sweeps}")

    def composition(parameters):
        def sweep(state, _):
            return problem.sweep(parameters, state), None

        last, _ = lax.scan(sweep, state, None, length=sweeps - 1)
        return objective(parameters, problem.posterior(parameters, last))

    value, gradient = jax.value_and_grad(composition)(parameters)
    finite = all_finite((value, gradient))
    status = GradientStatus.where(finite, GradientStatus.exact_derivative, GradientStatus.nonfinite)
    unknown = jnp.full_like(value, jnp.nan)
    return Gradient(value, gradient, AdjointInfo(status, jnp.array(sweeps), unknown, unknown, unknown))
