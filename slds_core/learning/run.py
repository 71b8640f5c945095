"""A whole training run as a sequence of epochs: no files and no clocks, so that whoever drives it may stop and resume it exactly."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from slds_core.chains.packing import split, transitions
from slds_core.data import Series
from slds_core.fixed_point.status import SUCCESSES, name_of
from slds_core.learning.batch import Batch, batches, full_batch
from slds_core.learning.factors import divergence
from slds_core.learning.judge import judge
from slds_core.learning.training import SVAE, Learner, Outcome, bad_quantity
from slds_core.models.slds.starts import uniform_start


class NonFinite(ValueError):
    """Training met a NaN or an infinity. The message names the first quantity that held one, and the epoch."""


class Progress(eqx.Module):
    """Everything that the next epoch depends on, besides data and settings."""

    model: SVAE
    optimizer: Any
    states: list[Float[Array, "packed state"]]  # of each batch: where its last inference ended, and its next begins
    epoch: Any  # NumPy integer, so that it is stored with the rest


class EpochRecord(NamedTuple):
    """What an epoch did; bounds are in nats per observed entry, each batch's before its update."""

    bound: float
    likelihood: float
    local_divergence: float
    global_divergence: float
    effective_states: float  # exponential of the entropy of the states' use
    sweeps: float  # sweeps and products of inference, all batches together
    products: float  # of the estimator
    adjoint_residual: float  # the worst batch's; NaN where none is solved
    forward_residual: float
    unconverged: float  # batches whose inference did not converge
    unsolved: float  # batches whose gradient was neither solved nor exact nor approximate by design
    fell_back: float  # those of them whose estimator put another method's gradient in its place
    gradient_norm: float
    natural_rate: float  # the smallest


_GOOD_GRADIENTS = ("solved", "exact_derivative", "approximate")


class Run:
    """A training run on given data."""

    def __init__(
        self, learner: Learner, series: Series, *, batch_size: int | None = None, seed: int = 0, cold: bool = False
    ) -> None:
        """Prepares batches and compiles nothing yet.

        Args:
            learner: how to learn.
            series: what from.
            batch_size: sequences in a batch; all if ``None``.
            seed: of the deal of batches, of their order, and of samples.
            cold: whether each inference starts at uniform marginals, and not where the batch's last one ended.
        """
        self.learner, self.series, self.seed, self.cold = learner, series, seed, cold
        self.groups = batches(series, batch_size, seed)
        self.entries = max(int(series.observed.sum()), 1)
        self._step: Callable[..., Any] = eqx.filter_jit(learner.step)
        self._judge: Callable[..., Any] = eqx.filter_jit(partial(judge, learner))

    def begin(self, model: SVAE, marginals: Float[Array, "packed state"]) -> Progress:
        """Returns the progress before the first epoch, given the marginals of all sequences, end to end, to start from."""
        pieces = split(transitions(self.series.lengths), marginals)
        states = [jnp.asarray(np.concatenate([pieces[i] for i in group])) for group, _ in self.groups]
        return Progress(model, self.learner.begin(model), states, np.array(0))

    def epoch(self, progress: Progress) -> tuple[Progress, EpochRecord]:
        """Returns the progress after one more epoch, and what it did.

        Raises:
            NonFinite: names the first quantity that is not finite.
        """
        number = int(progress.epoch)
        generator = np.random.default_rng([self.seed, 1, number])  # an epoch is the same whatever came before
        model, optimizer, states = progress.model, progress.optimizer, list(progress.states)
        outcomes = []
        for index in generator.permutation(len(self.groups)):
            batch = self.groups[index][1]
            key = self._key(number, index)
            model, optimizer, states[index], outcome = self._step(
                model, optimizer, batch, self._start(batch, states[index]), self._weight, key
            )
            bad = bad_quantity(outcome)
            if bad is not None:
                raise NonFinite(
                    f"epoch {number + 1}, batch {index}: the {bad} held a NaN or an infinity, and nothing before it did; "
                    f"inference ended as {name_of(outcome.inference_status)}, the gradient as {name_of(outcome.gradient_status)}"
                )
            outcomes.append(outcome)
        return Progress(model, optimizer, states, np.array(number + 1)), self._record(outcomes)

    def prepare(self, progress: Progress) -> None:
        """Compiles what an epoch runs, so that its first does not take longer than the others."""
        outcomes = []
        for index, ((_, batch), state) in enumerate(zip(self.groups, progress.states, strict=True)):
            start, key = self._start(batch, state), self._key(0, index)
            *_, outcome = self._step(progress.model, progress.optimizer, batch, start, self._weight, key)
            bad_quantity(outcome)
            outcomes.append(outcome)
        self._record(outcomes)

    def judge(self, progress: Progress) -> tuple[float, float]:
        """Returns what the next epoch's steps would take, all at today's parameters, beside what is right.

        Returns:
            The relative error of their gradients (mean over batches), and the bound with inference converged (nats per observed entry).
        """
        key = jax.random.key(0)
        found = [
            self._judge(progress.model, batch, self._start(batch, state), key)
            for (_, batch), state in zip(self.groups, progress.states, strict=True)
        ]
        shared = float(jax.jit(divergence)(progress.model.factors, self.learner.prior))
        bound = (sum(float(own.objective) for own in found) - shared) / self.entries
        return float(np.mean([float(own.gradient_error) for own in found])), bound

    def marginals(self, progress: Progress) -> Float[np.ndarray, "packed state"]:
        """Returns the states of all sequences, end to end in the data's order."""
        pieces: dict[int, np.ndarray] = {}
        for (group, batch), state in zip(self.groups, progress.states, strict=True):
            pieces |= dict(zip(group, split(transitions(batch.lengths), state), strict=True))
        return np.concatenate([pieces[number] for number in range(len(self.series.lengths))])

    def whole(self) -> Batch:
        """Returns all data as one batch."""
        return full_batch(self.series)

    @property
    def _weight(self) -> Float[Array, ""]:
        """What a batch's bound is multiplied by to stand for all data."""
        return jnp.asarray(float(len(self.groups)))

    def _key(self, epoch: int, batch: int) -> Key[Array, ""]:
        """Returns the key of a step's draws: a function of seed, epoch and batch, so that a resumed run draws the same."""
        return jax.random.fold_in(jax.random.fold_in(jax.random.key(self.seed), epoch), batch)

    def _start(self, batch: Batch, last: Float[Array, "packed state"]) -> Float[Array, "packed state"]:
        """Returns where a batch's inference starts, given where its last one ended."""
        if not self.cold:
            return last
        return jnp.asarray(uniform_start(batch.transitions, last.shape[1]), batch.values.dtype)

    def _record(self, outcomes: list[Outcome]) -> EpochRecord:
        def total(name: str) -> float:
            return float(sum(np.asarray(getattr(outcome, name), np.float64) for outcome in outcomes))

        def extreme(name: str, choose: Callable[..., Any]) -> float:
            return float(choose([float(getattr(outcome, name)) for outcome in outcomes]))

        use = np.sum([np.asarray(outcome.state_use, np.float64) for outcome in outcomes], axis=0)
        share = use / use.sum() if use.sum() > 0 else np.full(len(use), 1 / len(use))
        entropy = -np.sum(share * np.log(np.maximum(share, 1e-300)))
        divergence = float(np.mean([float(outcome.global_divergence) for outcome in outcomes]))
        likelihood, local = total("likelihood"), total("local_divergence")
        return EpochRecord(
            bound=(likelihood - local - divergence) / self.entries,
            likelihood=likelihood / self.entries,
            local_divergence=local / self.entries,
            global_divergence=divergence / self.entries,
            effective_states=float(np.exp(entropy)),
            sweeps=total("sweeps"),
            products=total("products"),
            adjoint_residual=extreme("adjoint_residual", np.max),
            forward_residual=extreme("forward_residual", np.max),
            unconverged=float(sum(name_of(o.inference_status) not in SUCCESSES for o in outcomes)),
            unsolved=float(sum(name_of(o.gradient_status) not in _GOOD_GRADIENTS for o in outcomes)),
            fell_back=float(sum(name_of(o.gradient_status) == "fell_back" for o in outcomes)),
            gradient_norm=extreme("gradient_norm", np.max),
            natural_rate=extreme("natural_rate", np.min),
        )
