"""Built-in gradient estimators."""

from typing import ClassVar, Literal

from pydantic import Field

from slds_core.plugins.base import GradientPlugin


class Unrolled(GradientPlugin):
    """Differentiate a number of sweeps from the start. Right once they have converged, and their derivative too."""

    start: ClassVar[Literal["initial", "fixed_point"]] = "initial"
    sweeps: int = Field(ge=1, description="sweeps to differentiate")

    def estimate(self, problem, objective, parameters, state):
        from slds_core.gradients import unrolled

        return unrolled(problem, objective, parameters, state, sweeps=self.sweeps)


class BiCGStab(GradientPlugin):
    """Implicit gradient at a fixed point, the adjoint system solved by BiCGStab."""

    tolerance: float = Field(1e-10, gt=0, description="relative residual of the adjoint system at which to stop")
    max_products: int = Field(1000, ge=2, description="most products with the sweep's Jacobian")

    def estimate(self, problem, objective, parameters, state):
        from slds_core.gradients import bicgstab

        return bicgstab(problem, objective, parameters, state, tolerance=self.tolerance, max_products=self.max_products)
