"""Built-in gradient estimators."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from slds_core.plugins.base import Declined, GradientPlugin
from slds_core.plugins.needs import needs_mean_field, needs_monitor

_MOST_PRODUCTS = "most products with the sweep's Jacobian"
_PRODUCTS = Field(1000, ge=2, le=1_000_000, description=_MOST_PRODUCTS)
_BICGSTAB_PRODUCTS = Field(1000, ge=4, le=1_000_000, description=_MOST_PRODUCTS)
_GMRES_PRODUCTS = Field(
    1000, ge=3, le=1_000_000, description=f"{_MOST_PRODUCTS}; the first cycle takes min(`restart`, unknowns) + 2"
)
_TOLERANCE = Field(1e-10, gt=0, description="relative residual of the adjoint system at which to stop")


class Unrolled(GradientPlugin):
    """Differentiate a number of sweeps from the start. Right once they have converged, and their derivative too."""

    start: ClassVar[Literal["initial", "fixed_point"]] = "initial"
    sweeps: int = Field(ge=1, le=1_000_000, description="sweeps to differentiate")

    def stored_bytes(self, sweep, unknowns, item):
        return self.sweeps * sweep

    def estimate(self, problem, objective, parameters, state):
        from slds_core.gradients import unrolled

        return unrolled(problem, objective, parameters, state, sweeps=self.sweeps)


class UnrolledConverged(GradientPlugin):
    """Differentiate sweeps from the start, their number doubled until the gradient stops changing: a witness of its own."""

    traced: ClassVar = ("sweeps", "tolerance")
    start: ClassVar[Literal["initial", "fixed_point"]] = "initial"
    sweeps: int = Field(100, ge=1, le=1_000_000, description="sweeps to differentiate first")
    max_sweeps: int = Field(
        6400, ge=2, le=1_000_000, description="most sweeps to differentiate, at least twice `sweeps`"
    )
    tolerance: float = Field(
        1e-10, gt=0, description="relative change of the gradient in one doubling at which to stop"
    )

    @model_validator(mode="after")
    def _leaves_a_doubling(self) -> Self:
        if self.max_sweeps < 2 * self.sweeps:
            if "max_sweeps" not in self.model_fields_set:
                raise ValueError(
                    f"sweeps: expected at most half of max_sweeps = {self.max_sweeps}, found {self.sweeps}"
                )
            raise ValueError(f"max_sweeps: expected at least 2 · sweeps = {2 * self.sweeps}, found {self.max_sweeps}")
        return self

    def effort(self):
        return 2 * self.max_sweeps  # all doublings together

    def stored_bytes(self, sweep, unknowns, item):
        return sweep + self.max_sweeps * unknowns * item

    def estimate(self, problem, objective, parameters, state):
        from slds_core.gradients import unrolled_converged

        return unrolled_converged(problem, objective, parameters, state, **dict(self))


class _Implicit(GradientPlugin):
    """What all estimators at a fixed point share."""

    traced: ClassVar = ("forward_tolerance",)
    forward_tolerance: float = Field(
        1e-8, gt=0, description="largest change of the state in one more sweep at which it counts as a fixed point"
    )


_SOLVED = (*_Implicit.traced, "tolerance", "max_products")


class Truncated(_Implicit):
    """Differentiate the last few sweeps only: a truncated Neumann series. An approximation by design."""

    traced: ClassVar = (*_Implicit.traced, "sweeps")
    sweeps: int = Field(ge=1, le=1_000_000, description="sweeps to differentiate")

    def estimate(self, problem, objective, parameters, state):
        from slds_core.gradients import truncated

        return truncated(problem, objective, parameters, state, **dict(self))


class OneStep(_Implicit):
    """Differentiate the last sweep alone. An approximation by design."""

    def estimate(self, problem, objective, parameters, state):
        from slds_core.gradients import one_step

        return one_step(problem, objective, parameters, state, **dict(self))


class Richardson(_Implicit):
    """Implicit gradient, the adjoint iterated with damping; on the sweep, or on both blocks side by side as the original does."""

    traced: ClassVar = (*_SOLVED, "damping")
    tolerance: float = _TOLERANCE
    max_products: int = _PRODUCTS
    damping: float = Field(1.0, gt=0, le=1, description="step length; 1 is the plain Neumann series")
    system: Literal["sweep", "coupled"] = Field("sweep", description="'sweep', or 'coupled': both blocks at once")

    def predicted_products(self, rate):
        from slds_core.gradients import prediction

        if self.system == "coupled":
            # its eigenvalues are ± the roots of the sweep's
            rate = rate**0.5
        return prediction.richardson(rate, self.tolerance, self.damping)

    def estimate(self, problem, objective, parameters, state):
        from slds_core.fixed_point import Coupled
        from slds_core.gradients import richardson

        if self.system == "coupled":
            needs_mean_field(self, problem)
            state = problem.first_block(parameters, state).statistics, state
            problem = Coupled(problem)
        settings = {name: value for name, value in self if name != "system"}
        return richardson(problem, objective, parameters, state, **settings)


class BiCGStab(_Implicit):
    """Implicit gradient at a fixed point, the adjoint system solved by BiCGStab."""

    traced: ClassVar = _SOLVED
    tolerance: float = _TOLERANCE
    max_products: int = _BICGSTAB_PRODUCTS

    def predicted_products(self, rate):
        from slds_core.gradients import prediction

        return prediction.bicgstab(rate, self.tolerance)

    def estimate(self, problem, objective, parameters, state):
        from slds_core.gradients import bicgstab

        return bicgstab(problem, objective, parameters, state, **dict(self))


class GMRES(_Implicit):
    """Implicit gradient at a fixed point, the adjoint system solved by restarted GMRES."""

    traced: ClassVar = _SOLVED
    tolerance: float = _TOLERANCE
    max_products: int = _GMRES_PRODUCTS
    restart: int = Field(10, ge=1, description="dimension of the Krylov space of one cycle")

    def predicted_products(self, rate):
        from slds_core.gradients import prediction

        return prediction.gmres(rate, self.tolerance, self.restart)

    def estimate(self, problem, objective, parameters, state):
        from slds_core.gradients import gmres

        return gmres(problem, objective, parameters, state, **dict(self))


class FisherCG(_Implicit):
    """Implicit gradient at a fixed point, the adjoint system solved by conjugate gradients in the Fisher metric."""

    traced: ClassVar = _SOLVED
    tolerance: float = _TOLERANCE
    max_products: int = _PRODUCTS

    def predicted_products(self, rate):
        from slds_core.gradients import prediction

        return prediction.conjugate_gradients(rate, self.tolerance)

    def estimate(self, problem, objective, parameters, state):
        from slds_core.gradients import fisher_cg

        needs_mean_field(self, problem)
        return fisher_cg(problem, objective, parameters, state, **dict(self))


class Direct(_Implicit):
    """Implicit gradient at a fixed point by a dense solve: the reference for small problems."""

    traced: ClassVar = (*_Implicit.traced, "tolerance")
    tolerance: float = _TOLERANCE
    max_unknowns: int = Field(4000, ge=1, description="largest system to build; memory is its square")

    def effort(self):
        return self.max_unknowns  # a product for each column

    def stored_bytes(self, sweep, unknowns, item):
        return 3 * unknowns**2 * item  # the matrix, its transpose and its factors

    def estimate(self, problem, objective, parameters, state):
        from slds_core.gradients import direct
        from slds_core.trees import size

        if size(state) > self.max_unknowns:
            raise Declined(f"the state has {size(state)} unknowns, more than max_unknowns = {self.max_unknowns}")
        return direct(problem, objective, parameters, state, **dict(self))


class FiniteDifference(GradientPlugin):
    """Central differences of the whole converged map along seeded directions: the witness that knows no derivatives."""

    yields: ClassVar = "directions"
    count: int = Field(2, ge=1, le=1000, description="directions in each parameter group")
    seed: int = Field(0, ge=0, description="seed of the directions")
    max_sweeps: int = Field(
        2000, ge=1, le=1_000_000, description="most sweeps and Jacobian products of each evaluation"
    )

    def estimate(self, problem, objective, parameters, state):
        from slds_core.gradients import finite_difference

        return finite_difference(problem, objective, parameters, state, **dict(self))


class _Original(GradientPlugin):
    """What the original's two gradients share: their own forward pass, and its limits."""

    start: ClassVar[Literal["initial", "fixed_point"]] = "initial"
    max_sweeps: int = Field(10, ge=1, le=1_000_000, description="limit on sweeps, and on the solver's iterations")
    tolerance: float = Field(1e-5, ge=0, description="of the relative change of the notebook's KL in one sweep")

    def check(self, problem, parameters, state) -> None:
        """Declines a model that is no mean field, or does not trace the notebook's KL."""
        needs_mean_field(self, problem)
        needs_monitor(self, problem, parameters, state, "kl_notebook")


class OriginalItersolve(_Original):
    """The original's training default: damped Richardson on both blocks, replaced by one step where sweeps ran out."""

    fallback: bool = Field(True, description="whether to fall back to one step as the original does, silently there")

    def estimate(self, problem, objective, parameters, state):
        from slds_core.gradients import original_itersolve

        self.check(problem, parameters, state)
        return original_itersolve(problem, objective, parameters, state, **dict(self))


class OriginalBiCGStab(_Original):
    """The notebook's implicit gradient: JAX's BiCGStab on both blocks, as many iterations as sweeps were taken."""

    def estimate(self, problem, objective, parameters, state):
        from slds_core.gradients import original_bicgstab

        self.check(problem, parameters, state)
        return original_bicgstab(problem, objective, parameters, state, **dict(self))
