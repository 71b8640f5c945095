"""The notebook's model, regenerated from its recipe: an untrained structured VAE on noise.

The notebook loads a pickle that another notebook wrote. Both draw everything from ``PRNGKey(47)``, so the potentials can be
regenerated: the recognition network and the graphical model are initialised by flax, which derives each parameter's key
from the module's place in the tree and the parameter's place in its module. Names and order below are therefore part of
the recipe. JAX's default generator has changed since: the recipe needs non-partitionable threefry.

References:
    Bendekgey, Hope and Sudderth (2023), "Unbiased learning of deep generative models with structured discrete
    representations"; its public code and the notebook that this project grew from.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from slds_core.expfam.mniw import MatrixNormalInverseWishart
from slds_core.expfam.niw import NormalInverseWishart
from slds_core.full_precision import in_full_precision
from slds_core.models.slds.potentials import RecognitionPotentials, SLDSPotentials, expected_potentials
from slds_core.models.slds.starts import NOTEBOOK_SEED, notebook_draw

TIME, LATENT, STATES, OBSERVED = 100, 5, 4, 20


class DenseBlock(nn.Module):
    """Dense layer, leaky ReLU, batch normalisation over the time steps."""

    @nn.compact
    def __call__(self, x):
        x = nn.leaky_relu(nn.Dense(100, dtype=jnp.float32)(x), negative_slope=0.01)
        return nn.BatchNorm(use_running_average=False, dtype=jnp.float32)(x)


class DenseNet(nn.Module):
    """Four blocks and a linear read-out."""

    outputs: int

    @nn.compact
    def __call__(self, x):
        for _ in range(4):
            x = DenseBlock()(x)
        return nn.Dense(self.outputs, dtype=jnp.float32)(x)


class Encoder(nn.Module):
    """Recognition network: location and log-precision of each step, read as natural parameters."""

    latent: int

    @nn.compact
    def __call__(self, x):
        location, log_precision = jnp.split(DenseNet(2 * self.latent)(x), 2, axis=-1)
        precision = 0.5 * jnp.exp(log_precision)
        return -0.5 * jax.vmap(jnp.diag)(precision), jnp.exp(log_precision) * location


class GlobalFactors(nn.Module):
    """The random part of the graphical model: ``M``, the sixth parameter of the original's root module."""

    latent: int
    states: int

    @nn.compact
    def __call__(self):
        for name in ("S", "loc", "lam", "nu", "St"):  # not random, but flax counts them
            self.param(name, lambda key: jnp.zeros(()))
        shape = self.states, self.latent, self.latent + 1
        return self.param("M", lambda key: nn.initializers.normal(stddev=0.2)(key, shape))


@in_full_precision
def notebook_model() -> tuple[SLDSPotentials, Float[Array, "transition state"]]:
    """Returns the potentials and the start (a draw of marginals), both in float64 whatever JAX's setting.

    The recognition potentials are computed in float32, as the original does, and then widened.
    """
    with jax.enable_x64(True), jax.threefry_partitionable(False):
        return jax.jit(_build)()  # one compilation instead of a hundred small ones


def _build() -> tuple[SLDSPotentials, Float[Array, "transition state"]]:
    initialise, inputs = jax.random.split(jax.random.PRNGKey(NOTEBOOK_SEED), 2)
    observed = jax.random.normal(inputs, (TIME, OBSERVED))
    (quadratic, linear), _ = Encoder(LATENT).init_with_output(initialise, observed)
    noise, _ = GlobalFactors(LATENT, STATES).init_with_output(initialise)
    recognition = RecognitionPotentials(quadratic.astype(jnp.float64), linear.astype(jnp.float64))
    return expected_potentials(recognition, *_factors(noise)), notebook_draw(TIME - 1, STATES)


def _factors(noise: Float[Array, "state latent input"]):
    identity = jnp.eye(LATENT)
    location = jnp.where(jnp.eye(LATENT, LATENT + 1, dtype=bool), 0.9, noise)
    first_step = NormalInverseWishart(
        scale=(LATENT + 1e-6) * identity,
        location=jnp.zeros(LATENT),
        strength=_stored(20.0),
        degrees=LATENT - 1 + _stored(3.0),
    )
    dynamics = MatrixNormalInverseWishart(
        scale=jnp.tile((LATENT + 1e-3) * identity, (STATES, 1, 1)),
        location=location,
        strength=jnp.tile((20 + 1e-3) * jnp.eye(LATENT + 1), (STATES, 1, 1)),
        degrees=jnp.full(STATES, LATENT + 2.0),
    )
    transition = jnp.where(jnp.eye(STATES, dtype=bool), 1.01, 0.91)
    return first_step, dynamics, jnp.full(STATES, 0.01 + _stored(1.0)), transition


def _stored(positive: float) -> Float[Array, ""]:
    """Returns a positive number as the original recalls it: kept unconstrained, as ``log(eˣ - 1)``, in float32."""
    unconstrained = jnp.asarray(math.log(math.expm1(positive)), jnp.float32)
    return jax.nn.softplus(unconstrained.astype(jnp.float64))
