"""Built-in inference settings."""

from typing import Any, ClassVar

from pydantic import Field, PrivateAttr

from slds_core.plugins.base import InferencePlugin
from slds_core.plugins.needs import needs_mean_field, needs_monitor

_LEAST_CAPACITY = 1024


class _Iterative(InferencePlugin):
    """What all of them share."""

    traced: ClassVar = ("max_sweeps", "tolerance")
    _capacity: int = PrivateAttr()

    def model_post_init(self, context: Any) -> None:
        """Leaves room in the trace for other limits than this one: the next power of two."""
        self._capacity = max(_LEAST_CAPACITY, 2 ** (self.max_sweeps - 1).bit_length())

    max_sweeps: int = Field(
        1000, ge=1, le=1_000_000, description="most sweeps and Jacobian products to take, each counted as one"
    )
    criterion: str = Field(
        "residual",
        description="'residual': largest absolute change of the state in one sweep; 'elbo' or another monitor of the "
        "model, such as 'kl_notebook': its relative change from one iteration to the next",
    )

    def check(self, problem, parameters, state) -> None:
        """Declines a model that does not trace the criterion."""
        if self.criterion != "residual":
            needs_monitor(self, problem, parameters, state, self.criterion)


class CoordinateAscent(_Iterative):
    """Sweep until the state stands still, or for a given number of sweeps."""

    tolerance: float = Field(
        0.0, ge=0, description="stop when the criterion falls below it; 0 takes all sweeps (units of the criterion)"
    )

    def infer(self, problem, parameters, state):
        from slds_core.fixed_point import coordinate_ascent

        self.check(problem, parameters, state)
        return coordinate_ascent(problem, parameters, state, **dict(self), capacity=self._capacity)


class NewtonCG(_Iterative):
    """Newton's method on the message, each step by conjugate gradients in the Fisher metric, safeguarded by the bound."""

    tolerance: float = Field(1e-12, ge=0, description="stop when the criterion falls below it (units of the criterion)")
    traced: ClassVar = (*_Iterative.traced, "switch", "forcing", "products_per_step")
    switch: float = Field(0.01, gt=0, description="largest change in a sweep below which Newton's steps begin")
    forcing: float = Field(0.1, gt=0, lt=1, description="relative residual of the first linear solves")
    products_per_step: int = Field(60, ge=1, description="most products in one linear solve")

    def infer(self, problem, parameters, state):
        from slds_core.fixed_point import newton_cg

        self.check(problem, parameters, state)
        needs_mean_field(self, problem)
        return newton_cg(problem, parameters, state, **dict(self), capacity=self._capacity)


class Anderson(_Iterative):
    """Anderson's mixing of the last messages, safeguarded by the bound."""

    tolerance: float = Field(1e-12, ge=0, description="stop when the criterion falls below it (units of the criterion)")
    memory: int = Field(8, ge=1, le=50, description="how many earlier differences to mix")

    def infer(self, problem, parameters, state):
        from slds_core.fixed_point import anderson

        self.check(problem, parameters, state)
        needs_mean_field(self, problem)
        return anderson(problem, parameters, state, **dict(self), capacity=self._capacity)
