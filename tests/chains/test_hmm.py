"""Hidden Markov models against the enumeration of all paths."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from backends import BACKENDS, NATIVE, native
from jax.flatten_util import ravel_pytree
from problems import direction_like, discrete_chain
from tolerances import EPS, assert_close, ravel

from slds_core.chains import hmm
from slds_core.chains.hmm import HMMPotentials, HMMStatistics

SIZES = [("scan", time, state) for time in (1, 2, 4) for state in (1, 2, 3)]
SIZES += [("associative", time, state) for time, state in ((1, 2), (2, 3), (4, 1), (4, 3))]  # slower to compile
SIZES += [native(time, state) for time in (1, 2, 4) for state in (1, 2, 3)] + [
    native(3, state) for state in (4, 5, 7, 8)
]

# Sums of at most a dozen terms of order one, over a few steps.
ULPS = 100

each_backend = pytest.mark.parametrize("backend", BACKENDS)
both_kinds = pytest.mark.parametrize("varying", [False, True], ids=["shared", "varying"])


@partial(jax.jit, static_argnums=1)
def smooth(potentials, backend):
    return hmm.smooth(potentials, backend=backend)


def statistics(potentials, backend):
    return smooth(potentials, backend).statistics


@partial(jax.jit, static_argnums=2)
def product(potentials, direction, backend):
    """Returns the posterior and its derivative along a direction."""
    return jax.jvp(lambda p: hmm.smooth(p, backend=backend), (potentials,), (direction,))


@both_kinds
@pytest.mark.parametrize(("backend", "time", "state"), SIZES)
def test_enumeration(backend, time, state, varying):
    potentials = discrete_chain(time, state, seed=time + 10 * state, varying=varying)
    direction = direction_like(potentials, seed=5)
    paths = oracles.enumerate_paths(potentials)
    expected = oracles.hmm_statistics(paths, potentials)
    fisher = oracles.hmm_fisher(paths, potentials)

    posterior, change = product(potentials, direction, backend)
    scale = np.max(np.abs(paths.log_weight))
    assert_close(posterior.log_partition, paths.log_partition, ulps=ULPS, scale=scale)
    assert_close(posterior.statistics, expected, ulps=ULPS)
    assert_close(
        change.log_partition, ravel(direction) @ ravel(expected), ulps=ULPS, scale=np.max(np.abs(ravel(direction)))
    )
    assert_close(ravel(change.statistics), fisher @ ravel(direction), ulps=ULPS, scale=1)


@both_kinds
@each_backend
def test_fisher_matrix_is_a_covariance(backend, varying):
    potentials = discrete_chain(4, 3, seed=1, varying=varying)
    flat, unravel = ravel_pytree(potentials)
    jacobian = jax.jit(jax.jacrev(lambda p: ravel_pytree(statistics(unravel(p), backend))[0]))
    fisher = np.asarray(jacobian(flat), np.float64)
    assert_close(fisher, oracles.hmm_fisher(oracles.enumerate_paths(potentials), potentials), ulps=ULPS, scale=1)
    assert_close(fisher, fisher.T, ulps=ULPS, scale=1)
    assert np.min(np.linalg.eigvalsh(fisher + fisher.T)) > -ULPS * EPS


@each_backend
def test_gradient_of_log_partition(backend):
    potentials = discrete_chain(4, 3, seed=2)
    gradient = jax.grad(lambda p: smooth(p, backend).log_partition)(potentials)
    assert_close(gradient, statistics(potentials, backend), ulps=5)  # two programs, which a GPU may round apart

    # central differences, h = EPS^(1/3): truncation and rounding are both of order EPS^(2/3)
    direction, h = direction_like(potentials, 3), EPS ** (1 / 3)
    up, down = (
        smooth(jax.tree.map(lambda a, d, s=step: a + s * d, potentials, direction), backend).log_partition
        for step in (h, -h)
    )
    slope = ravel(direction) @ ravel(gradient)
    assert float(up - down) / (2 * h) == pytest.approx(slope, rel=0, abs=50 * EPS ** (2 / 3))


def test_products_of_long_chains_keep_their_digits():
    """Changes of log-probabilities have no scale of their own: unless it is taken out, it grows with time. Then it took 20 000 ulps."""
    generator = np.random.default_rng(0)
    potentials = HMMPotentials(*(jnp.asarray(generator.standard_normal(shape)) for shape in ((3,), (3, 3), (1000, 3))))
    direction = jax.tree.map(jnp.add, direction_like(potentials, 1), jax.tree.map(jnp.ones_like, potentials))
    (_, sequential), (_, parallel) = (product(potentials, direction, name) for name in ("scan", "associative"))
    assert_close(parallel.statistics.marginals, sequential.statistics.marginals, ulps=500)
    assert_close(parallel.statistics.transition, sequential.statistics.transition, ulps=500)


@each_backend
def test_second_derivative_of_statistics(backend):
    """The derivative of a Fisher product, against central differences of that product."""
    potentials = discrete_chain(4, 2, seed=4)
    weights, direction = direction_like(potentials, 1), direction_like(potentials, 2)

    @jax.jit
    def gradient(potentials):
        return jax.grad(lambda p: ravel_pytree(statistics(p, backend))[0] @ ravel_pytree(weights)[0])(potentials)

    h = EPS ** (1 / 3)
    moved = [jax.tree.map(lambda a, d, s=step: a + s * d, potentials, direction) for step in (h, -h)]
    forward, backward = (ravel(gradient(p)) for p in moved)
    _, actual = jax.jvp(gradient, (potentials,), (direction,))
    assert_close(ravel(actual), (forward - backward) / (2 * h), ulps=50 * EPS ** (-1 / 3))  # EPS^(2/3), as above


@both_kinds
@each_backend
def test_no_steps(backend, varying):
    potentials = discrete_chain(0, 3, varying=varying)
    posterior, change = product(potentials, direction_like(potentials, 0), backend)
    assert posterior.statistics.marginals.shape == (0, 3)
    assert posterior.statistics.transition.shape == potentials.transition.shape
    assert not np.any(ravel(posterior))
    assert not np.any(ravel(change))


@both_kinds
@each_backend
def test_forbidden_states_and_transitions(backend, varying):
    """Left-to-right, and one state forbidden at one step: no NaN, neither in values nor in derivatives."""
    potentials = discrete_chain(4, 3, seed=6, varying=varying)
    forward_only = np.tril(np.ones((3, 3), bool), -1)
    potentials = HMMPotentials(
        initial=potentials.initial.at[2].set(-jnp.inf),
        transition=jnp.where(
            jnp.broadcast_to(forward_only, potentials.transition.shape), -jnp.inf, potentials.transition
        ),
        unary=potentials.unary.at[2, 1].set(-jnp.inf),
    )
    direction = direction_like(potentials, 7)
    paths = oracles.enumerate_paths(potentials)
    expected = oracles.hmm_statistics(paths, potentials)
    posterior, change = product(potentials, direction, backend)
    assert_close(posterior.log_partition, paths.log_partition, ulps=ULPS, scale=10)
    assert_close(posterior.statistics, expected, ulps=ULPS, scale=1)
    fisher = oracles.hmm_fisher(paths, potentials)
    assert_close(ravel(change.statistics), fisher @ ravel(direction), ulps=ULPS, scale=1)
    _, pull_back = jax.vjp(lambda p: statistics(p, backend), potentials)
    (reverse,) = pull_back(HMMStatistics(direction.initial, direction.transition, direction.unary))
    assert_close(ravel(reverse), fisher @ ravel(direction), ulps=ULPS, scale=1)

    possible = paths.probability > 0
    entropy = -paths.probability[possible] @ np.log(paths.probability[possible])
    found = posterior.log_partition - hmm.inner(potentials, posterior.statistics)
    assert_close(found, entropy, ulps=ULPS, scale=10)


@both_kinds
@each_backend
@pytest.mark.parametrize("seed", range(3))
def test_extreme_potentials(seed, backend, varying):
    """Hundreds of nats: probabilities of 1e-300 and odds beyond floating point."""
    potentials = jax.tree.map(lambda leaf: 700 * jnp.sign(leaf) + leaf, discrete_chain(4, 3, seed, varying=varying))
    paths = oracles.enumerate_paths(potentials)
    posterior = smooth(potentials, backend)
    # log-weights reach 8 × 700 nats; their rounding is the relative error of a probability
    assert_close(posterior.log_partition, paths.log_partition, ulps=10, scale=5600)
    assert_close(posterior.statistics, oracles.hmm_statistics(paths, potentials), ulps=10, scale=5600)
    assert_close(jnp.sum(posterior.statistics.marginals, 1), np.ones(4), ulps=10, scale=5600)


@both_kinds
@pytest.mark.parametrize(("time", "state"), [(1, 2), (2, 3), (8, 2), (25, 4), (25, 10), (25, 17)])
@pytest.mark.parametrize("backend", [NATIVE, "associative"])
def test_backends_agree(time, state, varying, backend):
    potentials = discrete_chain(time, state, seed=3, varying=varying, spread=3.0)
    direction = direction_like(potentials, 4)
    found, scan = (product(potentials, direction, name) for name in (backend, "scan"))
    assert_close(found[0], scan[0], ulps=2 * ULPS)
    assert_close(ravel(found[1]), ravel(scan[1]), ulps=2 * ULPS)  # changes are differences: one scale for all


@each_backend
def test_vmap_and_jit_compose_with_derivatives(backend):
    chains = [discrete_chain(3, 2, seed) for seed in range(3)]
    directions = [direction_like(chain, seed) for seed, chain in enumerate(chains)]
    along = lambda potentials, direction: product(potentials, direction, backend)
    stack = lambda trees: jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
    one_by_one = stack([along(c, d) for c, d in zip(chains, directions, strict=True)])
    assert_close(jax.vmap(along)(stack(chains), stack(directions)), one_by_one, ulps=ULPS, scale=1)
    shared = jax.vmap(along, in_axes=(None, 0))(chains[0], stack(directions))
    assert_close(shared, stack([along(chains[0], d) for d in directions]), ulps=ULPS, scale=1)


@pytest.mark.parametrize("backend", [NATIVE, "scan"])
@pytest.mark.parametrize("what", ["value", "gradient", "fisher"])
def test_no_matrix_a_step_is_stored(what, backend):
    """With shared transitions no array of the program, derivatives included, has ``time × state²`` entries."""
    time, state = 101, 5
    potentials = discrete_chain(time, state)

    def program(potentials, backend):
        if what == "value":
            return hmm.smooth(potentials, backend=backend)
        if what == "gradient":
            return jax.grad(lambda p: jnp.sum(statistics(p, backend).marginals ** 2))(potentials)
        return jax.jvp(lambda p: statistics(p, backend), (potentials,), (potentials,))

    def largest(backend):
        text = jax.jit(program, static_argnums=1).lower(potentials, backend).as_text()
        shapes = re.findall(r"tensor<((?:\d+x)+)\w+>", text)
        return max(int(np.prod([int(n) for n in shape.split("x")[:-1]])) for shape in shapes)

    assert largest(backend) == time * state
    assert largest("associative") >= (time - 1) * state**2  # the measure sees what it should


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("unary", ((2,), (2, 2), (2,))),
        ("unary", ((0,), (0, 0), (3, 0))),
        ("initial", ((3,), (2, 2), (4, 2))),
        ("transition", ((2,), (3, 3), (4, 2))),
        ("transition", ((2,), (4, 2, 2), (4, 2))),
    ],
)
def test_wrong_shapes_are_named(name, shapes):
    potentials = HMMPotentials(*(jnp.zeros(shape) for shape in shapes))
    with pytest.raises(ValueError, match=f"^{name}: expected shape"):
        hmm.smooth(potentials)


def test_unknown_backend():
    with pytest.raises(ValueError, match="backend: expected one of native, scan, associative, found 'quantum'"):
        hmm.smooth(discrete_chain(2, 2), backend="quantum")


@each_backend
@pytest.mark.parametrize("time", [2, 3, 5])
def test_where_no_path_is_possible_nothing_is_a_number(backend, time):
    potentials = discrete_chain(time, 3)
    found = smooth(HMMPotentials(potentials.initial, jnp.full((3, 3), -jnp.inf), potentials.unary), backend)
    assert np.isnan(found.log_partition) or np.isneginf(found.log_partition)
    assert all(np.isnan(leaf).all() for leaf in jax.tree.leaves(found.statistics))
