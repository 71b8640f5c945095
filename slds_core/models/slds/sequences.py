"""Many sequences of unequal lengths under one switching linear dynamical system (SLDS), as one fixed point.

Encoders hand over arrays padded to the longest sequence. Chains run on them side by side, with padding made neutral; the state, the
message and the statistics are packed end to end. Whatever the padded entries hold is replaced before any arithmetic, and nothing
reads what comes out of padding: exact, gradients included.
"""

import operator
from collections.abc import Callable, Iterable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from slds_core.chains import gaussian, hmm
from slds_core.chains.backend import Backend
from slds_core.chains.gaussian import GaussianStatistics
from slds_core.chains.hmm import HMMPotentials, HMMStatistics
from slds_core.fixed_point.interface import Block, Field, Sequences
from slds_core.models.slds import fields
from slds_core.models.slds.messages import to_discrete, to_gaussian
from slds_core.models.slds.model import SLDS, SLDSModel, SLDSPosterior, SLDSStatistics, bounds
from slds_core.models.slds.packing import Lengths, inside, owners, pack, unpack, without_padding
from slds_core.models.slds.padding import set_apart, with_end, without_end
from slds_core.models.slds.potentials import SLDSPotentials


def slds_problem(lengths: Iterable[int] | None) -> "SLDS | SLDSSequences":
    """Returns the fixed point of one SLDS, or that of many sequences of these lengths.

    Raises:
        ValueError: a length is below one, or no whole number, or there is none.
    """
    return SLDS() if lengths is None else SLDSSequences(lengths)


def _lengths(lengths: Iterable[Any]) -> Lengths:
    try:
        return tuple(operator.index(length) for length in lengths)
    except TypeError as error:
        raise ValueError(f"lengths: expected whole numbers, found {lengths!r}") from error


class SLDSSequences(SLDSModel):
    """Mean field in many sequences at once. The state is all marginals ``μ_c``, sequence after sequence.

    Recognition potentials have a leading axis over sequences and are padded, to the longest or beyond. Every other potential is
    shared, or has a leading axis with one copy a sequence. Each sequence's part of the posterior is that of an ``SLDS`` on it alone.
    """

    lengths: Lengths = eqx.field(static=True, converter=_lengths)  # time steps
    backend: Backend | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        if not self.lengths:
            raise ValueError("lengths: expected at least one sequence, found none")
        for sequence, length in enumerate(self.lengths):
            if length < 1:
                raise ValueError(f"lengths[{sequence}]: expected at least one time step, found {length}")

    def first_block(self, parameters: SLDSPotentials, state: Float[Array, "packed state"]) -> Block:
        def smooth(potentials, marginals, real):
            chain = to_gaussian(potentials, marginals)
            path = gaussian.smooth(set_apart(chain, real) if self._ragged else chain, backend=self.backend)
            return path.log_partition, path.statistics

        real = jnp.asarray(inside(self.lengths))
        log_partition, statistics = self._each(smooth, parameters)(unpack(self._transitions, state), real)
        return Block(log_partition, self._gaussian(pack, statistics))

    def message(self, parameters: SLDSPotentials, statistics: GaussianStatistics) -> Float[Array, "packed state"]:
        def score(potentials, statistics):
            return to_discrete(potentials.dynamics, statistics)

        return pack(self._transitions, self._each(score, parameters)(self._gaussian(unpack, statistics)))

    def second_block(self, parameters: SLDSPotentials, message: Float[Array, "packed state"]) -> Block:
        def smooth(potentials, unary, real):
            chain = HMMPotentials(potentials.discrete.initial, potentials.discrete.transition, unary)
            states = hmm.smooth(with_end(chain, real) if self._ragged else chain, backend=self.backend)
            return states.log_partition, without_end(states.statistics) if self._ragged else states.statistics

        real = jnp.asarray(inside(self._transitions))
        log_partition, statistics = self._each(smooth, parameters)(unpack(self._transitions, message), real)
        return Block(log_partition, self._discrete(pack, statistics))

    def combine(self, parameters: SLDSPotentials, state, first: Block, message, second: Block) -> SLDSPosterior:
        padded = self._each(bounds, parameters)(
            unpack(self._transitions, state),
            Block(first.log_partition, self._gaussian(unpack, first.statistics)),
            unpack(self._transitions, message),
            Block(second.log_partition, self._discrete(unpack, second.statistics)),
            jnp.asarray(self._transitions, message.dtype),
        )
        packed = first.statistics, message, second.statistics
        return eqx.tree_at(lambda p: (p.gaussian, p.unary, p.discrete), padded, packed)

    def elbo(self, posterior: SLDSPosterior) -> Float[Array, ""]:
        return jnp.sum(posterior.elbo)

    def monitors(self, posterior: SLDSPosterior) -> dict[str, Float[Array, ""]]:
        return {name: jnp.sum(value) for name, value in SLDS().monitors(posterior).items()}

    def sequences(self) -> Sequences:
        return Sequences(self.lengths, owners(self._transitions))

    def by_sequence(self, posterior: SLDSPosterior) -> dict[str, Float[Array, " sequence"]]:
        return {"elbo": posterior.elbo, "kl": posterior.kl}

    def parameter_fields(self) -> SLDSPotentials:
        return fields.SEQUENCES

    def state_fields(self) -> Field:
        return fields.packed(fields.MARGINALS)

    def statistics_fields(self) -> SLDSStatistics:
        return fields.packed(SLDS().statistics_fields())

    def tidy(self, parameters: SLDSPotentials) -> SLDSPotentials:
        """Returns the potentials cut to the longest sequence, and zero in what padding is left.

        Raises:
            ValueError: shapes do not fit the lengths, or each other.
        """
        self._axes(parameters)

        def clean(padded):
            return without_padding(self.lengths, jnp.asarray(padded))

        return eqx.tree_at(lambda p: p.recognition, parameters, jax.tree.map(clean, parameters.recognition))

    def total(
        self, objective: Callable[..., Float[Array, ""]]
    ) -> Callable[[SLDSPotentials, SLDSPosterior], Float[Array, ""]]:
        """Returns the sum of ``objective(potentials, posterior, transitions)`` over sequences, each zero in its padding."""

        def summed(parameters, posterior):
            padded = eqx.tree_at(
                lambda p: (p.gaussian, p.unary, p.discrete),
                posterior,
                (
                    self._gaussian(unpack, posterior.gaussian),
                    unpack(self._transitions, posterior.unary),
                    self._discrete(unpack, posterior.discrete),
                ),
            )
            transitions = jnp.asarray(self._transitions, posterior.elbo.dtype)
            return jnp.sum(self._each(objective, parameters)(padded, transitions))

        return summed

    @property
    def _transitions(self) -> Lengths:
        return tuple(length - 1 for length in self.lengths)

    @property
    def _ragged(self) -> bool:
        return len(set(self.lengths)) > 1

    def _each(self, function: Callable[..., Any], parameters: SLDSPotentials) -> Callable[..., Any]:
        """Returns a function of one sequence's potentials and of further arguments, mapped over the latter."""
        potentials, axes = self.tidy(parameters), self._axes(parameters)

        def mapped(*arguments):
            return jax.vmap(function, in_axes=(axes, *(0 for _ in arguments)))(potentials, *arguments)

        return mapped

    def _axes(self, parameters: SLDSPotentials) -> SLDSPotentials:
        """Returns for each array its axis over sequences, ``None`` where it is shared."""
        found = [
            self._axis(jax.tree_util.keystr(path, simple=True, separator="."), jnp.shape(array), field.dimensions)
            for (path, array), field in zip(
                jax.tree_util.tree_leaves_with_path(parameters), jax.tree.leaves(fields.SEQUENCES), strict=True
            )
        ]
        return jax.tree.unflatten(jax.tree.structure(parameters), found)

    def _axis(self, name: str, shape: tuple[int, ...], dimensions: tuple[str, ...]) -> int | None:
        if "sequence" not in dimensions:
            if len(shape) == len(dimensions):
                return None
            dimensions = ("sequence", *dimensions)
        expected = f"expected ({', '.join(dimensions)}) with {len(self.lengths)} sequences"
        if len(shape) != len(dimensions) or shape[0] != len(self.lengths):
            raise ValueError(f"{name}: {expected}, found shape {shape}")
        if "time" in dimensions and shape[1] < max(self.lengths):
            longest = self.lengths.index(max(self.lengths))
            raise ValueError(
                f"lengths[{longest}]: expected at most {shape[1]}, {name}'s time axis, found {max(self.lengths)}"
            )
        return 0

    def _gaussian(self, convert: Callable[..., Array], statistics: GaussianStatistics) -> GaussianStatistics:
        return GaussianStatistics(
            second_moment=convert(self.lengths, statistics.second_moment),
            cross_moment=convert(self._transitions, statistics.cross_moment),
            mean=convert(self.lengths, statistics.mean),
        )

    def _discrete(self, convert: Callable[..., Array], statistics: HMMStatistics) -> HMMStatistics:
        marginals = convert(self._transitions, statistics.marginals)
        return HMMStatistics(statistics.initial, statistics.transition, marginals)
