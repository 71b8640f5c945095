"""Random switching linear dynamical systems of a chosen difficulty, with data drawn from them."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from slds_core.expfam.mniw import MatrixNormalInverseWishart
from slds_core.expfam.niw import NormalInverseWishart
from slds_core.models.slds.potentials import RecognitionPotentials, SLDSPotentials, expected_potentials


def random_slds(
    *,
    time: int,
    latent: int,
    states: int,
    observation_precision: float = 1.0,
    stickiness: float = 0.5,
    spread: float = 0.2,
    missing_start: int = 0,
    missing_length: int = 0,
    seed: int = 0,
) -> tuple[SLDSPotentials, Float[Array, "transition state"]]:
    """Returns the potentials of a random SLDS observed with noise, and a random start, in float64 whatever JAX's setting.

    The global factors are about as vague as at the start of training, which is where the two blocks are coupled most strongly.

    Args:
        time, latent, states: sizes.
        observation_precision: of the recognition potentials.
        stickiness: probability of staying in a state.
        spread: standard deviation of the states' ``[A_k b_k]`` around the common ``[0.9 I, 0]``; the less, the harder the states
            are told apart.
        missing_start, missing_length: a block of steps without observation.
        seed: of NumPy's generator, so that a problem is the same on every platform and in every precision.
    """
    generator = np.random.default_rng(seed)
    common = 0.9 * np.eye(latent, latent + 1)
    coefficients = common + spread * generator.standard_normal((states, latent, latent + 1))

    z = np.zeros((time, latent))
    z[0] = generator.standard_normal(latent)
    k = generator.integers(states)
    for t in range(time - 1):
        # squashed, since a random transition matrix may be unstable
        z[t + 1] = 3 * np.tanh(coefficients[k] @ np.append(z[t], 1.0) / 3) + generator.standard_normal(latent)
        if generator.random() > stickiness:
            k = generator.integers(states)

    precision = np.full(time, observation_precision)
    precision[missing_start : missing_start + missing_length] = 0.0
    observed = z + generator.standard_normal(z.shape) / np.sqrt(observation_precision)
    degrees = latent + 2.0
    leave = (1 - stickiness) / max(states - 1, 1)
    concentration = 0.5 + 5.0 * states * np.where(np.eye(states, dtype=bool), stickiness, leave)
    with jax.enable_x64(True):
        recognition = RecognitionPotentials(
            quadratic=jnp.asarray(-0.5 * precision[:, None, None] * np.eye(latent)),
            linear=jnp.asarray(precision[:, None] * observed),
        )
        first_step = NormalInverseWishart(
            scale=jnp.asarray(latent * np.eye(latent)),
            location=jnp.zeros(latent),
            strength=jnp.asarray(20.0),
            degrees=jnp.asarray(degrees),
        )
        dynamics = MatrixNormalInverseWishart(
            scale=jnp.tile(latent * jnp.eye(latent), (states, 1, 1)),
            location=jnp.asarray(coefficients),
            strength=jnp.tile(20.0 * jnp.eye(latent + 1), (states, 1, 1)),
            degrees=jnp.full(states, degrees),
        )
        potentials = expected_potentials(
            recognition, first_step, dynamics, jnp.ones(states), jnp.asarray(concentration)
        )
        return potentials, jnp.asarray(generator.dirichlet(np.ones(states), time - 1))
