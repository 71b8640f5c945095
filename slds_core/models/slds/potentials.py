"""The potentials of a switching linear dynamical system (SLDS): all that local inference sees of model and data."""

import math

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from slds_core.expfam import dirichlet, mniw, niw
from slds_core.one_by_one import one_by_one


class RecognitionPotentials(eqx.Module):
    """The encoder's Gaussian potentials ``exp(zᵀ quadratic z + linearᵀ z)``; zero where a step is missing."""

    quadratic: Float[Array, "time latent latent"]  # -½ R_t
    linear: Float[Array, "time latent"]  # r_t


class DynamicsPotentials(eqx.Module):
    """Expected log-density of a transition in each state, as coefficients of ``z_t`` and ``z_{t+1}``.

    The constant leaves out ``-½ latent log 2π``, which is the same in each state.
    """

    linear_current: Float[Array, "state latent"]  # of z_t, -E[Aᵀ Λ b]
    quadratic_current: Float[Array, "state latent latent"]  # of z_t z_tᵀ, -½ E[Aᵀ Λ A]
    cross: Float[Array, "state latent latent"]  # of z_t z_{t+1}ᵀ, E[Aᵀ Λ]
    quadratic_next: Float[Array, "state latent latent"]  # of z_{t+1} z_{t+1}ᵀ, -½ E[Λ]
    linear_next: Float[Array, "state latent"]  # of z_{t+1}, E[Λ b]
    constant: Float[Array, " state"]  # -½ E[bᵀ Λ b] + ½ E[log |Λ|]


class InitialPotentials(eqx.Module):
    """Expected log-density of the first step, ``-½ zᵀ precision z + linearᵀ z - normalizer``."""

    precision: Float[Array, "latent latent"]  # E[Λ]
    linear: Float[Array, " latent"]  # E[Λ μ]
    normalizer: Float[Array, ""]  # ½ latent log 2π + ½ E[μᵀ Λ μ] - ½ E[log |Λ|]


class DiscretePotentials(eqx.Module):
    """Expected log-probabilities of the discrete chain."""

    initial: Float[Array, " state"]
    transition: Float[Array, "state state"]  # from row to column


class SLDSPotentials(eqx.Module):
    """All potentials, in the grouping of the notebook's thirteen differentiated arrays."""

    recognition: RecognitionPotentials
    dynamics: DynamicsPotentials
    initial: InitialPotentials
    discrete: DiscretePotentials

    @property
    def time(self) -> int:
        """Number of time steps."""
        return self.recognition.linear.shape[-2]

    @property
    def latent(self) -> int:
        """Latent dimension."""
        return self.recognition.linear.shape[-1]

    @property
    def states(self) -> int:
        """Number of discrete states."""
        return self.discrete.initial.shape[-1]


def expected_potentials(
    recognition: RecognitionPotentials,
    first_step: niw.NormalInverseWishart,
    dynamics: mniw.MatrixNormalInverseWishart,
    initial_concentration: Float[Array, " state"],
    transition_concentration: Float[Array, "state state"],
) -> SLDSPotentials:
    """Returns the potentials that conjugate global factors give to local inference.

    Args:
        recognition: the encoder's potentials.
        first_step: the factor of the first step's mean and precision.
        dynamics: the factors of ``([A b], Λ)``, with a leading axis over states.
        initial_concentration, transition_concentration: of the Dirichlet factors.

    References:
        Johnson et al. (2016), "Composing graphical models with neural networks", §4; docs/theory.md, section "Model".
    """
    return linear_potentials(
        recognition,
        niw.expected_statistics(first_step),
        one_by_one(mniw.expected_statistics, dynamics),
        dirichlet.expected_log_probability(jnp.asarray(initial_concentration)),
        dirichlet.expected_log_probability(jnp.asarray(transition_concentration)),
    )


def linear_potentials(
    recognition: RecognitionPotentials,
    start: niw.NaturalParameters,
    moves: mniw.NaturalParameters,
    initial: Float[Array, " state"],
    transition: Float[Array, "state state"],
) -> SLDSPotentials:
    """Returns the potentials as what they are: linear in the expected sufficient statistics of the global factors, up to a constant.

    Args:
        recognition: the encoder's potentials.
        start: expected statistics of the first step's factor.
        moves: those of ``([A b], Λ)``, with a leading axis over states.
        initial, transition: expected log-probabilities.
    """
    latent = start.linear.shape[0]
    return SLDSPotentials(
        recognition=recognition,
        dynamics=DynamicsPotentials(
            linear_current=moves.quadratic[:, -1, :-1] + moves.quadratic[:, :-1, -1],
            quadratic_current=moves.quadratic[:, :-1, :-1],
            cross=moves.cross[:, :-1, :],
            quadratic_next=moves.precision,
            linear_next=moves.cross[:, -1, :],
            constant=moves.quadratic[:, -1, -1] + moves.log_determinant,
        ),
        initial=InitialPotentials(
            precision=-2 * start.precision,
            linear=start.linear,
            normalizer=0.5 * latent * math.log(2 * math.pi) - start.quadratic - start.log_determinant,
        ),
        discrete=DiscretePotentials(
            initial=initial,
            transition=transition,
        ),
    )
