"""The Krylov solvers keep to their limits and count what they spend: every product with the sweep's Jacobian is counted where it runs."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import Affine, affine
from tolerances import DTYPE

from slds_core.fixed_point.status import name_of
from slds_core.gradients import bicgstab, gmres

pytestmark = pytest.mark.skipif(jnp.float64 != DTYPE, reason="tolerances are those of float64")

UNKNOWNS = 40
PARAMETERS, _ = affine(size=UNKNOWNS, contraction=0.8)
WEIGHTS = np.linspace(1, 2, UNKNOWNS)
calls = []


@jax.custom_vjp
def counted(tree):
    """Returns the tree itself; each backward pass through it is noted in ``calls``."""
    return tree


def _note(_, cotangent):
    jax.debug.callback(lambda: calls.append(None))
    return (cotangent,)


counted.defvjp(lambda tree: (tree, None), _note)


class Counted(Affine):
    def posterior(self, parameters, state):
        return super().posterior(parameters, counted(state))


def objective(_, posterior):
    state = posterior["state"]
    return WEIGHTS[0] * state["head"][0] + jnp.asarray(WEIGHTS[1:]) @ state["tail"]


def fixed_point():
    x = np.linalg.solve(np.eye(UNKNOWNS) - PARAMETERS["matrix"], PARAMETERS["offset"])
    return {"head": jnp.asarray(x[:1]), "tail": jnp.asarray(x[1:])}


def spend(estimator, **settings):
    """Returns the gradient, and how many products with the Jacobian were taken."""
    solve = jax.jit(lambda p, x: estimator(Counted(), objective, p, x, **settings))
    calls.clear()
    found = jax.block_until_ready(solve(PARAMETERS, fixed_point()))
    jax.effects_barrier()
    return found, len(calls) - 1  # one is the right-hand side's


def checks(found, tolerance):
    """Returns the products that judge the result: one, and one more where the tolerance is missed."""
    return 1 if found.info.residual <= 10 * tolerance else 2


@pytest.mark.parametrize(
    ("restart", "limit", "most"),
    [(10, 12, 12), (10, 22, 12), (10, 23, 23), (3, 13, 13), (100, UNKNOWNS + 2, UNKNOWNS + 2)],
)
def test_gmres_counts_its_cycles(restart, limit, most):
    """One product to begin, then one a dimension and one a cycle; no more dimensions than unknowns."""
    found, taken = spend(partial(gmres, restart=restart), tolerance=1e-13, max_products=limit)
    assert int(found.info.products) == taken
    assert taken - checks(found, 1e-13) == most
    assert float(found.info.residual) < 0.5  # a limit that is accepted allows some work


@pytest.mark.parametrize("restart", [10, 100])
def test_gmres_never_counts_too_few(restart):
    found, taken = spend(partial(gmres, restart=restart), tolerance=1e-12)
    assert name_of(found.info.status) == "solved"
    cycle = min(restart, UNKNOWNS) + 1
    assert taken <= int(found.info.products) <= taken + cycle  # the last cycle may end early


@pytest.mark.parametrize(("restart", "least"), [(10, 12), (100, UNKNOWNS + 2)])
def test_gmres_refuses_less_than_a_cycle(restart, least):
    with pytest.raises(ValueError, match=f"^max_products: expected at least {least}, found {least - 1}$"):
        gmres(Counted(), objective, PARAMETERS, fixed_point(), restart=restart, max_products=least - 1)


@pytest.mark.parametrize(("limit", "most"), [(3, 3), (4, 3), (9, 9)])
def test_bicgstab_counts_the_product_it_begins_with(limit, most):
    found, taken = spend(bicgstab, tolerance=1e-13, max_products=limit)
    assert int(found.info.products) == taken
    assert taken - checks(found, 1e-13) == most
    assert float(found.info.residual) < 0.5


@pytest.mark.parametrize("tolerance", [1e-1, 1e-4, 1e-12])
def test_bicgstab_counts_what_it_spends(tolerance):
    found, taken = spend(bicgstab, tolerance=tolerance)
    assert name_of(found.info.status) == "solved"
    assert int(found.info.products) == taken
