"""Many Gaussian chains of unequal lengths, end to end: one call of the compiled kernels, which pays for the steps that there are.

Chains end to end are one chain whose blocks beside the diagonal are zero between them. The other back ends run them side by side, padded
to the longest: each of their steps then serves all chains at once.
"""

from collections.abc import Iterable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from slds_core.chains.backend import Backend, choose, promote, runs_end_to_end
from slds_core.chains.exponential_family import kernels_of, smooth_with_fisher_rule
from slds_core.chains.gaussian import native
from slds_core.chains.gaussian.chain import BACKENDS, GaussianPosterior, smooth
from slds_core.chains.gaussian.padding import end_to_end, set_apart, side_by_side
from slds_core.chains.gaussian.types import GaussianPotentials, GaussianStatistics
from slds_core.chains.packing import Lengths, as_lengths, inside, total, transitions


def smooth_sequences(
    potentials: GaussianPotentials, lengths: Iterable[int], *, backend: Backend | None = None
) -> GaussianPosterior:
    """Returns the log-partitions and the expected statistics of many chains.

    Args:
        potentials: as for ``smooth``, chains end to end: ``quadratic`` and ``linear`` over all steps, ``cross`` over all transitions.
        lengths: time steps of each chain, at least one.
        backend: as for ``smooth``.

    Returns:
        One log-partition a chain (nats), and the statistics in the layout of the potentials; NaN in a chain whose precision is not
        positive definite.

    Raises:
        ValueError: shapes do not fit the lengths, or the back end is unknown or not available.
    """
    lengths = as_lengths(lengths)
    _check(potentials, lengths)
    potentials = promote(potentials)
    chosen = choose(backend, BACKENDS, potentials.linear.dtype)
    if runs_end_to_end(chosen):
        return GaussianPosterior(*smooth_with_fisher_rule(kernels_of(native, inner, lengths=lengths), potentials))
    apart = side_by_side(lengths, potentials)
    if len(set(lengths)) > 1:
        apart = jax.vmap(set_apart)(apart, jnp.asarray(inside(lengths)))
    found = jax.vmap(partial(smooth, backend=chosen))(apart)
    return GaussianPosterior(found.log_partition, end_to_end(lengths, found.statistics))


def inner(
    potentials: GaussianPotentials, statistics: GaussianStatistics, lengths: Lengths
) -> Float[Array, " sequence"]:
    """Returns ``⟨η, μ⟩`` of each chain, the inner product of natural parameters with expected statistics (nats)."""
    steps = jnp.einsum("tij,tij->t", potentials.quadratic, statistics.second_moment)
    steps += jnp.einsum("ti,ti->t", potentials.linear, statistics.mean)
    between = jnp.einsum("tij,tij->t", potentials.cross, statistics.cross_moment)
    return total(lengths, steps) + total(transitions(lengths), between)


def _check(potentials: GaussianPotentials, lengths: Lengths) -> None:
    if not lengths or min(lengths) < 1:
        raise ValueError(f"lengths: expected at least one chain, and at least one step in each, found {lengths}")
    steps, latent = sum(lengths), (0, *jnp.shape(potentials.linear))[-1]
    if not latent:
        raise ValueError(f"linear: expected shape (time, latent ≥ 1), found {jnp.shape(potentials.linear)}")
    for name, found, expected in (
        ("linear", jnp.shape(potentials.linear), (steps, latent)),
        ("quadratic", jnp.shape(potentials.quadratic), (steps, latent, latent)),
        ("cross", jnp.shape(potentials.cross), (steps - len(lengths), latent, latent)),
    ):
        if found != expected:
            raise ValueError(f"{name}: expected shape {expected}, chain after chain, found {found}")
