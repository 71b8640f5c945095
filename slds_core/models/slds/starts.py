"""States at which inference in an SLDS may start: the discrete chain's marginals before the first sweep."""

import jax
import jax.numpy as jnp
import numpy as np

_NOTEBOOK_SEED = 47
_NOTEBOOK_CONCENTRATION = 0.1


def uniform_start(transitions: int, states: int) -> np.ndarray:
    """Returns equal probabilities (transition, state). The first sweep then sees the states' average dynamics."""
    return np.full((transitions, states), 1 / states)


def notebook_start(transitions: int, states: int) -> np.ndarray:
    """Returns the notebook's start (transition, state), which it draws anew from ``PRNGKey(47)`` each time.

    JAX's default generator has changed since: the draw needs non-partitionable threefry.
    """
    with jax.enable_x64(True), jax.threefry_partitionable(False):
        key = jax.random.PRNGKey(_NOTEBOOK_SEED)
        concentration = jnp.full(states, _NOTEBOOK_CONCENTRATION)
        return np.asarray(jax.jit(jax.random.dirichlet, static_argnums=2)(key, concentration, (transitions,)))
