"""Forecasts of a switching linear dynamical system: mean and covariance of the path ahead in closed form, or draws of it.

The path ahead is a mixture over all sequences of states, ``K^h`` of them after ``h`` steps. Its first two moments need no sum over
them: with ``p_j = P(k = j)``, ``x_j = E[z 1{k = j}]`` and ``S_j = E[z zᵀ 1{k = j}]``, a step that is taken in state ``j`` gives

    p_j' = p_j,      x_j' = A_j x_j + b_j p_j,      S_j' = A_j S_j A_jᵀ + A_j x_j b_jᵀ + b_j x_jᵀ A_jᵀ + p_j (b_j b_jᵀ + Q_j),

and the next state mixes them, ``p_i = Σ_j p_j' π_ji`` and so on. Nothing is approximated but the parameters, which are points.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Key

from slds_core.chains.gaussian import GaussianStatistics
from slds_core.chains.small_matrices import cholesky_factor
from slds_core.expfam import mniw
from slds_core.full_precision import in_full_precision
from slds_core.learning.factors import GlobalFactors
from slds_core.models.slds.model import SLDSPosterior
from slds_core.one_by_one import one_by_one


class System(eqx.Module):
    """Dynamics as points: ``z_{t+1} ~ N(A_k z_t + b_k, Q_k)``."""

    matrix: Float[Array, "state latent latent"]  # A
    offset: Float[Array, "state latent"]  # b
    noise: Float[Array, "state latent latent"]  # Q, a covariance
    initial: Float[Array, " state"]  # probabilities
    transition: Float[Array, "state state_next"]  # probabilities


class Forecast(NamedTuple):
    """Moments of the steps ahead."""

    mean: Float[Array, "*sequence ahead latent"]
    second_moment: Float[Array, "*sequence ahead latent latent"]
    states: Float[Array, "*sequence ahead state"]  # of the transition that leads to each step

    @property
    def statistics(self) -> GaussianStatistics:
        """Returns the moments of one sequence as a decoder takes them; those between steps are left at zero."""
        return GaussianStatistics(self.second_moment, jnp.zeros_like(self.second_moment[1:]), self.mean)


def system(factors: GlobalFactors) -> System:
    """Returns the dynamics at the factors' means; the noise is the inverse of the expected precision."""
    moves = one_by_one(mniw.distribution, factors.dynamics)
    return System(
        matrix=moves.location[:, :, :-1],
        offset=moves.location[:, :, -1],
        noise=moves.scale / moves.degrees[:, None, None],
        initial=factors.initial / jnp.sum(factors.initial),
        transition=factors.transition / jnp.sum(factors.transition, 1, keepdims=True),
    )


@in_full_precision
def forecast(
    dynamics: System,
    mean: Float[Array, " latent"],
    second_moment: Float[Array, "latent latent"],
    states: Float[Array, " state"],
    steps: int,
) -> Forecast:
    """Returns the moments of the next steps of one path.

    Args:
        dynamics: that the path follows.
        mean, second_moment: of the last step that is known.
        states: probabilities of the state of the transition that leaves it, which is taken to be independent of the step, as in mean field.
        steps: how many steps ahead, at least one.

    References:
        Costa, Fragoso and Marques (2005), "Discrete-Time Markov Jump Linear Systems", §3.2.
    """
    matrix, offset = dynamics.matrix, dynamics.offset

    def advance(carry, _):
        weight, first, second = carry
        moved = jnp.einsum("kij,kj->ki", matrix, first)
        drift = jnp.einsum("ki,kj->kij", moved, offset)
        own = jnp.einsum("k,ki,kj->kij", weight, offset, offset) + weight[:, None, None] * dynamics.noise
        second = matrix @ second @ matrix.mT + drift + drift.mT + own
        first = moved + weight[:, None] * offset
        mixed = tuple(jnp.tensordot(dynamics.transition, part, axes=(0, 0)) for part in (weight, first, second))
        return mixed, Forecast(jnp.sum(first, 0), jnp.sum(second, 0), weight)

    start = states, states[:, None] * mean, states[:, None, None] * second_moment
    return lax.scan(advance, start, None, length=steps)[1]


@in_full_precision
def draw_path(
    dynamics: System,
    mean: Float[Array, " latent"],
    second_moment: Float[Array, "latent latent"],
    states: Float[Array, " state"],
    steps: int,
    key: Key[Array, ""],
) -> Float[Array, "ahead latent"]:
    """Returns a draw of the next steps of one path, from the mixture whose moments ``forecast`` gives.

    Args:
        dynamics, mean, second_moment, states, steps: as for ``forecast``; the last step that is known is taken to be Gaussian.
        key: JAX's random key.
    """
    key_state, key_start, key_noise = jax.random.split(key, 3)
    latent = mean.size
    roots, moves = cholesky_factor(dynamics.noise), jnp.log(dynamics.transition)
    root = cholesky_factor(second_moment - jnp.outer(mean, mean))

    def advance(carry, drawn):
        state, place = carry
        own_key, noise = drawn
        place = dynamics.matrix[state] @ place + dynamics.offset[state] + roots[state] @ noise
        return (jax.random.categorical(own_key, moves[state]), place), place

    key_first, *key_next = jax.random.split(key_state, steps + 1)
    start = (
        jax.random.categorical(key_first, jnp.log(states)),
        mean + root @ jax.random.normal(key_start, (latent,), mean.dtype),
    )
    drawn = jnp.stack(key_next), jax.random.normal(key_noise, (steps, latent), mean.dtype)
    return lax.scan(advance, start, drawn)[1]


@in_full_precision
def forecast_sequences(dynamics: System, posterior: SLDSPosterior, lengths: tuple[int, ...], steps: int) -> Forecast:
    """Returns the moments of the next steps of each sequence, from the posterior of all of them end to end."""
    ahead = jax.vmap(lambda mean, second, states: forecast(dynamics, mean, second, states, steps))
    return ahead(*_ends(dynamics, posterior, lengths))


@in_full_precision
def draw_paths(
    dynamics: System,
    posterior: SLDSPosterior,
    lengths: tuple[int, ...],
    steps: int,
    keys: Key[Array, " draw"],
) -> Float[Array, "sequence draw ahead latent"]:
    """Returns draws of the next steps of each sequence, from the posterior of all of them end to end."""

    def of_one(mean, second, states):
        return jax.vmap(lambda key: draw_path(dynamics, mean, second, states, steps, key))(keys)

    return jax.vmap(of_one)(*_ends(dynamics, posterior, lengths))


def _ends(dynamics: System, posterior: SLDSPosterior, lengths: tuple[int, ...]) -> tuple[Array, Array, Array]:
    """Returns, of each sequence, first and second moment of the last step, and probabilities of the state of the transition after it."""
    steps_known, transitions = np.array(lengths), np.array(lengths) - 1
    states = jnp.broadcast_to(dynamics.initial, (len(lengths), dynamics.initial.size))
    if transitions.any():
        following = posterior.discrete.marginals[np.maximum(np.cumsum(transitions) - 1, 0)] @ dynamics.transition
        states = jnp.where((transitions > 0)[:, None], following, states)
    ends, path = np.cumsum(steps_known) - 1, posterior.gaussian
    return path.mean[ends], path.second_moment[ends], states
