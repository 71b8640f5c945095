"""States at which inference in an SLDS may start: the discrete chain's marginals before the first sweep."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

NOTEBOOK_SEED = 47
_NOTEBOOK_CONCENTRATION = 0.1


def uniform_start(transitions: int, states: int) -> np.ndarray:
    """Returns equal probabilities (transition, state). The first sweep then sees the states' average dynamics."""
    return np.full((transitions, states), 1 / states)


def notebook_start(transitions: int, states: int) -> np.ndarray:
    """Returns the notebook's start (transition, state), in float64 whatever JAX's setting."""
    with jax.enable_x64(True), jax.threefry_partitionable(False):
        return np.asarray(jax.jit(notebook_draw, static_argnums=(0, 1))(transitions, states))


def notebook_draw(transitions: int, states: int) -> Float[Array, "transition state"]:
    """Returns what the notebook draws anew from ``PRNGKey(47)`` each time, for use inside a larger program.

    JAX's default generator has changed since: the draw is the notebook's in double precision and with non-partitionable threefry.
    """
    concentration = jnp.full(states, _NOTEBOOK_CONCENTRATION)
    return jax.random.dirichlet(jax.random.PRNGKey(NOTEBOOK_SEED), concentration, (transitions,))
