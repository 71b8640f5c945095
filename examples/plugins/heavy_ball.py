"""A gradient estimator in one file: the adjoint iterated with momentum. Name it under ``plugins:`` in a configuration."""

from pydantic import Field

from slds_core.plugins import GradientPlugin


class HeavyBall(GradientPlugin):
    """Implicit gradient, the adjoint iterated as ``w ← w + r + momentum · (w - w_before)`` with ``r = u - (I - Jᵀ) w``."""

    momentum: float = Field(0.5, ge=0, lt=1, description="share of the last step that is taken again")
    tolerance: float = Field(1e-10, gt=0, description="relative residual of the adjoint system at which to stop")
    max_products: int = Field(1000, ge=1, description="most products with the sweep's Jacobian")
    forward_tolerance: float = Field(1e-8, gt=0, description="largest change in one more sweep of a fixed point")

    def estimate(self, problem, objective, parameters, state):
        """Returns the gradient at a fixed point; its status rests on residuals that ``implicit_gradient`` recomputes.

        References:
            Polyak (1964), "Some methods of speeding up the convergence of iteration methods".
        """
        # imported here, so that listing plugins stays quick
        import jax.numpy as jnp
        from jax import lax

        from slds_core.gradients import implicit_gradient, solution
        from slds_core.trees import add, add_scaled, norm, subtract, zeros_like

        def solve(system):
            scale = norm(system.right_hand_side)

            def unfinished(carry):
                _, _, residual, products = carry
                return (norm(residual) > self.tolerance * scale) & (products < self.max_products)

            def step(carry):
                adjoint, before, residual, products = carry
                moved = add_scaled(add(adjoint, residual), self.momentum, subtract(adjoint, before))
                return moved, adjoint, system.residual(moved), products + 1

            nothing = zeros_like(system.right_hand_side)
            start = nothing, nothing, system.right_hand_side, jnp.array(0)
            adjoint, _, residual, products = lax.while_loop(unfinished, step, start)
            return solution(adjoint, products, exhausted=norm(residual) > self.tolerance * scale)

        return implicit_gradient(
            problem,
            objective,
            parameters,
            state,
            solve,
            tolerance=self.tolerance,
            forward_tolerance=self.forward_tolerance,
        )
