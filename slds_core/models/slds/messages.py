"""The mean-field messages between the two chains: one tensor of dynamics potentials ``M``, used both ways."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from slds_core.chains.gaussian import GaussianPotentials, GaussianStatistics
from slds_core.models.slds.potentials import DynamicsPotentials, SLDSPotentials


def to_gaussian(potentials: SLDSPotentials, marginals: Float[Array, "transition state"]) -> GaussianPotentials:
    """Returns the Gaussian chain's natural parameters ``recognition + first step + Mᵀ μ_c``, given the states' marginals."""
    dynamics, recognition = potentials.dynamics, potentials.recognition

    def expected(per_state):
        return jnp.tensordot(marginals, per_state, axes=1)

    quadratic = recognition.quadratic.at[0].add(-0.5 * potentials.initial.precision)
    linear = recognition.linear.at[0].add(potentials.initial.linear)
    return GaussianPotentials(
        quadratic=quadratic.at[:-1]
        .add(expected(dynamics.quadratic_current))
        .at[1:]
        .add(expected(dynamics.quadratic_next)),
        cross=expected(dynamics.cross),
        linear=linear.at[:-1].add(expected(dynamics.linear_current)).at[1:].add(expected(dynamics.linear_next)),
    )


def to_discrete(dynamics: DynamicsPotentials, statistics: GaussianStatistics) -> Float[Array, "transition state"]:
    """Returns the unary log-potentials ``o = M μ_g`` (nats): each state's expected log-density of each transition."""
    second, mean = statistics.second_moment, statistics.mean

    def score(per_state, expected):
        axes = tuple(range(1, per_state.ndim))
        return jnp.tensordot(expected, per_state, axes=(axes, axes))

    return (
        score(dynamics.linear_current, mean[:-1])
        + score(dynamics.quadratic_current, second[:-1])
        + score(dynamics.cross, statistics.cross_moment)
        + score(dynamics.quadratic_next, second[1:])
        + score(dynamics.linear_next, mean[1:])
        + dynamics.constant[None]
    )
