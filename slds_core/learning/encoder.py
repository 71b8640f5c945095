"""Encoders: from observations to recognition potentials. Entries that are missing take no part, exactly."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Key

from slds_core.full_precision import in_full_precision
from slds_core.learning.decoder import LinearDecoder
from slds_core.models.slds import RecognitionPotentials


class ExactEncoder(eqx.Module):
    """The potentials that a linear decoder's likelihood is: no parameters, and nothing lost."""

    def __call__(self, decoder: LinearDecoder, values: Array, observed: Array) -> RecognitionPotentials:
        """Returns potentials (sequence, time, …) of padded observations (sequence, time, channel)."""
        return decoder.potentials(values, observed)


class LinearEncoder(eqx.Module):
    """Each observed entry adds a precision of rank one and a linear term of its own: ``a_i a_iᵀ`` and ``(y_i - e_i) g_i``."""

    root: Float[Array, "channel latent"]  # a
    gain: Float[Array, "channel latent"]  # g
    offset: Float[Array, " channel"]  # e

    @in_full_precision
    def __call__(
        self,
        decoder: eqx.Module,
        values: Float[Array, "*batch channel"],
        observed: Bool[Array, "*batch channel"],
    ) -> RecognitionPotentials:
        """Returns potentials (sequence, time, …) of padded observations (sequence, time, channel)."""
        gap = jnp.where(observed, values - self.offset, 0)
        precision = jnp.einsum("...c,ci,cj->...ij", observed.astype(gap.dtype), self.root, self.root)
        return RecognitionPotentials(-0.5 * precision, gap @ self.gain)


class MLPEncoder(eqx.Module):
    """A network from a step's observations, and which of them there are, to a diagonal precision and a linear term."""

    network: eqx.nn.MLP  # from 2 · channel to 2 · latent

    @in_full_precision
    def __call__(
        self,
        decoder: eqx.Module,
        values: Float[Array, "sequence time channel"],
        observed: Bool[Array, "sequence time channel"],
    ) -> RecognitionPotentials:
        """Returns potentials (sequence, time, …) of padded observations; zero at steps where nothing is observed."""
        seen = observed.astype(values.dtype)
        inputs = jnp.concatenate([jnp.where(observed, values, 0), seen], axis=-1)
        raw_precision, linear = jnp.split(jax.vmap(jax.vmap(self.network))(inputs), 2, axis=-1)
        anything = jnp.any(observed, axis=-1, keepdims=True)
        precision = jnp.where(anything, jax.nn.softplus(raw_precision), 0)
        quadratic = -0.5 * precision[..., None] * jnp.eye(precision.shape[-1], dtype=precision.dtype)
        return RecognitionPotentials(quadratic, jnp.where(anything, linear, 0))


@in_full_precision
def imitating_network(
    decoder: LinearDecoder,
    values: Float[Array, "sequence time channel"],
    observed: Bool[Array, "sequence time channel"],
    width: int,
    key: Key[Array, ""],
    *,
    steps: int = 500,
) -> MLPEncoder:
    """Returns a network with one hidden layer, trained to give about the potentials that the decoder's likelihood is."""
    channels, latent = decoder.loading.shape
    network = eqx.nn.MLP(2 * channels, 2 * latent, width, 1, dtype=values.dtype, key=key)
    wanted = decoder.potentials(values, observed)
    optimizer = optax.adam(1e-2)

    def error(encoder):
        found = encoder(decoder, values, observed)
        precision = jnp.diagonal(found.quadratic - wanted.quadratic, axis1=-2, axis2=-1)
        return jnp.mean(precision**2) + jnp.mean((found.linear - wanted.linear) ** 2)

    learnt, fixed = eqx.partition(MLPEncoder(network), eqx.is_inexact_array)

    def step(carry, _):
        learnt, state = carry
        gradient = jax.grad(lambda learnt: error(eqx.combine(learnt, fixed)))(learnt)
        updates, state = optimizer.update(gradient, state)
        return (optax.apply_updates(learnt, updates), state), None

    (learnt, _), _ = jax.jit(lambda carry: jax.lax.scan(step, carry, None, length=steps))(
        (learnt, optimizer.init(learnt))
    )
    return eqx.combine(learnt, fixed)


def imitating(decoder: LinearDecoder) -> LinearEncoder:
    """Returns the linear encoder whose potentials are the decoder's own: where learning starts."""
    root = jnp.exp(0.5 * decoder.log_precision)[:, None] * decoder.loading
    return LinearEncoder(root, jnp.exp(decoder.log_precision)[:, None] * decoder.loading, decoder.offset)
