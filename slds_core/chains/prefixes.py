"""All prefixes of an associative operation, parallel in time, by a program that hardly grows with the number of steps.

``jax.lax.associative_scan`` joins half as many elements in each of its levels, and compiles each level apart: forty for a million
steps, 17 s on a GPU. Two other ways are joined here, by how much there is to do at once, all chains of a batch counted:

- Little: each element is joined to what lies 1, 2, 4, … places before it, in one loop, which is compiled once. The fewest turns, but
  log₂(time) times the work.
- Much: the series is cut into blocks. Prefixes within all blocks at once, step by step; prefixes of the blocks themselves, by the
  same choice; and each of these joined to the prefixes of the block behind it. Hardly more than twice the work.

References:
    Hillis and Steele (1986), "Data parallel algorithms" (the loop); Blelloch (1990), "Prefix sums and their applications", §1.2 (blocks).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap

from slds_core.full_precision import in_full_precision

Elements = TypeVar("Elements")
Join = Callable[[Any, Any], Any]

# Elements at once, on an H100 (docs/performance.md, "On a GPU"): the loop is the faster up to some ten thousand, short blocks up to some
# hundred thousand.
_MOST_DOUBLED = 16_384
_MOST_IN_SHORT_BLOCKS = 262_144
_SHORT, _LONG = 8, 64


def prefixes(join: Join, elements: Elements, neutral: Elements, *, reverse: bool = False) -> Elements:
    """Returns ``e_0``, ``join(e_0, e_1)``, ``join(join(e_0, e_1), e_2)``, … along the leading axis of a tree of arrays.

    Args:
        join: associative; takes arrays with any leading axes, broadcasts these, and returns arrays of the resulting shapes.
        elements: with a leading axis over at least one step.
        neutral: one element, without that axis: ``join(neutral, p)`` is ``p`` for each prefix ``p``. It need not be so for other elements.
        reverse: begin at the last step instead of the first.
    """
    if reverse:
        flipped = jax.tree.map(lambda x: jnp.flip(x, 0), elements)
        return jax.tree.map(lambda x: jnp.flip(x, 0), prefixes(join, flipped, neutral))
    # for itself: a batch is traced when it is met, which may be after the caller's own precision has gone out of scope
    return _prefixes(in_full_precision(join), elements, neutral)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _prefixes(join: Join, elements, neutral):
    return _of_batch(join, chains=1)(elements, neutral)


@_prefixes.defjvp
def _prefixes_jvp(join, primals, tangents):
    # what tells batches cannot be transposed; derivatives choose by one chain's length
    return jax.jvp(partial(_of_chains, join, 1), primals, tangents)


def _of_batch(join: Join, *, chains: int):
    """Returns a function that counts the chains that it is mapped over, as so many more elements at once."""

    @custom_vmap
    def compute(elements, neutral):
        return _of_chains(join, chains, elements, neutral)

    @compute.def_vmap
    def of_more(size, batched, elements, neutral):
        neutral = jax.tree.map(lambda own, is_batched: own if is_batched else own[None], neutral, batched[1])
        elements = jax.tree.map(
            lambda x, is_batched: jnp.moveaxis(x, 0, 1) if is_batched else x[:, None], elements, batched[0]
        )
        found = _of_batch(join, chains=chains * size)(_with_all_axes(join, elements, neutral), neutral)
        of_each = jax.tree.map(lambda x: x.shape[1] == size, found)
        return jax.tree.map(lambda x, own: jnp.moveaxis(x, 1, 0) if own else x[:, 0], found, of_each), of_each

    return compute


def _with_all_axes(join: Join, elements, neutral):
    """Returns elements of the shapes that their prefixes will have: an array that no batch reaches stays one for all chains."""
    elements = jax.tree.map(
        lambda x, own: jnp.broadcast_to(x, (x.shape[0], *jnp.broadcast_shapes(x.shape[1:], own.shape))),
        elements,
        neutral,
    )
    while True:
        shapes = [x.shape for x in jax.tree.leaves(jax.eval_shape(join, elements, elements))]
        if shapes == [x.shape for x in jax.tree.leaves(elements)]:
            return elements
        wider = map(jnp.broadcast_to, jax.tree.leaves(elements), shapes)
        elements = jax.tree.unflatten(jax.tree.structure(elements), wider)


def _of_chains(join: Join, chains: int, elements, neutral):
    time = jax.tree.leaves(elements)[0].shape[0]
    at_once = chains * time
    if at_once <= _MOST_DOUBLED or time <= _SHORT:
        return _doubling(join, elements, neutral, time)
    longest = _SHORT if at_once <= _MOST_IN_SHORT_BLOCKS else _LONG
    return _by_block(join, chains, elements, neutral, time, longest)


def _doubling(join: Join, elements, neutral, time: int):
    def turn(level, joined):
        # what lies 2^level places before; the neutral element before the first step
        return join(jax.tree.map(lambda x, own: _earlier(x, own, time - 2**level, time), joined, neutral), joined)

    return lax.fori_loop(0, (time - 1).bit_length(), turn, elements)


def _by_block(join: Join, chains: int, elements, neutral, time: int, longest: int):
    blocks = -(-time // longest)
    length = -(-time // blocks)  # all alike, so that hardly any step is filled up with neutral elements

    def apart(x, own):
        rest = jnp.broadcast_to(own, (blocks * length - time, *x.shape[1:])).astype(x.dtype)
        return jnp.swapaxes(jnp.concatenate([x, rest]).reshape(blocks, length, *x.shape[1:]), 0, 1)

    def step(before, own):
        joined = join(before, own)
        return joined, joined

    steps = jax.tree.map(apart, elements, neutral)
    first = jax.tree.map(lambda x: x[0], steps)
    whole, rest = lax.scan(step, first, jax.tree.map(lambda x: x[1:], steps))
    within = jax.tree.map(lambda one, more: jnp.concatenate([one[None], more]), first, rest)
    ends = _of_chains(join, chains, whole, neutral)
    before = jax.tree.map(lambda x, own: _earlier(x, own, blocks - 1, blocks)[None], ends, neutral)
    joined = join(before, within)
    return jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1).reshape(-1, *x.shape[2:])[:time], joined)


def _earlier(x, own, start, time: int):
    """Returns ``time`` entries from ``start`` on, of as many neutral elements and the entries of ``x`` behind them."""
    before = jnp.broadcast_to(own, (time, *x.shape[1:])).astype(x.dtype)
    return lax.dynamic_slice_in_dim(jnp.concatenate([before, x]), start, time)
