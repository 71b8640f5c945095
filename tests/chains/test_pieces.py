"""Long Gaussian chains, whose compiled Fisher product is cut into pieces that run at once, against the scan, which is not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from backends import NATIVE
from problems import gaussian_chain
from tolerances import DTYPE, EPS, assert_close

from slds_core.chains import gaussian
from slds_core.chains.gaussian import GaussianPotentials, native, scan

TIME, LATENT = 900, 16  # four pieces of 225 steps

pytestmark = NATIVE.marks[0]


def forgetting():
    """Each step is observed."""
    return gaussian_chain(TIME, LATENT)


def remembering(coupling=1.0):
    """A random walk from a point to a point: every step's gain is nearly one, so pieces hand on as much as they were handed."""
    eye = jnp.eye(LATENT, dtype=DTYPE)
    ends = jnp.zeros(TIME, DTYPE).at[jnp.array([0, -1])].set(0.5)
    degree = jnp.full(TIME, 1.0, DTYPE).at[jnp.array([0, -1])].set(0.5)
    return GaussianPotentials(
        -(degree * coupling + ends)[:, None, None] * eye,
        jnp.broadcast_to(coupling * eye, (TIME - 1, LATENT, LATENT)),
        ends[:, None] * jnp.arange(1.0, LATENT + 1, dtype=DTYPE),
    )


def directions():
    drawn = gaussian_chain(TIME, LATENT, seed=5)
    silent = jax.tree.map(jnp.zeros_like, drawn)
    return {
        "everywhere": drawn,
        # what reaches other pieces is all that there is
        "in one step": GaussianPotentials(
            silent.quadratic.at[300].set(drawn.quadratic[300]), silent.cross, silent.linear.at[300].set(1.0)
        ),
        "none": silent,
    }


def product(backend, chain, direction):
    @jax.jit
    def run(chain, direction):
        _, statistics, residuals = backend.linearise(chain)
        return statistics, backend.fisher_product(residuals, direction)

    return run(chain, direction)


@pytest.mark.parametrize("where", ["everywhere", "in one step", "none"])
@pytest.mark.parametrize("chain", [forgetting, remembering])
def test_pieces_give_the_whole(chain, where):
    potentials, direction = chain(), directions()[where]
    statistics, found = product(native, potentials, direction)
    wanted_statistics, wanted = product(scan, potentials, direction)
    # the walk's covariances are sums over hundreds of steps, whose precisions cancel as much: its two smoothings differ by as much
    ulps = 50 if chain is forgetting else 10_000
    assert_close(statistics, wanted_statistics, ulps=ulps)
    assert_close(found, wanted, ulps=ulps)


def test_what_a_far_step_changes_is_not_lost():
    """Step by step, over four pieces and as many orders of magnitude as there are: about 1 at its step, 1e-160 300 steps on."""
    direction = directions()["in one step"]
    found, wanted = (product(backend, forgetting(), direction)[1].mean for backend in (native, scan))
    size = np.max(np.abs(wanted), axis=1)
    shown = size > np.finfo(DTYPE).tiny / EPS
    assert np.min(size[shown]) < 1e-20 * np.max(size)
    # rounding of each step's gain adds up over the steps on the way
    np.testing.assert_array_less(np.max(np.abs(found - wanted), axis=1)[shown], 10_000 * EPS * size[shown])


def test_the_matrix_stays_symmetric():
    potentials = remembering()
    one, other = gaussian_chain(TIME, LATENT, seed=1), gaussian_chain(TIME, LATENT, seed=2)
    images = [product(native, potentials, direction)[1] for direction in (one, other)]
    left, right = gaussian.inner(other, images[0]), gaussian.inner(one, images[1])
    size = np.linalg.norm(np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(images[0])]))
    assert abs(left - right) <= 10_000 * EPS * size


def test_a_chain_that_is_no_distribution_is_nan_in_every_piece():
    potentials = forgetting()
    spoilt = GaussianPotentials(potentials.quadratic.at[500].set(jnp.eye(LATENT)), potentials.cross, potentials.linear)
    for leaf in jax.tree.leaves(product(native, spoilt, directions()["everywhere"])):
        assert np.all(np.isnan(leaf))


def test_a_batch_is_each_chain_alone_to_the_last_bit():
    direction = directions()["everywhere"]
    chains = [gaussian_chain(TIME, LATENT, seed) for seed in range(3)]
    together = jax.vmap(lambda chain: product(native, chain, direction)[1])(
        jax.tree.map(lambda *leaves: jnp.stack(leaves), *chains)
    )
    for number, chain in enumerate(chains):
        alone = product(native, chain, direction)[1]
        jax.tree.map(lambda all, one, n=number: np.testing.assert_array_equal(all[n], one), together, alone)
