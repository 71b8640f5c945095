"""Products of matrices ask for the precision of their arrays: a GPU rounds single precision to ten binary digits where they do not."""

import os
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest
from problems import gaussian_chain

from slds_core.chains import gaussian
from slds_core.expfam import mniw, niw
from slds_core.fixed_point import anderson, newton_cg, sweep_spectrum
from slds_core.gradients import fisher_cg
from slds_core.learning.decoder import LinearDecoder
from slds_core.learning.encoder import LinearEncoder
from slds_core.models.random_slds import random_slds
from slds_core.models.slds import SLDS, SLDSSequences
from slds_core.objectives.generic import linear
from slds_core.objectives.notebook import notebook_objective

FULL = "HIGHEST, HIGHEST"


def precisions(function, *arguments):
    """Returns what the products of matrices in the function's program ask for."""
    program = jax.jit(function).lower(*arguments).as_text()
    products = [line for line in program.splitlines() if "stablehlo.dot_general" in line]
    return {re.search(r"precision = \[(.*?)\]|$", line)[1] for line in products}


@pytest.fixture(scope="module")
def small():
    return random_slds(time=5, latent=2, states=2)


def value(parameters, posterior):
    return jnp.sum(posterior.discrete.marginals[0] ** 2)


@pytest.mark.parametrize("problem", [SLDS("scan"), SLDSSequences([3, 2], padded=False)], ids=["one", "many"])
def test_an_slds(problem):
    """Its sweep and its bound, and what follows from them by differentiation."""
    parameters, state = random_slds(time=5, latent=2, states=2)
    state = state[: state.shape[0] - (isinstance(problem, SLDSSequences))]
    bound = lambda parameters: jnp.sum(problem.elbo(problem.posterior(parameters, state)))
    assert precisions(problem.posterior, parameters, state) == {FULL}
    assert precisions(jax.grad(bound), parameters) == {FULL}
    assert precisions(jax.grad(jax.jit(bound)), parameters) == {FULL}


@pytest.mark.parametrize("backend", ["scan", "associative"])  # compiled kernels run on CPUs alone, which round nothing
def test_a_chain(backend):
    """Of matrices that are too large for fused arithmetic."""
    potentials = gaussian_chain(3, 13, seed=0)
    draw = lambda potentials: gaussian.sample(jax.random.key(0), potentials, backend=backend)
    partition = jax.jit(lambda potentials: gaussian.smooth(potentials, backend=backend).log_partition)
    curvature = lambda potentials: jax.jvp(jax.grad(partition), (potentials,), (potentials,))
    assert precisions(curvature, potentials) == {FULL}
    assert precisions(draw, potentials) == {FULL}
    two = jax.tree.map(lambda x: jnp.stack([x, x]), potentials)
    assert precisions(jax.vmap(partition), two) == {FULL}  # traced anew for the batch by one back end, as late as here


@pytest.mark.slow
@pytest.mark.parametrize("solver", [anderson, newton_cg])
def test_solvers(small, solver):
    assert precisions(lambda p, s: solver(SLDS("scan"), p, s, max_sweeps=3, tolerance=1e-3), *small) == {FULL}


def test_gradients(small):
    assert precisions(lambda p, s: fisher_cg(SLDS("scan"), value, p, s, tolerance=1e-3), *small) == {FULL}


def test_what_the_user_asks_for_has_precedence(small):
    with jax.default_matmul_precision("tensorfloat32"):
        found = precisions(SLDS("scan").posterior, *small)
    assert found == {"HIGH, HIGH"}


@pytest.mark.parametrize("function", [mniw.expected_statistics, mniw.log_partition, niw.expected_statistics])
def test_global_factors(function):
    """A transition whose precision lost its digits would have no density."""
    matrices = {"scale": jnp.eye(2), "location": 0.9 * jnp.eye(2), "strength": jnp.eye(2), "degrees": jnp.asarray(5.0)}
    factor = mniw.MatrixNormalInverseWishart(**matrices)
    if function is niw.expected_statistics:
        factor = niw.NormalInverseWishart(jnp.eye(2), jnp.zeros(2), jnp.asarray(1.0), jnp.asarray(5.0))
    if function is mniw.log_partition:
        factor = mniw.natural_parameters(factor)
    assert precisions(function, factor) == {FULL}


def test_encoder_and_decoder():
    decoder = LinearDecoder(loading=jnp.ones((3, 2)), offset=jnp.zeros(3), log_precision=jnp.zeros(3))
    encoder = LinearEncoder(root=jnp.ones((3, 2)), gain=jnp.ones((3, 2)), offset=jnp.zeros(3))
    values, observed = jnp.ones((1, 4, 3)), jnp.ones((1, 4, 3), bool)
    assert precisions(lambda values: decoder.potentials(values, observed), values) == {FULL}
    assert precisions(lambda values: encoder(decoder, values, observed), values) == {FULL}


def test_objectives(small):
    problem, (parameters, state) = SLDS("scan"), small
    posterior = problem.posterior(parameters, state)
    for objective in (linear(problem, 0), notebook_objective):
        assert precisions(objective, parameters, posterior) == {FULL}


def test_spectrum(small):
    assert precisions(lambda p, s: sweep_spectrum(SLDS("scan"), p, s, products=3), *small) == {FULL}


@pytest.mark.slow
def test_a_study_asks_for_it_everywhere():
    """Plugins of the user's too, which no decorator of ours reaches; and not against what was asked for."""
    tells = (
        "from slds_core.study.stages.common import use_precision; use_precision('float32'); "
        "import jax; print(jax.config.jax_default_matmul_precision)"
    )
    for asked, found in (({}, "highest"), ({"JAX_DEFAULT_MATMUL_PRECISION": "tensorfloat32"}, "tensorfloat32")):
        told = subprocess.run(
            [sys.executable, "-c", tells], env=os.environ | asked, capture_output=True, text=True, check=True
        )
        assert told.stdout.split() == [found]
