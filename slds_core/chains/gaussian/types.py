"""Natural parameters and expected statistics of a Gaussian chain."""

import equinox as eqx
from jaxtyping import Array, Float


class GaussianPotentials(eqx.Module):
    """Natural parameters: coefficients of the sufficient statistics in the log-density."""

    quadratic: Float[Array, "time latent latent"]  # of z_t z_tᵀ; minus half a precision
    cross: Float[Array, "transition latent latent"]  # of z_t z_{t+1}ᵀ; transition = time - 1
    linear: Float[Array, "time latent"]  # of z_t


class GaussianStatistics(eqx.Module):
    """Expected sufficient statistics, in the order of the natural parameters."""

    second_moment: Float[Array, "time latent latent"]  # E[z_t z_tᵀ]
    cross_moment: Float[Array, "transition latent latent"]  # E[z_t z_{t+1}ᵀ]
    mean: Float[Array, "time latent"]  # E[z_t]

    @property
    def covariance(self) -> Float[Array, "time latent latent"]:
        """``Cov[z_t]``, a difference: it is off by up to ``ε · mean²``, so centre data that lie many standard deviations from zero."""
        return self.second_moment - self.mean[:, :, None] * self.mean[:, None, :]


class GaussianResiduals(eqx.Module):
    """What the Fisher product needs of a finished smoothing: the conditionals ``z_t | z_{t+1}`` and the marginals.

    ``z_t | z_{t+1} ~ N(offset_t + gain_t z_{t+1}, conditional_t)``; at the last step the gain is zero.
    """

    gain: Float[Array, "time latent latent"]
    conditional: Float[Array, "time latent latent"]
    offset: Float[Array, "time latent"]
    mean: Float[Array, "time latent"]
    covariance: Float[Array, "time latent latent"]
