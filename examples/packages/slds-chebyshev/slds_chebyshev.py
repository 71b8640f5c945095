"""Implicit gradients by Chebyshev's semi-iteration: no inner products once the spectrum is bounded.

The adjoint system of a mean-field fixed point is ``(I - A) w = u`` with ``A = S F``, whose eigenvalues are real and lie in ``[0, λ]``. On
an operator with its spectrum in ``[1 - λ, 1]``, Chebyshev's polynomials shrink the residual by ``(1 - √(1-λ)) / (1 + √(1-λ))`` a product
in the end, as conjugate gradients do, where Richardson's iteration shrinks it by ``λ``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from slds_core.plugins import Declined, GradientPlugin

if TYPE_CHECKING:
    from slds_core.gradients import AdjointSystem, Gradient, Objective, Solution


class Chebyshev(GradientPlugin):
    """Implicit gradient at a fixed point, the adjoint iterated by Chebyshev's polynomials on bounds from Lanczos' method."""

    tolerance: float = Field(1e-10, gt=0, description="relative residual of the adjoint system at which to stop")
    max_products: int = Field(1000, ge=2, description="most products with the sweep's Jacobian, Lanczos' own included")
    lanczos_products: int = Field(20, ge=1, le=200, description="products spent on the bound of the spectrum")
    forward_tolerance: float = Field(
        1e-8, gt=0, description="largest change of the state in one more sweep at which it counts as a fixed point"
    )

    def estimate(self, problem: Any, objective: Objective, parameters: Any, state: Any) -> Gradient:
        from slds_core.fixed_point import MeanField
        from slds_core.gradients import implicit_gradient

        if not isinstance(problem, MeanField):
            raise Declined(f"Chebyshev needs the real spectrum of a mean field, found {type(problem).__name__}")

        def solve(system: AdjointSystem) -> Solution:
            return solve_chebyshev(
                system,
                tolerance=self.tolerance,
                max_products=self.max_products,
                lanczos_products=self.lanczos_products,
            )

        return implicit_gradient(
            problem,
            objective,
            parameters,
            state,
            solve,
            tolerance=self.tolerance,
            forward_tolerance=self.forward_tolerance,
        )


def solve_chebyshev(system: AdjointSystem, *, tolerance: float, max_products: int, lanczos_products: int) -> Solution:
    """Returns the solution of ``(I - A) w = u`` by Chebyshev's semi-iteration.

    Args:
        system: the adjoint system of a mean-field model.
        tolerance: residual at which to stop, relative to ``u``.
        max_products: most products with ``A``.
        lanczos_products: of these, most that the bound on its spectrum may take.

    References:
        Golub and Varga (1961), "Chebyshev semi-iterative methods"; Saad (2003), "Iterative methods for sparse linear systems",
        algorithm 12.1.
    """
    import jax.numpy as jnp
    from jax import lax

    from slds_core.fixed_point.lanczos import lanczos, random_direction
    from slds_core.gradients import solution
    from slds_core.trees import add, add_scaled, norm, scale, subtract, zeros_like

    def product(direction):  # A v, self-adjoint in ⟨a, F b⟩, and F v
        pulled = system.pull(direction)
        return pulled.state, pulled.message

    # it takes one product more than it has steps
    steps = min(lanczos_products, max_products - 1)
    spectrum = lanczos(product, random_direction(system.right_hand_side), steps=steps)
    rate = spectrum.eigenvalues[0] + spectrum.errors[0]
    definite = rate < 1

    centre = 1 - rate / 2
    half_width = jnp.maximum(rate / 2, jnp.finfo(rate.dtype).eps)
    ratio = centre / half_width
    target = tolerance * norm(system.right_hand_side)

    def unfinished(carry):
        _, residual, _, _, products = carry
        return (norm(residual) > target) & (products < max_products) & definite

    def step(carry):
        adjoint, residual, direction, damping, products = carry
        adjoint = add(adjoint, direction)
        residual = subtract(residual, system.operator(direction))
        next_damping = 1 / (2 * ratio - damping)
        kept, gained = next_damping * damping, 2 * next_damping / half_width
        direction = add_scaled(scale(kept, direction), gained, residual)
        return adjoint, residual, direction, next_damping, products + 1

    u = system.right_hand_side
    start = zeros_like(u), u, scale(1 / centre, u), 1 / ratio, jnp.array(steps + 1)
    adjoint, residual, *_, products = lax.while_loop(unfinished, step, start)
    return solution(adjoint, products, exhausted=norm(residual) > target, positive=definite)
