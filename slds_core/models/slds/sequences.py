"""Many sequences of unequal lengths under one switching linear dynamical system (SLDS), as one fixed point.

Encoders hand over arrays padded to the longest sequence, or end to end; all else is packed end to end, and all arithmetic costs what the
sequences' own steps do. What padded entries hold is never read: exact, gradients included.
"""

from collections.abc import Callable, Iterable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from slds_core.chains import gaussian, hmm
from slds_core.chains.backend import Backend
from slds_core.chains.gaussian import GaussianStatistics
from slds_core.chains.hmm import HMMPotentials
from slds_core.chains.packing import Lengths, as_lengths, owners, pack, total, transitions, unpack
from slds_core.fixed_point.interface import Block, Field, Sequences
from slds_core.full_precision import in_full_precision
from slds_core.models.slds import fields
from slds_core.models.slds.messages import by_entry, to_discrete, to_gaussian
from slds_core.models.slds.model import (
    SLDS,
    SLDSModel,
    SLDSPosterior,
    SLDSStatistics,
    bounds,
    require_consistent,
    require_shape,
)
from slds_core.models.slds.potentials import SLDSPotentials


def slds_problem(lengths: Iterable[int] | None) -> "SLDS | SLDSSequences":
    """Returns the fixed point of one SLDS, or that of many sequences of these lengths.

    Raises:
        ValueError: a length is below one, or no whole number, or there is none.
    """
    return SLDS() if lengths is None else SLDSSequences(lengths)


class SLDSSequences(SLDSModel):
    """Mean field in many sequences at once. The state is all marginals ``μ_c``, sequence after sequence.

    Recognition potentials have a leading axis over sequences and are padded, to the longest or beyond; or they lie end to end, which spares
    the padding's memory and its gradient of zeros. Every other potential is shared, or has a leading axis with one copy a sequence. Each
    sequence's part of the posterior is that of an ``SLDS`` on it alone.
    """

    lengths: Lengths = eqx.field(static=True, converter=as_lengths)  # time steps
    backend: Backend | None = eqx.field(static=True, default=None)
    padded: bool = eqx.field(static=True, default=True)  # the recognition potentials; else end to end

    def __check_init__(self) -> None:
        if not self.lengths:
            raise ValueError("lengths: expected at least one sequence, found none")
        for sequence, length in enumerate(self.lengths):
            if length < 1:
                raise ValueError(f"lengths[{sequence}]: expected at least one time step, found {length}")

    def first_block(self, parameters: SLDSPotentials, state: Float[Array, "packed state"]) -> Block:
        self._axes(parameters)
        require_consistent(parameters, self.parameter_fields(), shared=True)
        require_shape(state, sum(self._transitions), parameters.states)
        chains = to_gaussian(self._packed(parameters), state, self.lengths)
        paths = gaussian.smooth_sequences(chains, self.lengths, backend=self.backend)
        return Block(paths.log_partition, paths.statistics)

    def message(self, parameters: SLDSPotentials, statistics: GaussianStatistics) -> Float[Array, "packed state"]:
        return to_discrete(parameters.dynamics, statistics, self.lengths)

    def second_block(self, parameters: SLDSPotentials, message: Float[Array, "packed state"]) -> Block:
        self._axes(parameters)
        potentials, count = parameters.discrete, len(self.lengths)
        chains = HMMPotentials(
            jnp.broadcast_to(potentials.initial, (count, *potentials.initial.shape[-1:])),
            jnp.broadcast_to(potentials.transition, (count, *potentials.transition.shape[-2:])),
            message,
        )
        states = hmm.smooth_sequences(chains, self._transitions, backend=self.backend)
        return Block(states.log_partition, states.statistics)

    @in_full_precision
    def combine(self, parameters: SLDSPotentials, state, first: Block, message, second: Block) -> SLDSPosterior:
        """Returns both blocks with the ``bounds`` of each sequence."""
        paths, recognition = first.statistics, self._packed(parameters).recognition
        offered = message - by_entry(self._transitions, parameters.dynamics.constant, 1)
        terms = jnp.sum(recognition.quadratic * paths.second_moment, (1, 2)) + jnp.sum(
            recognition.linear * paths.mean, 1
        )
        return bounds(
            parameters,
            first,
            message,
            second,
            jnp.asarray(self._transitions, message.dtype),
            transition_energy=total(self._transitions, jnp.sum(offered * state, 1)),
            recognition_energy=total(self.lengths, terms),
            message_change=total(self._transitions, jnp.sum(message * (second.statistics.marginals - state), 1)),
        )

    def elbo(self, posterior: SLDSPosterior) -> Float[Array, ""]:
        return jnp.sum(posterior.elbo)

    def monitors(self, posterior: SLDSPosterior) -> dict[str, Float[Array, ""]]:
        return {name: jnp.sum(value) for name, value in SLDS().monitors(posterior).items()}

    def sequences(self) -> Sequences:
        return Sequences(self.lengths, owners(self._transitions))

    def by_sequence(self, posterior: SLDSPosterior) -> dict[str, Float[Array, " sequence"]]:
        return {"elbo": posterior.elbo, "kl": posterior.kl}

    def parameter_fields(self) -> SLDSPotentials:
        return fields.PADDED if self.padded else fields.PACKED

    def state_fields(self) -> Field:
        return fields.packed(fields.MARGINALS)

    def statistics_fields(self) -> SLDSStatistics:
        return fields.packed(SLDS().statistics_fields())

    def select(
        self, members: Int[np.ndarray, " member"], parameters: SLDSPotentials, state: Float[Array, "packed state"]
    ) -> tuple["SLDSSequences", SLDSPotentials, Float[Array, "own state"]]:
        """Returns the problem of some sequences, by ascending numbers, with their potentials and their part of the state.

        Raises:
            ValueError: the numbers do not ascend, or there is no such sequence.
        """
        count = len(self.lengths)
        if np.any(np.diff(members) <= 0) or any(not 0 <= member < count for member in members):
            raise ValueError(
                f"members: expected ascending numbers of the {count} sequences, from 0, found {list(members)}"
            )
        problem = SLDSSequences([self.lengths[member] for member in members], self.backend, self.padded)
        leaves, structure = jax.tree.flatten(parameters)
        axes = structure.flatten_up_to(self._axes(parameters))
        own = structure.unflatten(
            leaf if axis is None else jnp.asarray(leaf)[members] for leaf, axis in zip(leaves, axes, strict=True)
        )

        def within(lengths: Lengths) -> Int[np.ndarray, " kept"]:
            return np.flatnonzero(np.isin(owners(lengths), members))

        steps = (slice(None), slice(max(problem.lengths))) if self.padded else within(self.lengths)
        cut = jax.tree.map(lambda array: jnp.asarray(array)[steps], own.recognition)
        own_state = jnp.asarray(state)[within(self._transitions)]
        return problem, eqx.tree_at(lambda p: p.recognition, own, cut), own_state

    def sum_over_sequences(
        self, objective: Callable[..., Float[Array, ""]]
    ) -> Callable[[SLDSPotentials, SLDSPosterior], Float[Array, ""]]:
        """Returns the sum of ``objective(potentials, posterior, transitions)`` over sequences, each zero in its padding."""
        between = self._transitions

        def summed(parameters, posterior):
            paths = posterior.gaussian
            padded = eqx.tree_at(
                lambda p: (p.gaussian, p.unary, p.discrete.marginals),
                posterior,
                (
                    GaussianStatistics(
                        unpack(self.lengths, paths.second_moment),
                        unpack(between, paths.cross_moment),
                        unpack(self.lengths, paths.mean),
                    ),
                    unpack(between, posterior.unary),
                    unpack(between, posterior.discrete.marginals),
                ),
            )
            recognition = jax.tree.map(partial(unpack, self.lengths), self._packed(parameters).recognition)
            own = eqx.tree_at(lambda p: p.recognition, parameters, recognition)
            axes = SLDSSequences(self.lengths)._axes(own)
            counts = jnp.asarray(between, posterior.elbo.dtype)
            return jnp.sum(jax.vmap(objective, in_axes=(axes, 0, 0))(own, padded, counts))

        return summed

    @property
    def _transitions(self) -> Lengths:
        return transitions(self.lengths)

    def _packed(self, parameters: SLDSPotentials) -> SLDSPotentials:
        """Returns the potentials with the recognition potentials end to end."""
        if not self.padded:
            return parameters
        end_to_end = jax.tree.map(lambda padded: pack(self.lengths, padded), parameters.recognition)
        return eqx.tree_at(lambda p: p.recognition, parameters, end_to_end)

    def _axes(self, parameters: SLDSPotentials) -> SLDSPotentials:
        """Returns for each array its axis over sequences, ``None`` where it is shared."""
        found = [
            self._axis(jax.tree_util.keystr(path, simple=True, separator="."), jnp.shape(array), field.dimensions)
            for (path, array), field in zip(
                jax.tree_util.tree_leaves_with_path(parameters), jax.tree.leaves(self.parameter_fields()), strict=True
            )
        ]
        return jax.tree.unflatten(jax.tree.structure(parameters), found)

    def _axis(self, name: str, shape: tuple[int, ...], dimensions: tuple[str, ...]) -> int | None:
        if "packed_time" in dimensions:
            if len(shape) != len(dimensions) or shape[0] != sum(self.lengths):
                steps = f"{sum(self.lengths)} steps of {len(self.lengths)} sequences"
                raise ValueError(f"{name}: expected ({', '.join(dimensions)}) with {steps}, found shape {shape}")
            return None
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
