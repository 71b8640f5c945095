"""The mixture's parameters, state and posterior."""

import equinox as eqx
from jaxtyping import Array, Float


class Recognition(eqx.Module):
    """The encoder's Gaussian potentials ``exp(xᵀ quadratic x + linearᵀ x)``; zero where a point is missing."""

    quadratic: Float[Array, "observation latent latent"]  # -½ R_n
    linear: Float[Array, "observation latent"]  # r_n


class Prior(eqx.Module):
    """The components' prior."""

    concentration: Float[Array, " component"]  # α > 0
    center: Float[Array, "component latent"]  # m
    strength: Float[Array, " component"]  # κ > 0, how many points it counts for


class MixtureParameters(eqx.Module):
    """All that inference sees of model and data; all of it may be differentiated."""

    recognition: Recognition
    prior: Prior
    precision: Float[Array, "latent latent"]  # Λ, within each component; its symmetric part counts


class PerComponent(eqx.Module):
    """A number and a vector for each component: the state (number and sum of points), or the message (their log-potentials, nats)."""

    number: Float[Array, " component"]
    vector: Float[Array, "component latent"]


class Components(eqx.Module):
    """Expected statistics of ``q(π, μ)``."""

    log_probability: Float[Array, " component"]  # E[log π], nats
    energy: Float[Array, " component"]  # -½ E[μᵀ Λ μ], nats
    center: Float[Array, "component latent"]  # E[μ]


class Assignments(eqx.Module):
    """Expected statistics of ``q(z, x)``."""

    responsibility: Float[Array, "observation component"]  # P(z_n)
    mean: Float[Array, "observation latent"]  # E[x_n]
    second_moment: Float[Array, "observation latent latent"]  # E[x_n x_nᵀ]


class MixtureStatistics(eqx.Module):
    """Expected statistics of both blocks."""

    assignments: Assignments
    components: Components
    totals: PerComponent


class MixturePosterior(eqx.Module):
    """What one sweep computes: ``q(π, μ)`` given the old totals, and the new ``q(z, x)`` given that."""

    components: Components
    message: PerComponent  # nats
    assignments: Assignments
    totals: PerComponent
    elbo: Float[Array, ""]  # nats
    kl: Float[Array, ""]  # KL(q ‖ p(π, μ, z, x)), the recognition potentials left out, nats
    kl_notebook: Float[Array, ""]  # the same with the message at the new totals, nats
