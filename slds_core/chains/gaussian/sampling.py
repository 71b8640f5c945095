"""Draws of whole paths from a Gaussian chain, backwards from its last step.

    z_t = c_t + G_t z_{t+1} + L_t ε_t,      L_t L_tᵀ = V_t,      ε_t ~ N(0, I),

with the conditionals ``z_t | z_{t+1} ~ N(c_t + G_t z_{t+1}, V_t)`` that smoothing leaves. A draw is a smooth function of the natural
parameters (it is reparameterised), and may be differentiated.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from slds_core.chains.backend import Backend, choose, promote
from slds_core.chains.gaussian.chain import BACKENDS, check_shapes
from slds_core.chains.gaussian.types import GaussianPotentials
from slds_core.full_precision import in_full_precision


@in_full_precision
def sample(
    key: Key[Array, ""], potentials: GaussianPotentials, *, draws: int = 1, backend: Backend | None = None
) -> Float[Array, "draw time latent"]:
    """Returns independent draws of a Gaussian chain's path.

    Args:
        key: JAX's random key.
        potentials, backend: as for ``smooth``. The same key gives the same paths by every back end, to rounding.
        draws: how many.

    Returns:
        The paths, NaN where the precision is not positive definite.

    Raises:
        ValueError: as for ``smooth``, or ``draws`` is below one.

    References:
        Frühwirth-Schnatter (1994), "Data augmentation and dynamic linear models" (forward filtering, backward sampling).
    """
    check_shapes(potentials)
    if draws < 1:
        raise ValueError(f"draws: expected at least 1, found {draws}")
    potentials = promote(potentials)
    chosen = BACKENDS[choose(backend, BACKENDS, potentials.linear.dtype)]
    _, _, residuals = chosen.linearise(potentials)
    time, latent = potentials.linear.shape
    noise = jax.random.normal(key, (time, draws, latent), potentials.linear.dtype)
    return jnp.moveaxis(chosen.sample(residuals, noise), 1, 0)
