"""Mean-field inference in a Bayesian mixture of Gaussians, as a fixed point.

    π ~ Dirichlet(α),    μ_k ~ N(m_k, (κ_k Λ)⁻¹),    z_n ~ π,    x_n | z_n ~ N(μ_{z_n}, Λ⁻¹)

Points ``x_n`` are latent; an encoder sees them through recognition potentials ``ψ_n(x) = exp(-½ xᵀ R_n x + r_nᵀ x)``. The posterior is
approximated by ``q(π, μ) q(z, x)``. All that either side must know of the other are, for each component,

    the state     s = Σ_n E[1{z_n=k} (1, x_n)]                                     (expected number and sum of its points)
    the message   o = E[(log π_k - ½ μ_kᵀ Λ μ_k,  Λ μ_k)]                          (nats for each point, and for each unit of it)

since the log joint couples both sides through ``⟨s, o⟩`` alone. ``o`` is the gradient of the log-partition of ``q(π, μ)`` in ``s``, and
``s`` that of ``q(z, x)`` in ``o``: both Jacobians are covariances, symmetric and positive semidefinite.

References:
    Bishop (2006), "Pattern Recognition and Machine Learning", §10.2; Johnson et al. (2016), "Composing graphical models with neural
    networks for structured representations and fast inference", §4.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, Float

from slds_core.expfam import dirichlet
from slds_core.fixed_point import Block, MeanField
from slds_gaussian_mixture import fields
from slds_gaussian_mixture.types import (
    Assignments,
    Components,
    MixtureParameters,
    MixturePosterior,
    MixtureStatistics,
    PerComponent,
)


class _PointsBlock(NamedTuple):
    """Statistics of ``q(z, x)``: what the components need, and what an objective may."""

    assignments: Assignments
    totals: PerComponent


class Mixture(MeanField[MixtureParameters, PerComponent, MixturePosterior]):
    """Mean field in the mixture. The state is the expected number and sum of each component's points."""

    def first_block(self, parameters: MixtureParameters, state: PerComponent) -> Block:
        """Returns ``q(π, μ)``: a Dirichlet, and a Gaussian for each mean."""
        prior, precision = parameters.prior, _symmetric(parameters.precision)
        strength = prior.strength + state.number
        center = (prior.strength[:, None] * prior.center + state.vector) / strength[:, None]
        latent = center.shape[-1]
        concentration = prior.concentration + state.number
        gained = strength * _energy(center, precision) - prior.strength * _energy(prior.center, precision)
        log_partition = (
            dirichlet.log_partition(concentration)
            - dirichlet.log_partition(prior.concentration)
            + 0.5 * latent * jnp.sum(jnp.log(prior.strength) - jnp.log(strength))
            + jnp.sum(gained)
        )
        statistics = Components(
            log_probability=dirichlet.expected_log_probability(concentration),
            energy=-_energy(center, precision) - 0.5 * latent / strength,
            center=center,
        )
        return Block(log_partition, statistics)

    def message(self, parameters: MixtureParameters, statistics: Components) -> PerComponent:
        precision = _symmetric(parameters.precision)
        return PerComponent(statistics.log_probability + statistics.energy, statistics.center @ precision)

    def second_block(self, parameters: MixtureParameters, message: PerComponent) -> Block:
        """Returns ``q(z, x)``: responsibilities, and for each component a Gaussian over the point."""
        precision, recognition = _symmetric(parameters.precision), parameters.recognition
        root = jnp.linalg.cholesky(precision - 2 * _symmetric(recognition.quadratic))
        linear = recognition.linear[:, None, :] + message.vector
        mean = jax.vmap(lambda half, rows: cho_solve((half, True), rows.T).T)(root, linear)
        covariance = jax.vmap(lambda half: cho_solve((half, True), jnp.eye(half.shape[0], dtype=half.dtype)))(root)
        # log ∫ ψ_n(x) N(x; μ_k, Λ⁻¹) dx in expectation; powers of 2π cancel
        volume = 0.5 * jnp.linalg.slogdet(precision)[1] - _half_log_determinant(root)
        evidence = message.number + 0.5 * jnp.sum(linear * mean, -1) + volume[:, None]
        responsibility = jax.nn.softmax(evidence, axis=-1)
        point = jnp.einsum("nk,nkd->nd", responsibility, mean)
        spread = jnp.einsum("nk,nkd,nke->nde", responsibility, mean, mean)
        totals = PerComponent(jnp.sum(responsibility, 0), jnp.einsum("nk,nkd->kd", responsibility, mean))
        statistics = _PointsBlock(Assignments(responsibility, point, covariance + spread), totals)
        return Block(jnp.sum(jax.nn.logsumexp(evidence, axis=-1)), statistics)

    def second_state(self, statistics: Any) -> PerComponent:
        return statistics.totals

    def combine(self, parameters: MixtureParameters, state, first: Block, message, second: Block) -> MixturePosterior:
        """Returns both blocks with their bounds.

        Each factor is the best one when it is made, so entropies and energies collapse into log-partitions; what couples them, ``⟨s, o⟩``,
        is in both: paid once too often.
        """
        bound = first.log_partition + second.log_partition - _inner(message, state)
        recognition, assignments = parameters.recognition, second.statistics.assignments
        evidence = jnp.vdot(recognition.quadratic, assignments.second_moment) + jnp.vdot(
            recognition.linear, assignments.mean
        )
        moved = jax.tree.map(jnp.subtract, second.statistics.totals, state)
        return MixturePosterior(
            components=first.statistics,
            message=message,
            assignments=assignments,
            totals=second.statistics.totals,
            elbo=bound,
            kl=evidence - bound,
            kl_notebook=evidence - bound + _inner(message, moved),
        )

    def parts(self, posterior: MixturePosterior) -> tuple[Components, PerComponent]:
        return posterior.components, posterior.message

    def with_state(self, posterior: MixturePosterior, state: PerComponent) -> MixturePosterior:
        return eqx.tree_at(lambda p: p.totals, posterior, state)

    def state(self, posterior: MixturePosterior) -> PerComponent:
        return posterior.totals

    def elbo(self, posterior: MixturePosterior) -> Float[Array, ""]:
        return posterior.elbo

    def monitors(self, posterior: MixturePosterior) -> dict[str, Float[Array, ""]]:
        # the second is the original's own stopping rule, by which its estimators work here too
        return {"kl": posterior.kl, "kl_notebook": posterior.kl_notebook}

    def statistics(self, posterior: MixturePosterior) -> MixtureStatistics:
        return MixtureStatistics(posterior.assignments, posterior.components, posterior.totals)

    def parameter_fields(self) -> MixtureParameters:
        return fields.PARAMETERS

    def state_fields(self) -> PerComponent:
        return fields.TOTALS

    def statistics_fields(self) -> MixtureStatistics:
        return fields.STATISTICS


def _energy(center: Float[Array, "component latent"], precision: Float[Array, "latent latent"]) -> Any:
    """Returns ``½ mᵀ Λ m`` of each row."""
    return 0.5 * jnp.einsum("kd,de,ke->k", center, precision, center)


def _half_log_determinant(root: Float[Array, "*batch latent latent"]) -> Float[Array, "*batch"]:
    return jnp.sum(jnp.log(jnp.diagonal(root, axis1=-2, axis2=-1)), -1)


def _symmetric(matrix: Float[Array, "*batch latent latent"]) -> Float[Array, "*batch latent latent"]:
    return 0.5 * (matrix + jnp.swapaxes(matrix, -1, -2))


def _inner(a: PerComponent, b: PerComponent) -> Float[Array, ""]:
    return jnp.vdot(a.number, b.number) + jnp.vdot(a.vector, b.vector)
