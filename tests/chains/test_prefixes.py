"""Prefixes of an associative operation against the loop that they are the parallel form of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import direction_like, gaussian_chain
from tolerances import assert_close

from slds_core.chains import gaussian, prefixes


def join(first, second):
    """Products of matrices, which do not commute, beside a count of the factors."""
    return second[0] @ first[0], first[1] + second[1]


@pytest.fixture
def short_blocks(monkeypatch):
    """Blocks of two and three steps, and loops of at most four: series of some steps then take every way, three blocks deep."""
    monkeypatch.setattr(prefixes, "_MOST_DOUBLED", 4)
    monkeypatch.setattr(prefixes, "_MOST_IN_SHORT_BLOCKS", 12)
    monkeypatch.setattr(prefixes, "_SHORT", 2)
    monkeypatch.setattr(prefixes, "_LONG", 3)


def assert_are_prefixes(time, reverse):
    generator = np.random.default_rng(time)
    matrices = np.linalg.qr(generator.standard_normal((time, 2, 2)))[
        0
    ]  # orthogonal: long products neither grow nor vanish
    elements = jnp.asarray(matrices), jnp.ones(time, int)
    neutral = jnp.eye(2), jnp.zeros((), int)
    found = jax.jit(lambda elements: prefixes.prefixes(join, elements, neutral, reverse=reverse))(elements)

    wanted, product = np.empty_like(matrices), np.eye(2)
    for t in reversed(range(time)) if reverse else range(time):
        product = matrices[t] @ product
        wanted[t] = product
    counts = np.arange(1, time + 1)
    assert_close(found[0], wanted, ulps=50)
    np.testing.assert_array_equal(found[1], counts[::-1] if reverse else counts)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("time", [1, 2, 7, 9])
def test_one_loop(time, reverse):
    assert_are_prefixes(time, reverse)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("time", [5, 12, 13, 40])
def test_blocks(short_blocks, time, reverse):
    assert_are_prefixes(time, reverse)


@pytest.mark.parametrize("time", [11, 12])
def test_a_chain_in_blocks_is_the_chain(short_blocks, time):
    """Its neutral stretch is neutral for prefixes alone, not for stretches that begin later."""
    potentials = gaussian_chain(time, 2, seed=0)
    direction = direction_like(potentials, seed=1)

    def product(backend):
        along = lambda p, d: jax.jvp(lambda p: gaussian.smooth(p, backend=backend), (p,), (d,))
        return jax.jit(along)(potentials, direction)

    assert_close(product("associative"), product("scan"), ulps=500)


@pytest.mark.parametrize("time", [1, 5, 13])
def test_batches_are_their_chains(short_blocks, time):
    """Mapped over once and twice, along any axis; and what is the same for all chains stays one array."""
    generator = np.random.default_rng(time)
    elements = jnp.asarray(generator.standard_normal((2, 3, time, 2, 2))), jnp.arange(time)
    neutral = jnp.eye(2), jnp.zeros((), int)
    mapped = lambda matrices: prefixes.prefixes(join, (matrices, elements[1]), neutral)
    found = jax.jit(jax.vmap(jax.vmap(mapped, in_axes=1), in_axes=1))(jnp.moveaxis(elements[0], 2, 0))
    for one in np.ndindex(2, 3):
        wanted = prefixes.prefixes(join, (elements[0][one], elements[1]), neutral)
        assert_close(jax.tree.map(lambda x, one=one: x[one], found), wanted, ulps=50)


@pytest.mark.slow
def test_derivatives_of_a_batch(short_blocks):
    """Second ones too, which the rule that counts chains has no part in; the first are Fisher products, which it has."""
    one = gaussian_chain(7, 2, seed=0)
    chains = jax.tree.map(lambda x: jnp.stack([x, 1.1 * x, 0.9 * x]), one)

    def derivatives(backend):
        def value(potentials):
            return jnp.sum(gaussian.smooth(potentials, backend=backend).statistics.mean ** 2)

        def slope(potentials):
            return jnp.sum(jax.grad(value)(potentials).linear ** 2)

        return jax.jit(jax.vmap(lambda potentials: (jax.grad(value)(potentials), jax.grad(slope)(potentials))))(chains)

    assert_close(derivatives("associative"), derivatives("scan"), ulps=500)


def test_a_batch_counts_as_so_many_elements(monkeypatch):
    """A thousand short chains keep the device as busy as a long one, and take its blocks; a program compiled apart does, too."""
    monkeypatch.setattr(prefixes, "_MOST_DOUBLED", 100)
    one = gaussian_chain(20, 2, seed=0)
    many = lambda count: jax.tree.map(lambda x: jnp.stack([x] * count), one)
    smooth = lambda p: gaussian.smooth(p, backend="associative")
    assert products(jax.vmap(smooth), many(5)) == products(smooth, one)
    assert products(jax.vmap(smooth), many(10)) > products(smooth, one)
    assert products(jax.vmap(jax.jit(smooth)), many(10)) == products(jax.vmap(smooth), many(10))


def products(function, potentials):
    """Returns how many products of small matrices a program has."""
    return str(jax.make_jaxpr(function)(potentials)).count("reduce_sum")


def test_the_program_does_not_grow():
    """For a hundred steps and for ten thousand; for a million it is twice more. By ``associative_scan`` it grew with each doubling."""

    def size(time):
        shapes = jax.eval_shape(lambda: gaussian_chain(2, 2, seed=0))
        long = lambda leaf: jax.ShapeDtypeStruct((time - 2 + leaf.shape[0], *leaf.shape[1:]), leaf.dtype)
        return products(lambda p: gaussian.smooth(p, backend="associative"), jax.tree.map(long, shapes))

    assert size(10_000) == size(100)
    assert size(1_000_000) < 3 * size(100)
