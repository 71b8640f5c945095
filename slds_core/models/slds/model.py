"""Mean-field inference in a switching linear dynamical system (SLDS), as a fixed point.

``z`` is a Gaussian chain over ``time`` steps, ``k`` a discrete chain over the ``time - 1`` transitions; ``q(z) q(k)``
approximates their joint posterior. One sweep is ``μ_c → μ_g → o → μ_c'``.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from slds_core.chains import gaussian, hmm
from slds_core.chains.backend import Backend
from slds_core.chains.gaussian import GaussianStatistics
from slds_core.chains.hmm import HMMStatistics
from slds_core.fixed_point.interface import Block, Field, MeanField
from slds_core.full_precision import in_full_precision
from slds_core.models.slds import fields
from slds_core.models.slds.messages import to_discrete, to_gaussian
from slds_core.models.slds.potentials import SLDSPotentials


class SLDSStatistics(eqx.Module):
    """Expected statistics of both chains."""

    gaussian: GaussianStatistics
    marginals: Float[Array, "transition state"]  # P(k_t)


class SLDSPosterior(eqx.Module):
    """What one sweep computes: ``q(z)`` given the old ``q(k)``, and the new ``q(k)`` given that ``q(z)``."""

    gaussian: GaussianStatistics
    gaussian_log_partition: Float[Array, "*sequence"]  # nats
    unary: Float[Array, "transition state"]  # log-potentials o of the discrete chain, nats
    discrete: HMMStatistics
    discrete_log_partition: Float[Array, "*sequence"]  # nats
    elbo: Float[Array, "*sequence"]  # nats
    kl: Float[Array, "*sequence"]  # KL(q(z) q(k) ‖ p(z, k)), nats
    # the notebook's variant, which pairs the message with the new marginals, nats
    kl_notebook: Float[Array, "*sequence"]


class SLDSModel(MeanField[SLDSPotentials, Float[Array, "transition state"], SLDSPosterior]):
    """What one SLDS and many have in common: where things are in their blocks and in their posterior."""

    def second_state(self, statistics: HMMStatistics) -> Float[Array, "transition state"]:
        return statistics.marginals

    def parts(self, posterior: SLDSPosterior) -> tuple[GaussianStatistics, Float[Array, "transition state"]]:
        return posterior.gaussian, posterior.unary

    def with_state(self, posterior: SLDSPosterior, state: Float[Array, "transition state"]) -> SLDSPosterior:
        return eqx.tree_at(lambda p: p.discrete.marginals, posterior, state)

    def state(self, posterior: SLDSPosterior) -> Float[Array, "transition state"]:
        return posterior.discrete.marginals

    def magnitude(self, posterior: SLDSPosterior) -> Float[Array, ""]:
        """Returns the size of both log-partitions, of what is taken from them, and of the evidence (nats), summed over sequences."""
        partitions = posterior.gaussian_log_partition, posterior.discrete_log_partition
        terms = *partitions, sum(partitions) - posterior.elbo, posterior.kl + posterior.elbo
        return jnp.sum(sum(map(jnp.abs, terms), jnp.zeros_like(posterior.elbo)))

    def statistics(self, posterior: SLDSPosterior) -> SLDSStatistics:
        return SLDSStatistics(posterior.gaussian, posterior.discrete.marginals)


class SLDS(SLDSModel):
    """Mean field in an SLDS. The state is the discrete chain's marginals ``μ_c``."""

    backend: Backend | None = eqx.field(static=True, default=None)

    def first_block(self, parameters: SLDSPotentials, state: Float[Array, "transition state"]) -> Block:
        require_consistent(parameters, fields.PARAMETERS)
        require_shape(state, parameters.time - 1, parameters.states)
        chain = gaussian.smooth(to_gaussian(parameters, state), backend=self.backend)
        return Block(chain.log_partition, chain.statistics)

    def message(self, parameters: SLDSPotentials, statistics: GaussianStatistics) -> Float[Array, "transition state"]:
        return to_discrete(parameters.dynamics, statistics)

    def second_block(self, parameters: SLDSPotentials, message: Float[Array, "transition state"]) -> Block:
        discrete = parameters.discrete
        potentials = hmm.HMMPotentials(discrete.initial, discrete.transition, message)
        states = hmm.smooth(potentials, backend=self.backend)
        return Block(states.log_partition, states.statistics)

    @in_full_precision
    def combine(self, parameters: SLDSPotentials, state, first: Block, message, second: Block) -> SLDSPosterior:
        """Returns both blocks with their ``bounds``."""
        return bounds(
            parameters,
            first,
            message,
            second,
            parameters.time - 1,
            transition_energy=jnp.vdot(message - parameters.dynamics.constant[None], state),
            recognition_energy=recognition_energy(parameters, first.statistics),
            message_change=jnp.vdot(message, second.statistics.marginals - state),
        )

    def elbo(self, posterior: SLDSPosterior) -> Float[Array, ""]:
        return posterior.elbo

    def monitors(self, posterior: SLDSPosterior) -> dict[str, Float[Array, ""]]:
        return {"kl": posterior.kl, "kl_notebook": posterior.kl_notebook}

    def parameter_fields(self) -> SLDSPotentials:
        return fields.PARAMETERS

    def state_fields(self) -> Field:
        return fields.MARGINALS

    def statistics_fields(self) -> SLDSStatistics:
        return SLDSStatistics(fields.GAUSSIAN, fields.MARGINALS)


def require_consistent(parameters: SLDSPotentials, described: SLDSPotentials, shared: bool = False) -> None:
    """Refuses potentials whose shapes do not go together: some would be broadcast, and give numbers of no model.

    Args:
        parameters: the potentials.
        described: their fields.
        shared: whether one may have a leading axis more, over sequences.

    Raises:
        ValueError: names the potential, its dimensions, and the shape found.
    """
    sizes: dict[str, int] = {}
    leaves = jax.tree_util.tree_leaves_with_path(parameters)
    for (path, array), field in zip(leaves, jax.tree.leaves(described), strict=True):
        shape, dimensions = jnp.shape(array), field.dimensions
        own = shape[len(shape) - len(dimensions) :] if shared else shape
        names = [dimension.removesuffix("_next") for dimension in dimensions]
        if len(own) != len(names) or any(sizes.setdefault(n, s) != s for n, s in zip(names, own, strict=True)):
            known = ", ".join(f"{name} {sizes[name]}" for name in dict.fromkeys(names) if name in sizes)
            raise ValueError(
                f"{jax.tree_util.keystr(path, simple=True, separator='.')}: expected ({', '.join(dimensions)})"
                f"{known and ' with '}{known}, found shape {shape}"
            )


def require_shape(state: Array, transitions: int, states: int) -> None:
    """Refuses marginals that are not those of this many transitions and states.

    Raises:
        ValueError: tells the shape expected and the shape found.
    """
    if jnp.shape(state) != (transitions, states):
        raise ValueError(f"state: expected marginals of shape {(transitions, states)}, found {jnp.shape(state)}")


def bounds(
    parameters: SLDSPotentials,
    first: Block,
    message: Float[Array, "transition state"],
    second: Block,
    transitions: Float[Array, "*sequence"] | int,
    *,
    transition_energy: Float[Array, "*sequence"],
    recognition_energy: Float[Array, "*sequence"],
    message_change: Float[Array, "*sequence"],
) -> SLDSPosterior:
    """Returns both blocks with their bounds, of each sequence where there are many.

    Each factor is optimal when it is computed, so entropies and energies cancel into log-partitions. The transition energy, at the
    marginals that q(z) was computed from, is then counted twice, and subtracted once.

    Args:
        parameters, first, message, second: as for ``MeanField.combine``.
        transitions: how many there are.
        transition_energy: the message without its constants, times the marginals that it follows from (nats).
        recognition_energy: ``E_q[log ψ]`` (nats).
        message_change: the message times the sweep's change of the marginals (nats).

    References:
        Ghahramani and Hinton (2000), "Variational learning for switching state-space models"; docs/theory.md, (18).
    """
    bound = first.log_partition + second.log_partition - transition_energy - normalizer(parameters, transitions)
    return SLDSPosterior(
        gaussian=first.statistics,
        gaussian_log_partition=first.log_partition,
        unary=message,
        discrete=second.statistics,
        discrete_log_partition=second.log_partition,
        elbo=bound,
        kl=recognition_energy - bound,
        kl_notebook=recognition_energy - bound + message_change,
    )


def recognition_energy(parameters: SLDSPotentials, statistics: GaussianStatistics) -> Float[Array, ""]:
    """Returns ``E_q[log ψ]``, the expected log of the recognition potentials (nats)."""
    recognition = parameters.recognition
    return jnp.vdot(recognition.quadratic, statistics.second_moment) + jnp.vdot(recognition.linear, statistics.mean)


def normalizer(parameters: SLDSPotentials, transitions: Float[Array, "*sequence"] | int) -> Float[Array, "*sequence"]:
    """Returns the expected log-normalisers of the first step and of the transitions, as far as no state enters (nats)."""
    return parameters.initial.normalizer + transitions * 0.5 * parameters.latent * math.log(2 * math.pi)
