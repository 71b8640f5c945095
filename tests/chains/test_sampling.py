"""Draws of paths against dense joint Gaussians and enumerated paths."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from backends import BACKENDS, native
from problems import direction_like, discrete_chain, gaussian_chain
from scipy.stats import chisquare
from tolerances import DTYPE, EPS, assert_close

from slds_core.chains import gaussian, hmm
from slds_core.chains.gaussian.chain import BACKENDS as GAUSSIAN
from slds_core.chains.hmm.chain import BACKENDS as HMM

KEY = jax.random.key(3)
SIZES = [("scan", 1, 2), ("scan", 4, 3), ("scan", 2, 13), ("associative", 1, 2), ("associative", 4, 2)]
SIZES += [native(*size) for size in ((1, 1), (1, 7), (4, 2), (5, 3), (3, 5), (2, 13), (2, 16))]

each_backend = pytest.mark.parametrize("backend", BACKENDS)


@partial(jax.jit, static_argnums=(1, 2))
def gaussian_paths(potentials, draws, backend):
    return gaussian.sample(KEY, potentials, draws=draws, backend=backend)


@partial(jax.jit, static_argnums=(1, 2))
def hmm_paths(potentials, draws, backend):
    return hmm.sample(KEY, potentials, draws=draws, backend=backend)


@partial(jax.jit, static_argnums=2)
def paths_of_noise(potentials, noise, backend):
    chosen = GAUSSIAN[backend]
    return chosen.sample(chosen.linearise(potentials)[2], noise)


@partial(jax.jit, static_argnums=2)
def states_of_shares(potentials, shares, backend):
    chosen = HMM[backend]
    return chosen.sample(chosen.linearise(potentials)[2], shares)


@pytest.mark.parametrize(("backend", "time", "latent"), SIZES)
def test_gaussian_paths_are_the_joint_gaussians(backend, time, latent):
    """Paths are affine in the noise: no noise leads to the mean, and unit noise to a root of the dense covariance. No statistics needed."""
    potentials = gaussian_chain(time, latent, seed=time + latent)
    joint = oracles.joint_gaussian(potentials)
    entries = time * latent
    unit = np.concatenate([np.zeros((1, entries)), np.eye(entries)]).reshape(-1, time, latent)
    paths = paths_of_noise(potentials, jnp.asarray(np.moveaxis(unit, 0, 1), DTYPE), backend)
    flat = np.moveaxis(np.asarray(paths, np.float64), 0, 1).reshape(-1, entries)
    root = flat[1:] - flat[0]
    assert_close(flat[0], joint.mean, ulps=500, scale=np.abs(joint.mean).max() + 1)
    assert_close(root.T @ root, joint.covariance, ulps=500)


@each_backend
def test_the_same_key_gives_the_same_gaussian_paths(backend):
    potentials = gaussian_chain(6, 3)
    assert gaussian_paths(potentials, 7, backend).shape == (7, 6, 3)
    assert_close(gaussian_paths(potentials, 7, backend), gaussian_paths(potentials, 7, "scan"), ulps=500)


@pytest.mark.skipif(jnp.float64 != DTYPE, reason="finite differences need float64")
@each_backend
def test_gaussian_paths_are_differentiable(backend):
    potentials = gaussian_chain(4, 3)
    direction = direction_like(potentials, seed=1)
    step = 1e-5  # differences are exact to its square, 1e-10, and to rounding over it

    def moved(amount):
        return gaussian_paths(jax.tree.map(lambda p, d: p + amount * d, potentials, direction), 2, backend)

    _, slope = jax.jvp(moved, (0.0,), (1.0,))
    assert_close(slope, (moved(step) - moved(-step)) / (2 * step), ulps=1e-8 / EPS)


@each_backend
def test_batches_of_gaussian_chains(backend):
    both = [gaussian_chain(5, 2, seed=seed) for seed in (0, 1)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *both)
    found = jax.vmap(lambda p: gaussian_paths(p, 3, backend))(stacked)
    assert_close(found, jnp.stack([gaussian_paths(p, 3, backend) for p in both]), ulps=100)


@each_backend
def test_no_gaussian_paths_where_there_is_no_density(backend):
    potentials = gaussian_chain(4, 2)
    indefinite = gaussian.GaussianPotentials(-potentials.quadratic, potentials.cross, potentials.linear)
    assert np.all(np.isnan(gaussian_paths(indefinite, 2, backend)))


@each_backend
@pytest.mark.parametrize("varying", [False, True])
def test_hmm_paths_are_as_frequent_as_they_should_be(backend, varying):
    potentials = discrete_chain(3, 3, seed=2, varying=varying)
    truth = oracles.enumerate_paths(potentials)
    found = np.asarray(hmm_paths(potentials, 200_000, backend))
    number = found @ (3 ** np.arange(3)[::-1])  # paths are enumerated in this order
    counts = np.bincount(number, minlength=27)
    assert chisquare(counts, truth.probability * counts.sum()).pvalue > 1e-3  # the key is fixed


@each_backend
@pytest.mark.parametrize("size", [(1, 1), (1, 3), (2, 1), (40, 4)])
def test_the_same_key_gives_the_same_hmm_paths(backend, size):
    potentials = discrete_chain(*size, seed=1)
    found = hmm_paths(potentials, 5, backend)
    assert found.shape == (5, size[0])
    assert found.dtype == jnp.int32
    np.testing.assert_array_equal(found, hmm_paths(potentials, 5, "scan"))


@each_backend
def test_forbidden_states_are_never_drawn(backend):
    potentials = discrete_chain(6, 3)
    never = hmm.HMMPotentials(potentials.initial, potentials.transition, potentials.unary.at[2, 1].set(-jnp.inf))
    found = np.asarray(hmm_paths(never, 2000, backend))
    assert not np.any(found[:, 2] == 1)
    assert np.any(found[:, 3] == 1)
    no_way = hmm.HMMPotentials(potentials.initial, potentials.transition, potentials.unary.at[2].set(-jnp.inf))
    assert np.all(np.asarray(hmm_paths(no_way, 3, backend)) == -1)
    broken = hmm.HMMPotentials(potentials.initial, potentials.transition, potentials.unary.at[2, 1].set(jnp.nan))
    assert np.all(np.asarray(hmm_paths(broken, 3, backend)) == -1)


@each_backend
def test_a_share_at_the_very_end_is_a_possible_state(backend):
    """Rounding can take the largest uniform number to the whole sum."""
    potentials = discrete_chain(3, 4, seed=3)
    forbidden = hmm.HMMPotentials(potentials.initial, potentials.transition, potentials.unary.at[:, 3].set(-jnp.inf))
    assert np.all(np.asarray(states_of_shares(forbidden, jnp.ones((3, 1), DTYPE), backend)) == 2)
    assert np.all(np.asarray(states_of_shares(forbidden, jnp.zeros((3, 1), DTYPE), backend)) == 0)


def test_no_steps_and_wrong_arguments():
    nothing = discrete_chain(0, 3)
    assert hmm.sample(KEY, nothing, draws=2).shape == (2, 0)
    with pytest.raises(ValueError, match="nowhere"):
        hmm.sample(KEY, nothing, draws=2, backend="nowhere")
    for draw, potentials in ((gaussian.sample, gaussian_chain(3, 2)), (hmm.sample, discrete_chain(3, 2))):
        with pytest.raises(ValueError, match="draws: expected at least 1, found 0"):
            draw(KEY, potentials, draws=0)
