"""The conjugate global factors, in natural parameters: expectations, divergence from the prior, natural gradients.

    q(η) ∝ exp(⟨η, t⟩ - A(η)),      μ = ∇A(η) = E[t]

The bound is ``L(μ) - KL(q_η ‖ q_η0)`` with the expected log-density of the local model ``L``, a function of μ alone. Since
``∇_η KL = F (η - η0)`` and ``∇_η L = F ∂L/∂μ`` with the Fisher matrix ``F = ∇²A``, the natural gradient is

    F⁻¹ ∇_η = ∂L/∂μ + η0 - η

and needs no Fisher matrix. A step of size one goes to ``η0 + ∂L/∂μ``: the coordinate update, wherever ``L`` is linear in μ.
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from slds_core.expfam import dirichlet, mniw, niw
from slds_core.fixed_point.limits import require_positive
from slds_core.models.slds import RecognitionPotentials, SLDSPotentials
from slds_core.models.slds.potentials import linear_potentials
from slds_core.one_by_one import one_by_one
from slds_core.trees import add, inner, scale, subtract


class GlobalFactors(eqx.Module):
    """Natural parameters of all factors, those of Dirichlets by their concentrations; also the shape of the expected statistics."""

    first_step: niw.NaturalParameters
    dynamics: mniw.NaturalParameters  # with a leading axis over states
    initial: Float[Array, " state"]
    transition: Float[Array, "state state_next"]


def prior_factors(latent: int, states: int, *, noise: float = 0.1, stickiness: float = 10.0) -> GlobalFactors:
    """Returns a vague prior around ``A = I``, ``b = 0``, worth one observed transition of unit variance.

    Args:
        latent, states: sizes.
        noise: variance of the transitions' noise that the prior expects.
        stickiness: added to the concentration of staying in a state, which is one without it.

    Raises:
        ValueError: names the argument that leaves no distribution, and the value found.
    """
    require_positive("noise", noise)
    require_positive("1 + stickiness", 1 + stickiness)
    return _prior_factors(latent, states, noise, stickiness)


@partial(jax.jit, static_argnums=(0, 1))
def _prior_factors(latent: int, states: int, noise: float, stickiness: float) -> GlobalFactors:
    degrees = latent + 2.0
    first_step = niw.NormalInverseWishart(
        scale=degrees * jnp.eye(latent),
        location=jnp.zeros(latent),
        strength=jnp.asarray(0.1),
        degrees=jnp.asarray(degrees),
    )
    dynamics = mniw.MatrixNormalInverseWishart(
        scale=noise * degrees * jnp.eye(latent),
        location=jnp.eye(latent, latent + 1),
        strength=jnp.eye(latent + 1),
        degrees=jnp.asarray(degrees),
    )
    repeated = jax.tree.map(
        lambda leaf: jnp.tile(leaf, (states,) + (1,) * leaf.ndim), mniw.natural_parameters(dynamics)
    )
    transition = jnp.ones((states, states)) + stickiness * jnp.eye(states)
    return GlobalFactors(niw.natural_parameters(first_step), repeated, jnp.ones(states), transition)


def expected_statistics(factors: GlobalFactors) -> GlobalFactors:
    """Returns ``E[t]`` of each factor, in the structure of its natural parameters."""
    return GlobalFactors(
        niw.expected_statistics(niw.distribution(factors.first_step)),
        one_by_one(lambda own: mniw.expected_statistics(mniw.distribution(own)), factors.dynamics),
        dirichlet.expected_log_probability(factors.initial),
        dirichlet.expected_log_probability(factors.transition),
    )


def potentials(statistics: GlobalFactors, recognition: RecognitionPotentials) -> SLDSPotentials:
    """Returns the potentials of local inference: linear in the factors' expected statistics."""
    return linear_potentials(
        recognition, statistics.first_step, statistics.dynamics, statistics.initial, statistics.transition
    )


def divergence(factors: GlobalFactors, prior: GlobalFactors) -> Float[Array, ""]:
    """Returns ``KL(q ‖ p)`` of all factors together (nats)."""
    energy = inner(subtract(factors, prior), expected_statistics(factors))
    return energy - _log_partition(factors) + _log_partition(prior)


def natural_step(
    factors: GlobalFactors, prior: GlobalFactors, gradient: GlobalFactors, rate: Float[Array, ""] | float
) -> tuple[GlobalFactors, Float[Array, ""]]:
    """Returns the factors after a natural-gradient step, and its size.

    Args:
        factors, prior: η and η0.
        gradient: ``∂L/∂μ``.
        rate: size of the step. It is halved until the factors are distributions: with an encoder that is not the exact posterior's, the
            target itself need be none.

    References:
        Johnson et al. (2016), "Composing graphical models with neural networks", §4.2; docs/learning.md.
    """
    target = _symmetric(add(prior, gradient))

    def stepped(size):
        return add(scale(1 - size, factors), scale(size, target))

    def unfinished(size):
        return ~valid(stepped(size)) & (size > 1e-6)

    size = jax.lax.while_loop(unfinished, lambda size: 0.5 * size, jnp.asarray(rate, factors.initial.dtype))
    accepted = valid(stepped(size))
    new = jax.tree.map(lambda a, b: jnp.where(accepted, a, b), stepped(size), factors)
    return new, jnp.where(accepted, size, 0.0)


def valid(factors: GlobalFactors) -> Bool[Array, ""]:
    """Returns whether these are natural parameters of distributions."""
    latent = factors.first_step.linear.shape[0]
    first = niw.distribution(factors.first_step)
    moves = one_by_one(mniw.distribution, factors.dynamics)

    def definite(matrices):
        return jnp.all(jnp.isfinite(one_by_one(jnp.linalg.cholesky, matrices)))

    return (
        definite(first.scale[None])
        & (first.strength > 0)
        & (first.degrees > latent - 1)
        & definite(moves.scale)
        & definite(moves.strength)
        & jnp.all(moves.degrees > latent - 1)
        & jnp.all(factors.initial > 0)
        & jnp.all(factors.transition > 0)
    )


def _symmetric(factors: GlobalFactors) -> GlobalFactors:
    """Returns the factors with matrices that must be symmetric made so: a gradient knows of no such rule."""

    def matrices(tree):
        return (tree.first_step.precision, tree.dynamics.precision, tree.dynamics.quadratic)

    return eqx.tree_at(matrices, factors, [0.5 * (matrix + matrix.mT) for matrix in matrices(factors)])


def _log_partition(factors: GlobalFactors) -> Float[Array, ""]:
    return (
        niw.log_partition(factors.first_step)
        + jnp.sum(one_by_one(mniw.log_partition, factors.dynamics))
        + dirichlet.log_partition(factors.initial)
        + jnp.sum(dirichlet.log_partition(factors.transition))
    )
