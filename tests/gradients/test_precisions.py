"""Gradients where parameters, state and objective are not all of one precision, and where JAX promotes none by itself."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import DTYPE, ravel

from slds_core import gradients
from slds_core.fixed_point import newton_cg, sweep_spectrum
from slds_core.fixed_point.status import name_of
from slds_core.models.random_slds import random_slds
from slds_core.models.slds import SLDS

pytestmark = pytest.mark.skipif(jnp.float64 != DTYPE, reason="needs both precisions")

PROBLEM = SLDS()
SINGLE = {"tolerance": 1e-5, "forward_tolerance": 1e-4}  # what float32 resolves, here and there


@cache
def fixed_point():
    parameters, start = random_slds(time=12, latent=2, states=3, spread=0.1)
    return parameters, jax.jit(lambda p, x: newton_cg(PROBLEM, p, x, max_sweeps=3000))(parameters, start).state


def single(tree):
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float32), tree)


def objective(parameters, posterior):
    return jnp.sum(posterior.gaussian.mean**2)


def carried(parameters, state):
    attached = gradients.implicit_state(PROBLEM, parameters, state, **SINGLE)
    return objective(parameters, PROBLEM.posterior(parameters, attached))


@pytest.mark.slow
@pytest.mark.parametrize("rounded", ["parameters", "state"])
def test_state_and_parameters_of_two_precisions(rounded):
    parameters, state = fixed_point()
    wanted = ravel(jax.jit(partial(gradients.direct, PROBLEM, objective))(parameters, state).gradient)
    mixed = (single(parameters), state) if rounded == "parameters" else (parameters, single(state))
    for name in ("fisher_cg", "bicgstab", "richardson"):
        found = jax.jit(lambda p, x, name=name: getattr(gradients, name)(PROBLEM, objective, p, x, **SINGLE))(*mixed)
        assert name_of(found.info.status) == "solved"
        # rounding of 6e-8 over 1 - λ, and the solver's tolerance
        np.testing.assert_allclose(ravel(found.gradient), wanted, rtol=0, atol=1e-4 * np.linalg.norm(wanted))
    found = jax.jit(jax.grad(carried))(*mixed)
    np.testing.assert_allclose(ravel(found), wanted, rtol=0, atol=1e-4 * np.linalg.norm(wanted))
    rates = [sweep_spectrum(PROBLEM, *point).eigenvalues[0] for point in (mixed, (parameters, state))]
    assert rates[0] == pytest.approx(float(rates[1]), abs=1e-5)


@pytest.mark.slow
def test_an_objective_in_single_precision_coarsens_no_solver():
    parameters, state = fixed_point()
    found = gradients.bicgstab(PROBLEM, lambda p, q: objective(p, q).astype(jnp.float32), parameters, state)
    assert (name_of(found.info.status), float(found.info.residual) < 1e-9) == ("solved", True)


@pytest.mark.parametrize("name", ["fisher_cg", "bicgstab", "gmres", "richardson", "direct", "one_step"])
def test_without_promotion_of_types(name):
    """Where types do not go together, tracing fails."""
    estimate = partial(getattr(gradients, name), PROBLEM, objective, certified=True)
    with jax.numpy_dtype_promotion("strict"):
        found = jax.eval_shape(estimate, *fixed_point())
    assert {leaf.dtype for leaf in jax.tree.leaves(found.gradient)} == {jnp.dtype("float64")}


def test_an_objective_that_is_a_plain_number():
    parameters, state = fixed_point()
    found = gradients.unrolled_converged(PROBLEM, lambda p, q: 1.0, parameters, state, sweeps=1, max_sweeps=4)
    assert not np.any(ravel(found.gradient))
