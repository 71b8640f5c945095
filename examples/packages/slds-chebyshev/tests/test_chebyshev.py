"""The estimator keeps the contracts, and is as fast as its theory says."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from slds_chebyshev import Chebyshev

from slds_core.fixed_point.status import name_of
from slds_core.gradients import fisher_cg, richardson
from slds_core.objectives.generic import linear
from slds_core.testing import BoltzmannMachine, check_gradient
from slds_core.testing.boltzmann import Couplings


def test_keeps_the_contracts():
    outcome = check_gradient(Chebyshev())
    assert "batch-safe" in outcome.kept
    assert list(outcome.declined) == ["right on a model that is no mean field, or declines"]


def test_its_parameters_reach_it():
    check_gradient(Chebyshev(tolerance=1e-6, lanczos_products=3))


RATE, SIZE = 0.98, 60


@pytest.fixture(scope="module")
def results():
    """Each solver on a machine without biases, at its fixed point zero, where the sweep's Jacobian is ``WᵀW``: its spectrum is known."""
    generator = np.random.default_rng(0)
    left, right = (np.linalg.qr(generator.standard_normal((SIZE, SIZE)))[0] for _ in range(2))
    weight = left @ np.diag(np.sqrt(np.linspace(0, RATE, SIZE))) @ right
    problem = BoltzmannMachine()
    solvers = {"chebyshev": Chebyshev().estimate, "fisher_cg": fisher_cg, "richardson": richardson}
    with jax.enable_x64(True):
        zero = jnp.zeros(SIZE)
        point = Couplings(jnp.asarray(weight), zero, zero), zero
        return {
            name: jax.jit(lambda p, x, f=solve: f(problem, linear(problem, 0), p, x, **settings(f)))(*point)
            for name, solve in solvers.items()
        }


def settings(solve):
    return {"max_products": 5000} if solve is richardson else {}


def test_all_solve_the_same_system(results):
    wanted = results["fisher_cg"].gradient.hidden_bias
    for name, found in results.items():
        assert name_of(found.info.status) == "solved", name
        assert np.linalg.norm(found.gradient.hidden_bias - wanted) <= 1e-8 * np.linalg.norm(wanted), name


def test_takes_the_products_that_theory_says(results):
    root = math.sqrt(1 - RATE)
    predicted = math.log(2 / Chebyshev().tolerance) / -math.log((1 - root) / (1 + root))
    taken = {name: int(found.info.products) for name, found in results.items()}
    bounding = Chebyshev().lanczos_products + 1
    assert 0.7 * predicted <= taken["chebyshev"] - bounding <= 1.3 * predicted
    # conjugate gradients are the best polynomial, of which Chebyshev's is the best that sees no more than the interval
    assert taken["fisher_cg"] <= taken["chebyshev"]
    assert taken["chebyshev"] <= taken["richardson"] / 5
