"""Contracts of an objective."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from slds_core.plugins import ObjectivePlugin
from slds_core.testing.boltzmann import boltzmann
from slds_core.testing.cases import Case, cast, tiny_slds
from slds_core.testing.outcome import Outcome, require
from slds_core.testing.parameters import check_parameters
from slds_core.testing.programs import PRECISIONS, flat, require_close, require_precision, stack

_STEP = 1e-5
_ERROR = 1e-6  # of a central difference with that step, relative to the gradient


def check_objective(plugin: ObjectivePlugin, *cases: Case) -> Outcome:
    """Checks that an objective is a finite, differentiable scalar of every model that it does not decline.

    Args:
        plugin: the objective, with the parameters to check it with.
        cases: problems to check it on; by default a Boltzmann machine and a tiny SLDS.

    Returns:
        The contracts kept and those declined.

    Raises:
        AssertionError: a contract is broken, or every model declined; says what was expected and what was found.
    """
    outcome = Outcome(plugin)
    check_parameters(plugin, ObjectivePlugin, outcome)
    asked = cases or (boltzmann(), tiny_slds())
    for case in asked:
        with outcome.contract(f"a differentiable scalar of {case.name}, compiled and batched"):
            _check_on(plugin, case)
    if len(outcome.declined) == len(asked):
        reasons = "; ".join(outcome.declined.values())
        raise AssertionError(f"{plugin!r}: expected a model that it has a meaning for, found all declined: {reasons}")
    return outcome


def _check_on(plugin: ObjectivePlugin, case: Case) -> None:
    problem = case.problem
    objective, again = plugin.objective(problem), plugin.objective(problem)

    def evaluate(parameters, state, objective=objective):
        return objective(parameters, problem.posterior(parameters, state))

    program = jax.jit(jax.value_and_grad(evaluate, argnums=(0, 1)))
    for precision in PRECISIONS:
        with jax.enable_x64(precision == "float64"):
            for instance in case.instances:
                value, slopes = program(*cast(tuple(instance), precision))
                require(value.shape == (), f"expected a scalar, found shape {value.shape}")
                require_precision((value, slopes), precision, "value and derivatives")
                require(np.isfinite(value), f"expected a finite value, found {float(value)}")
                require(np.all(np.isfinite(flat(slopes))), "expected finite derivatives, found NaN or infinity")

    with jax.enable_x64(True):
        points = tuple(cast(tuple(instance), "float64") for instance in case.instances)
        value, slopes = program(*points[0])
        require_close(evaluate(*points[0]), value, "float64", "without jit")
        require_close(evaluate(*points[0], objective=again), value, "float64", "objective() once more")
        together = jax.jit(jax.vmap(evaluate))(*stack(points))
        alone = jnp.stack([program(*point)[0] for point in points])
        require_close(together, alone, "float64", "batch of two problems")
        _check_slope(lambda *point: program(*point)[0], points[0], slopes)


def _check_slope(evaluate: Any, point: Any, slopes: Any) -> None:
    """Compares the derivative with a central difference along the derivative itself, where it shows most."""
    size = float(np.linalg.norm(flat(slopes)))
    if size == 0:
        return
    forward, backward = (
        float(evaluate(*jax.tree.map(lambda x, s, sign=sign: x + sign * _STEP / size * s, point, slopes)))
        for sign in (1, -1)
    )
    difference = (forward - backward) / (2 * _STEP)
    rounding = 10 * float(jnp.finfo("float64").eps) * (abs(forward) + abs(backward)) / _STEP
    error = abs(difference - size)
    allowed = _ERROR * size + rounding
    require(
        error <= allowed, f"expected the slope {difference!r} of a central difference, found the derivative {size!r}"
    )
