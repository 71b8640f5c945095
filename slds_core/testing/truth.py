"""What is true of a case: its fixed point by sweeping on and on, its gradient by a dense matrix that NumPy solves with."""

from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree

from slds_core.testing.cases import Case, cast
from slds_core.trees import largest

_SWEEPS = 2000


class Truth(NamedTuple):
    """A case's fixed point and the objective's total derivative there, in float64 NumPy."""

    state: Any
    value: float
    gradient: Any  # in the structure of the parameters
    rate: float  # spectral radius of the sweep's Jacobian


@cache
def truths(case: Case) -> tuple[Truth, Truth]:
    """Returns the truth of both instances.

    Raises:
        ValueError: sweeps do not converge, so that there is no truth to check by.
    """
    with jax.enable_x64(True):
        first, second = (_truth(case, *cast(tuple(instance), "float64")) for instance in case.instances)
    return first, second


def _truth(case: Case, parameters: Any, start: Any) -> Truth:
    flat_start, state_of = ravel_pytree(start)
    flat_parameters, parameters_of = ravel_pytree(parameters)

    def sweep(theta, x):
        return ravel_pytree(case.problem.sweep(parameters_of(theta), state_of(x)))[0]

    def evaluate(theta, x):
        tree = parameters_of(theta)
        return case.objective(tree, case.problem.posterior(tree, state_of(x)))

    @jax.jit
    def linearised(theta, x):
        fixed = lax.fori_loop(0, _SWEEPS, lambda _, x: sweep(theta, x), x)
        in_parameters, in_state = jax.jacfwd(sweep, argnums=(0, 1))(theta, fixed)
        value, gradients = jax.value_and_grad(evaluate, argnums=(0, 1))(theta, fixed)
        moved = largest(sweep(theta, fixed) - fixed)
        return fixed, moved, in_parameters, in_state, value, gradients

    found = jax.tree.map(np.asarray, linearised(flat_parameters, flat_start))
    fixed, moved, in_parameters, in_state, value, (explicit, right_hand_side) = found
    if not moved <= 1e-12:
        raise ValueError(f"{case.name}: expected a fixed point after {_SWEEPS} sweeps, found a change of {moved:.1e}")
    adjoint = np.linalg.solve(np.eye(len(fixed)) - in_state.T, right_hand_side)
    gradient = explicit + in_parameters.T @ adjoint
    rate = float(np.max(np.abs(np.linalg.eigvals(in_state))))
    as_numpy = [jax.tree.map(np.asarray, tree) for tree in (state_of(fixed), parameters_of(jnp.asarray(gradient)))]
    return Truth(as_numpy[0], float(value), as_numpy[1], rate)
