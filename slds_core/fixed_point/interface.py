"""What a model must offer to be solved, differentiated and reported: ``x = sweep(θ, x)``.

Everything in ``fixed_point/`` and ``gradients/`` works on these two classes and knows nothing else of a model. A model is a
module without arrays: its parameters ``θ`` and its state ``x`` are arguments, so that one compilation serves them all.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

Parameters = TypeVar("Parameters")
State = TypeVar("State")
Posterior = TypeVar("Posterior")


@dataclass(frozen=True)
class Field:
    """How one array is stored and shown: its dimensions' names, what it is, and its units."""

    dimensions: tuple[str, ...]
    long_name: str
    units: str = "1"

    @property
    def of_each_sequence(self) -> bool:
        """Whether each sequence has a part of its own in the array: along an axis over sequences, or end to end with the others."""
        return bool({"sequence", "packed_time", "packed_transition"}.intersection(self.dimensions))


@dataclass(frozen=True)
class Sequences:
    """How a model that holds many sequences is made of them."""

    lengths: tuple[int, ...]  # time steps of each
    owners: Int[np.ndarray, " entry"]  # which sequence each entry along the state's first axis belongs to

    @property
    def count(self) -> int:
        """Number of sequences."""
        return len(self.lengths)


class FixedPoint(eqx.Module, Generic[Parameters, State, Posterior]):
    """A model whose inference iterates ``x ← sweep(θ, x)`` until it stands still."""

    @abstractmethod
    def posterior(self, parameters: Parameters, state: State) -> Posterior:
        """Returns everything that one sweep from ``state`` computes."""

    @abstractmethod
    def state(self, posterior: Posterior) -> State:
        """Returns the state that a sweep's posterior leads to."""

    def sweep(self, parameters: Parameters, state: State) -> State:
        """Returns the state after one sweep."""
        return self.state(self.posterior(parameters, state))

    @abstractmethod
    def elbo(self, posterior: Posterior) -> Float[Array, ""]:
        """Returns the evidence lower bound (nats), which no sweep may lower."""

    def magnitude(self, posterior: Posterior) -> Float[Array, ""]:
        """Returns the size of the terms that the bound is made of (nats), which its rounding is relative to; the bound's own unless
        the model knows better. A bound that happens to be near zero is not known better for it."""
        return jnp.abs(self.elbo(posterior))

    def monitors(self, posterior: Posterior) -> dict[str, Float[Array, ""]]:
        """Returns further scalars worth tracing, by name (nats)."""
        return {}

    def sequences(self) -> Sequences | None:
        """Returns how the model is made of sequences; ``None`` unless it holds many.

        A model of many takes each parameter with a leading axis over sequences too, one copy each, where its field lacks the
        dimension ``sequence``; and no sequence's part of the state depends on another's.
        """
        return None

    def by_sequence(self, posterior: Posterior) -> dict[str, Float[Array, " sequence"]]:
        """Returns scalars of each sequence worth storing, by name (nats)."""
        return {}

    @abstractmethod
    def statistics(self, posterior: Posterior) -> PyTree[Float[Array, "..."]]:
        """Returns the expected statistics, what a generic objective may depend on."""

    @abstractmethod
    def parameter_fields(self) -> PyTree[Field]:
        """Returns the description of each parameter, in the structure of the parameters."""

    @abstractmethod
    def state_fields(self) -> PyTree[Field]:
        """Returns the description of each state variable, in the structure of the state."""

    @abstractmethod
    def statistics_fields(self) -> PyTree[Field]:
        """Returns the description of each expected statistic, in the structure of ``statistics``."""


def as_swept(problem: FixedPoint, parameters: PyTree, state: PyTree) -> PyTree:
    """Returns a state in the types in which a sweep returns it, so that a loop can carry it.

    Raises:
        ValueError: it has not the shapes of a sweep's, or there are arrays of double precision while JAX is set to single precision.
    """
    require_enabled_precision(parameters, state)
    swept = jax.eval_shape(problem.sweep, parameters, state)
    for (path, found), expected in zip(jax.tree_util.tree_leaves_with_path(state), jax.tree.leaves(swept), strict=True):
        if jnp.shape(found) != expected.shape:
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            raise ValueError(f"state{name and '.'}{name}: expected shape {expected.shape}, found {jnp.shape(found)}")
    return jax.tree.map(lambda array, like: jnp.asarray(array, like.dtype), state, swept)


def require_enabled_precision(parameters: PyTree, state: PyTree) -> None:
    """Refuses JAX's arrays of double precision while it is set to single precision, where some operations would fail and others round.

    NumPy's are rounded, as everywhere in JAX.

    Raises:
        ValueError: says what to do.
    """
    if jnp.result_type(float) == np.float64:
        return
    for path, leaf in jax.tree_util.tree_leaves_with_path({"parameters": parameters, "state": state}):
        if isinstance(leaf, jax.Array) and leaf.dtype == np.float64:
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            raise ValueError(
                f"{name}: found float64 while JAX is set to single precision; either "
                'jax.config.update("jax_enable_x64", True), or cast parameters and state to float32'
            )


class Block(NamedTuple):
    """One block of a mean-field posterior, an exponential family: its log-partition and its expected statistics."""

    log_partition: Float[Array, "*sequence"]  # nats; one for each where there are many
    statistics: Any


class MeanField(FixedPoint[Parameters, State, Posterior]):
    """A sweep over two conjugate blocks ``q(y) q(x)``: state → first block → message → second block → state.

    Both halves are gradients of log-partitions up to linear maps, so their Jacobians

        S = ∂ response / ∂ state,      F = ∂ marginals / ∂ message

    are symmetric and positive semidefinite. The Fisher solvers rely on that (docs/theory.md, section "Fisher structure").
    """

    @abstractmethod
    def first_block(self, parameters: Parameters, state: State) -> Block:
        """Returns the first block, optimal given the state of the second."""

    @abstractmethod
    def message(self, parameters: Parameters, statistics: Any) -> State:
        """Returns the second block's log-potentials ``o``, given the first block's expected statistics."""

    @abstractmethod
    def second_block(self, parameters: Parameters, message: State) -> Block:
        """Returns the second block that has these log-potentials, which have the state's structure."""

    @abstractmethod
    def second_state(self, statistics: Any) -> State:
        """Returns the state within the second block's expected statistics."""

    @abstractmethod
    def combine(self, parameters: Parameters, state: State, first: Block, message: State, second: Block) -> Posterior:
        """Returns the posterior, given the state that the first block was made from and the message that the second was."""

    @abstractmethod
    def parts(self, posterior: Posterior) -> tuple[Any, State]:
        """Returns the first block's expected statistics and the message within a posterior."""

    @abstractmethod
    def with_state(self, posterior: Posterior, state: State) -> Posterior:
        """Returns the posterior with another state in it, all else as it was."""

    def posterior(self, parameters: Parameters, state: State) -> Posterior:
        first = self.first_block(parameters, state)
        message = self.message(parameters, first.statistics)
        return self.combine(parameters, state, first, message, self.second_block(parameters, message))

    def response(self, parameters: Parameters, state: State) -> State:
        """Returns the message that a state provokes."""
        return self.message(parameters, self.first_block(parameters, state).statistics)

    def marginals(self, parameters: Parameters, message: State) -> State:
        """Returns the state that a message leads to."""
        return self.second_state(self.second_block(parameters, message).statistics)


def require_finite(name: str, tree: PyTree) -> None:
    """Raises where an array of ``tree`` holds a NaN or an infinity.

    Raises:
        ValueError: names the tree, the array, the index and the value.
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.asarray(leaf)  # JAX would compile a program for each shape
        bad = np.argwhere(~np.isfinite(array))
        if bad.size:
            index = tuple(int(i) for i in bad[0])
            where = jax.tree_util.keystr(path, simple=True, separator=".")
            raise ValueError(f"{name}: {where}{list(index)} is {array[index]}, expected a finite number")
