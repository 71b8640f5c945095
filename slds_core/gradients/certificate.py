"""How wrong a gradient can be: a bound from residuals and two norms, for mean-field models.

With ``A = S F`` self-adjoint in the Fisher inner product and ``λ < 1`` its largest eigenvalue, an adjoint with residual
``r = u - (I - A) w`` has error ``‖w - w*‖_F ≤ ‖r‖_F / (1 - λ)``. One step of the fixed-point iteration on ``w``, which costs nothing since
``r`` is needed anyway, moves the error into the range of ``S``, where its effect on the gradient is bounded by the norm ``σ`` of
``B S F`` from the Fisher norm to the Euclidean one, ``B = (∂Φ/∂θ)ᵀ``; what the step itself changes is computed, not bounded:

    ‖gradient - gradient*‖ ≤ ‖B r‖ + σ ‖r‖_F / (1 - λ).

A state off the fixed point adds, to first order, what one more sweep changes in gradient and residual, summed as a geometric series.
``λ`` and ``σ`` are Lanczos estimates from below, enlarged by their own error bounds. docs/theory.md, section "Adjoint".
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PyTree

from slds_core.fixed_point.interface import FixedPoint, MeanField
from slds_core.fixed_point.lanczos import lanczos, random_direction
from slds_core.gradients.linearisation import linearise
from slds_core.gradients.result import Objective
from slds_core.trees import all_finite, inner, norm, size, subtract

_RATE_PRODUCTS = 40
_GAIN_PRODUCTS = 12
_MARGIN = 1.5  # on the sum, for what the Lanczos estimates and the first-order forward term leave out
_ROUNDING = 100  # units of rounding, amplified by 1/(1-λ), below which no difference can be told


class Certificate(eqx.Module):
    """A bound on the Euclidean distance from the true gradient, and what it is made of."""

    bound: Float[Array, ""]
    rate: Float[Array, ""]  # λ, the sweep's contraction rate
    adjoint_part: Float[Array, ""]  # from the adjoint's residual
    forward_part: Float[Array, ""]  # from the state's distance to the fixed point
    rounding_part: Float[Array, ""]


def certify(
    problem: FixedPoint, objective: Objective, parameters: PyTree, state: PyTree, adjoint: PyTree
) -> Certificate:
    """Returns a bound on the error of the gradient that ``adjoint`` gives at ``state``.

    Returns:
        The bound; infinite, as all its parts, where ``λ ≥ 1``, NaN where values are not finite, and for models that are no mean field,
        where nothing bounds the inverse.
    """
    value = jax.eval_shape(lambda: problem.elbo(problem.posterior(parameters, state)))
    if not isinstance(problem, MeanField):
        unknown = jnp.full((), jnp.nan, value.dtype)
        return Certificate(unknown, unknown, unknown, unknown, unknown)
    if size(state) == 0:  # nothing to solve for
        found = linearise(problem, objective, parameters, state)
        nothing = jnp.where(all_finite((found.value, found.explicit)), 0, jnp.nan).astype(value.dtype)
        return Certificate(nothing, nothing, nothing, nothing, nothing)

    system = linearise(problem, objective, parameters, state)
    assert system.response is not None
    respond = system.response

    def judge(point):
        local = linearise(problem, objective, parameters, point)
        pulled = local.pull(adjoint, 1.0)
        return pulled.parameters, subtract(pulled.state, adjoint)

    # the same at the state and one sweep on: mapped, so that it is compiled once
    points = jax.tree.map(lambda a, b: jnp.stack([a, b]), state, system.image)
    gradients, residuals = lax.map(judge, points)
    gradient, residual = (jax.tree.map(lambda x: x[0], tree) for tree in (gradients, residuals))
    gradient_drift, drift = (jax.tree.map(lambda x: x[1] - x[0], tree) for tree in (gradients, residuals))

    push_to_state = jax.linear_transpose(lambda direction: system.pull(direction).parameters, adjoint)

    def rate_product(direction):
        pulled = system.pull(direction)
        return pulled.state, pulled.message

    def gain_product(direction):  # S Bᵀ B S F, whose largest eigenvalue is σ²
        pulled = system.pull(direction)
        (moved,) = push_to_state(system.pull(pulled.state).parameters)
        return respond(moved), pulled.message

    start = random_direction(state)
    spectrum = lanczos(rate_product, start, steps=_RATE_PRODUCTS)
    rate = spectrum.eigenvalues[0] + spectrum.errors[0]
    gains = lanczos(gain_product, start, steps=_GAIN_PRODUCTS)
    gain = jnp.sqrt(jnp.maximum(gains.eigenvalues[0] + gains.errors[0], 0))

    def effect(residual):  # most that a residual of the adjoint can change the gradient by
        pulled = system.pull(residual)
        in_fisher_norm = jnp.sqrt(jnp.maximum(inner(residual, pulled.message), 0))
        return norm(pulled.parameters) + gain * in_fisher_norm * amplification

    # an infinite amplification would make NaN of what is zero: an exact residual, or an exact fixed point
    unbounded = rate >= 1
    amplification = 1 / jnp.where(unbounded, 1, 1 - rate)
    both = jax.tree.map(lambda a, b: jnp.stack([a, b]), residual, drift)
    adjoint_part, drift_part = lax.map(effect, both)
    forward_part = (norm(gradient_drift) + drift_part) * amplification
    rounding_part = _ROUNDING * jnp.finfo(value.dtype).eps * norm(gradient) * amplification
    parts = [jnp.where(unbounded, jnp.inf, part) for part in (adjoint_part, forward_part, rounding_part)]
    bound = jnp.where(all_finite((gradient, residual, rate)), _MARGIN * sum(parts), jnp.nan)
    return Certificate(bound, rate, *parts)
