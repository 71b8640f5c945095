"""Exact inference in a Gaussian Markov chain, in canonical (information) form.

    p(z) ∝ exp( Σ_t z_tᵀ Q_t z_t + Σ_t z_tᵀ C_t z_{t+1} + Σ_t h_tᵀ z_t )

is an exponential family with natural parameters ``(Q, C, h)`` and sufficient statistics ``z_t z_tᵀ``, ``z_t z_{t+1}ᵀ`` and
``z_t``. Its precision is block tridiagonal with blocks ``-(Q_t + Q_tᵀ)`` on and ``-C_t`` beside the diagonal. The gradient
of the log-partition is the expected statistics; their derivative is the Fisher information matrix, symmetric and
positive semidefinite. ``smooth`` carries these facts as its derivative rule, whatever back end computes it.
"""

from types import ModuleType

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from slds_core.chains.backend import Backend, choose, promote
from slds_core.chains.exponential_family import kernels_of, smooth_with_fisher_rule
from slds_core.chains.gaussian import associative, native, scan
from slds_core.chains.gaussian.types import GaussianPotentials, GaussianStatistics

BACKENDS: dict[str, ModuleType] = {"native": native, "scan": scan, "associative": associative}


class GaussianPosterior(eqx.Module):
    """What exact inference in a Gaussian chain yields."""

    log_partition: Float[Array, "*chain"]  # nats
    statistics: GaussianStatistics


def smooth(potentials: GaussianPotentials, *, backend: Backend | None = None) -> GaussianPosterior:
    """Returns the log-partition and the expected statistics of a Gaussian chain.

    Args:
        potentials: natural parameters over ``time ≥ 1`` steps. Only the symmetric part of ``quadratic`` matters.
        backend: ``"native"`` (sequential in time, compiled C++), ``"scan"`` (sequential in time), ``"associative"`` (parallel in
            time), or ``None`` to choose by platform and availability.

    Returns:
        The log-partition (nats) and the expected statistics, NaN where the precision is not positive definite.

    Raises:
        ValueError: shapes do not fit each other, there is no time step, or the back end is unknown or not available.

    References:
        Koller and Friedman (2009), §14.2 (canonical forms); Wainwright and Jordan (2008), Proposition 3.1 (derivatives of
        the log-partition). docs/theory.md, section "Gaussian chain".
    """
    check_shapes(potentials)
    potentials = promote(potentials)
    kernels = kernels_of(BACKENDS[choose(backend, BACKENDS, potentials.linear.dtype)], inner)
    return GaussianPosterior(*smooth_with_fisher_rule(kernels, potentials))


def homogeneous(
    quadratic: Float[Array, "time latent latent"],
    linear: Float[Array, "time latent"],
    *,
    quadratic_current: Float[Array, "latent latent"],
    cross: Float[Array, "latent latent"],
    quadratic_next: Float[Array, "latent latent"],
    linear_current: Float[Array, " latent"],
    linear_next: Float[Array, " latent"],
) -> GaussianPotentials:
    """Returns the natural parameters of a chain whose transition potential is the same at every step.

    Args:
        quadratic, linear: node potentials, of ``z_t z_tᵀ`` and ``z_t``.
        quadratic_current, cross, quadratic_next, linear_current, linear_next: the transition's potentials of ``z_t z_tᵀ``,
            ``z_t z_{t+1}ᵀ``, ``z_{t+1} z_{t+1}ᵀ``, ``z_t`` and ``z_{t+1}``. Their gradients sum over time.

    Raises:
        ValueError: shapes do not fit each other, or there is no time step.
    """
    time, latent = _sizes(linear)
    for name, array, expected in (
        ("quadratic", quadratic, (time, latent, latent)),
        ("quadratic_current", quadratic_current, (latent, latent)),
        ("cross", cross, (latent, latent)),
        ("quadratic_next", quadratic_next, (latent, latent)),
        ("linear_current", linear_current, (latent,)),
        ("linear_next", linear_next, (latent,)),
    ):
        _require_shape(name, array, expected, jnp.shape(linear))
    quadratic, linear, quadratic_current, cross, quadratic_next, linear_current, linear_next = promote(
        (quadratic, linear, quadratic_current, cross, quadratic_next, linear_current, linear_next)
    )
    return GaussianPotentials(
        quadratic=quadratic.at[:-1].add(quadratic_current).at[1:].add(quadratic_next),
        cross=jnp.broadcast_to(cross, (time - 1, latent, latent)),
        linear=linear.at[:-1].add(linear_current).at[1:].add(linear_next),
    )


def inner(potentials: GaussianPotentials, statistics: GaussianStatistics) -> Float[Array, ""]:
    """Returns ``⟨η, μ⟩``, the inner product of natural parameters with expected statistics (nats)."""
    return (
        jnp.vdot(potentials.quadratic, statistics.second_moment)
        + jnp.vdot(potentials.cross, statistics.cross_moment)
        + jnp.vdot(potentials.linear, statistics.mean)
    )


def check_shapes(potentials: GaussianPotentials) -> None:
    """Raises where shapes do not fit each other, or there is no time step.

    Raises:
        ValueError: names the array, what was expected and what was found.
    """
    time, latent = _sizes(potentials.linear)
    shape = jnp.shape(potentials.linear)
    _require_shape("quadratic", potentials.quadratic, (time, latent, latent), shape)
    _require_shape("cross", potentials.cross, (time - 1, latent, latent), shape)


def _sizes(linear: Array) -> tuple[int, int]:
    """Returns how many steps and latent dimensions there are."""
    shape = jnp.shape(linear)
    if len(shape) != 2 or min(shape) < 1:
        raise ValueError(f"linear: expected shape (time ≥ 1, latent ≥ 1), found {shape}")
    return shape


def _require_shape(name: str, array: Array, expected: tuple[int, ...], linear: tuple[int, ...]) -> None:
    if jnp.shape(array) != expected:
        raise ValueError(f"{name}: expected shape {expected} for linear of shape {linear}, found {jnp.shape(array)}")
