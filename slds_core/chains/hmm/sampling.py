"""Draws of whole paths from a hidden Markov model, backwards from its last step: from ``P(k_t | k_{t+1}, o_0 … o_t)``."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from slds_core.chains.backend import Backend, choose, promote
from slds_core.chains.hmm.chain import BACKENDS, check_shapes
from slds_core.chains.hmm.types import HMMPotentials


def sample(
    key: Key[Array, ""], potentials: HMMPotentials, *, draws: int = 1, backend: Backend | None = None
) -> Int[Array, "draw time"]:
    """Returns independent draws of a hidden Markov model's path.

    Args:
        key: JAX's random key.
        potentials, backend: as for ``smooth``. The same key gives the same paths by every back end, but where a uniform number is
            within rounding of a boundary between two states.
        draws: how many.

    Returns:
        The states; -1 throughout where no path is possible, or a log-potential is NaN.

    Raises:
        ValueError: as for ``smooth``, or ``draws`` is below one.

    References:
        Scott (2002), "Bayesian methods for hidden Markov models", §2.2 (forward filtering, backward sampling).
    """
    check_shapes(potentials)
    if draws < 1:
        raise ValueError(f"draws: expected at least 1, found {draws}")
    potentials = promote(potentials)
    chosen = BACKENDS[choose(backend, BACKENDS, potentials.unary.dtype)]
    time = potentials.unary.shape[0]
    if time == 0:
        return jnp.zeros((draws, 0), jnp.int32)
    _, _, residuals = chosen.linearise(potentials)
    uniforms = jax.random.uniform(key, (time, draws), potentials.unary.dtype)
    return chosen.sample(residuals, uniforms).T
