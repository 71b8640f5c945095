"""No estimator reports success and is wrong beyond its certificate: random problems, in both precisions."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import DTYPE, ravel

from slds_core import gradients
from slds_core.fixed_point import coordinate_ascent
from slds_core.fixed_point.status import name_of
from slds_core.models.random_slds import random_slds
from slds_core.models.slds import SLDS
from slds_core.objectives.generic import linear

pytestmark = pytest.mark.slow

PROBLEM = SLDS()
OBJECTIVE = linear(PROBLEM, seed=0)
SIZES = {(20, 2, 2): 40, (12, 1, 4): 40, (30, 3, 3): 40}  # how many problems of each (time, latent, states)
ESTIMATORS = ("fisher_cg", "bicgstab", "gmres")
TOLERANCE = 1e-10 if jnp.float64 == DTYPE else 1e-5
FORWARD = 1e-6 if jnp.float64 == DTYPE else 1e-4


def problem(size, seed):
    """Returns a random problem of a size: difficulty drawn along with the rest."""
    generator = np.random.default_rng(seed)
    time, latent, states = size
    return random_slds(
        time=time,
        latent=latent,
        states=states,
        observation_precision=float(10 ** generator.uniform(-1.5, 0.5)),
        stickiness=float(generator.uniform(0.2, 0.97)),
        spread=float(generator.uniform(0.05, 0.5)),
        missing_start=int(generator.integers(time // 2)),
        missing_length=int(generator.integers(time // 2)),
        seed=seed,
    )


@cache
def programs(sweeps):
    """The programs under test, and the truth's, compiled once a size and precision."""
    infer = jax.jit(lambda p, x: coordinate_ascent(PROBLEM, p, x, max_sweeps=sweeps, tolerance=FORWARD / 10))

    def estimator(function):
        settings = {"tolerance": TOLERANCE, "forward_tolerance": FORWARD, "certified": True}
        return jax.jit(lambda p, x: function(PROBLEM, OBJECTIVE, p, x, **settings))

    return infer, {name: estimator(getattr(gradients, name)) for name in ESTIMATORS}


converge = jax.jit(lambda p, x: coordinate_ascent(PROBLEM, p, x, max_sweeps=20000, tolerance=1e-13))
dense = jax.jit(lambda p, x: gradients.direct(PROBLEM, OBJECTIVE, p, x))


@pytest.mark.parametrize("size", SIZES)
def test_success_means_within_the_certificate(size):
    infer, estimate = programs(500)
    solved = 0
    for seed in range(SIZES[size]):
        parameters, start = problem(size, seed)
        narrow = jax.tree.map(lambda leaf: jnp.asarray(leaf, DTYPE), (parameters, start))
        inference = infer(*narrow)
        with jax.enable_x64(True):
            wide = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf), jnp.float64), (narrow[0], inference.state))
            limit = converge(*wide)
            truth = ravel(dense(wide[0], limit.state).gradient)
            found_limit = name_of(limit.status) == "converged"
        for name in ESTIMATORS:
            found = estimate[name](narrow[0], inference.state)
            if name_of(found.info.status) != "solved" or not found_limit:
                continue
            solved += 1
            error = np.linalg.norm(ravel(found.gradient) - truth)
            assert error <= found.info.certificate, (name, seed, error, float(found.info.certificate))
    assert solved >= SIZES[size]  # the claim is not empty
