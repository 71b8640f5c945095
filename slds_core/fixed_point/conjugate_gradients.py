"""Conjugate gradients in the Fisher inner product, shared by the adjoint and by Newton's method."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PyTree

from slds_core.trees import add_scaled, inner, norm, subtract, zeros_like


class CGResult(eqx.Module):
    """Where conjugate gradients stopped, and why."""

    solution: PyTree
    residual: PyTree  # u - (I - S F) y, by its recursion
    products: Int[Array, ""]  # applications of S F
    positive: Bool[Array, ""]  # whether every direction had positive curvature
    exhausted: Bool[Array, ""]  # whether the products ran out first


def fisher_conjugate_gradients(
    response: Callable[[Any], Any],
    fisher: Callable[[Any], Any],
    right_hand_side: PyTree,
    *,
    tolerance: Float[Array, ""] | float,
    max_products: Int[Array, ""] | int,
) -> CGResult:
    """Solves ``(I - S F) y = u``, self-adjoint in ``⟨x, y⟩_F = xᵀ F y``, and positive definite at a strict local maximum.

    One application of ``F`` and one of ``S`` an iteration: ``F r`` and ``F p`` follow their own recursions.

    Args:
        response, fisher: ``x ↦ S x`` and ``x ↦ F x``, linear and symmetric.
        right_hand_side: ``u``.
        tolerance: residual in the Fisher norm, relative to that of ``u``, at which to stop.
        max_products: most applications of ``S F``.

    Returns:
        The solution so far where a direction of non-positive curvature is met, or the products run out.

    References:
        Hestenes and Stiefel (1952), with the inner product of the Fisher metric; docs/theory.md, section "Adjoint".
    """
    image = fisher(right_hand_side)
    first = inner(right_hand_side, image)

    def unfinished(carry):
        *_, squared, products, alive, _ = carry
        return (squared > tolerance**2 * first) & (products < max_products) & alive

    def step(carry):
        y, residual, fisher_residual, direction, fisher_direction, squared, products, _, _ = carry
        bent = response(fisher_direction)
        operated = subtract(direction, bent)
        fisher_operated = subtract(fisher_direction, fisher(bent))
        curvature = inner(direction, fisher_operated)
        alive = curvature > 0
        # The recursions of F r and F p keep the rounding of their first values, which in the end can turn a curvature
        # negative: that ends the iteration, but proves nothing.
        rounding = 100 * jnp.finfo(curvature.dtype).eps * norm(direction) * norm(image)
        length = jnp.where(alive, squared / jnp.where(alive, curvature, 1), 0)
        y = add_scaled(y, length, direction)
        residual = add_scaled(residual, -length, operated)
        fisher_residual = add_scaled(fisher_residual, -length, fisher_operated)
        # the recursions' product can turn negative by rounding alone, when nothing is left to gain
        next_squared = jnp.maximum(inner(residual, fisher_residual), 0)
        ratio = next_squared / squared
        direction = add_scaled(residual, ratio, direction)
        fisher_direction = add_scaled(fisher_residual, ratio, fisher_direction)
        return (
            y,
            residual,
            fisher_residual,
            direction,
            fisher_direction,
            next_squared,
            products + 1,
            alive,
            curvature >= -rounding,
        )

    start = (
        zeros_like(right_hand_side),
        right_hand_side,
        image,
        right_hand_side,
        image,
        first,
        jnp.array(0),
        first > 0,
        first >= 0,
    )
    y, residual, *_, squared, products, alive, positive = lax.while_loop(unfinished, step, start)
    return CGResult(y, residual, products, positive, (squared > tolerance**2 * first) & alive)
