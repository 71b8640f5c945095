"""Many hidden Markov models of unequal lengths, end to end: one call of the compiled kernels, which pays for the steps that there are.

The other back ends run them side by side, padded to the longest: each of their steps then serves all chains at once.
"""

from collections.abc import Iterable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from slds_core.chains.backend import Backend, choose, promote, runs_end_to_end
from slds_core.chains.exponential_family import kernels_of, smooth_with_fisher_rule
from slds_core.chains.hmm import native
from slds_core.chains.hmm.chain import BACKENDS, HMMPosterior, smooth
from slds_core.chains.hmm.padding import with_end, without_end
from slds_core.chains.hmm.types import HMMPotentials, HMMStatistics
from slds_core.chains.packing import Lengths, as_lengths, inside, pack, total, unpack


def smooth_sequences(
    potentials: HMMPotentials, lengths: Iterable[int], *, backend: Backend | None = None
) -> HMMPosterior:
    """Returns the log-partitions and the expected statistics of many hidden Markov models.

    Args:
        potentials: ``initial`` (chain, state) and ``transition`` (chain, state, state) of each chain, the latter shared by its steps;
            ``unary`` over all steps, chain after chain.
        lengths: steps of each chain; a chain of none has log-partition and statistics zero.
        backend: as for ``smooth``.

    Returns:
        One log-partition a chain (nats), and the statistics in the layout of the potentials. In a chain without a possible path the
        log-partition is NaN or ``-inf``, by the back end, and the statistics are NaN; the other chains, and their first derivatives, are
        as they would be without it. Second derivatives by ``"native"`` run through one chain that all are together: NaN may reach all.
        Where chains differ in length, the other back ends take log-potentials below -1e9 for impossible.

    Raises:
        ValueError: shapes do not fit the lengths, or the back end is unknown or not available.
    """
    lengths = as_lengths(lengths)
    _check(potentials, lengths)
    potentials = promote(potentials)
    chosen = choose(backend, BACKENDS, potentials.unary.dtype)
    if not sum(lengths):
        zero = jax.tree.map(jnp.zeros_like, (potentials.initial[:, 0], potentials))
        return HMMPosterior(zero[0], HMMStatistics(zero[1].initial, zero[1].transition, zero[1].unary))
    if runs_end_to_end(chosen):
        return HMMPosterior(*smooth_with_fisher_rule(kernels_of(native, _slope, lengths=lengths), potentials))
    apart = HMMPotentials(potentials.initial, potentials.transition, unpack(lengths, potentials.unary))
    ragged, real = len(set(lengths)) > 1, jnp.asarray(inside(lengths))
    found = jax.vmap(partial(smooth, backend=chosen))(jax.vmap(with_end)(apart, real) if ragged else apart)
    log_partition, statistics = found.log_partition, found.statistics
    if ragged:
        log_partition, statistics = jax.vmap(without_end)(log_partition, statistics, real)
    marginals = pack(lengths, statistics.marginals)
    return HMMPosterior(log_partition, HMMStatistics(statistics.initial, statistics.transition, marginals))


def _slope(direction: HMMPotentials, statistics: HMMStatistics, lengths: Lengths) -> Float[Array, " chain"]:
    return (
        jnp.einsum("ci,ci->c", direction.initial, statistics.initial)
        + jnp.einsum("cij,cij->c", direction.transition, statistics.transition)
        + total(lengths, jnp.einsum("ti,ti->t", direction.unary, statistics.marginals))
    )


def _check(potentials: HMMPotentials, lengths: Lengths) -> None:
    if not lengths or min(lengths) < 0:
        raise ValueError(f"lengths: expected at least one chain, and no negative number of steps, found {lengths}")
    chains, states = len(lengths), (0, *jnp.shape(potentials.unary))[-1]
    if not states:
        raise ValueError(f"unary: expected shape (time, state ≥ 1), found {jnp.shape(potentials.unary)}")
    for name, found, expected in (
        ("unary", jnp.shape(potentials.unary), (sum(lengths), states)),
        ("initial", jnp.shape(potentials.initial), (chains, states)),
        ("transition", jnp.shape(potentials.transition), (chains, states, states)),
    ):
        if found != expected:
            raise ValueError(f"{name}: expected shape {expected}, found {found}")
