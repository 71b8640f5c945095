"""The same fixed point, seen as one of both blocks at once: the Jacobi iteration that the original differentiates."""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from slds_core.fixed_point.interface import FixedPoint, MeanField


class Coupled(FixedPoint[Any, Any, Any]):
    """Both blocks updated side by side, each from the other's last value. The state is ``(first block's statistics, state)``.

    Its Jacobian has the eigenvalues ``±√λ`` for each ``λ`` of the sweep's: it contracts half as fast and oscillates, which is why
    it is iterated with damping (docs/theory.md, section "Fisher structure").
    """

    problem: MeanField = eqx.field(static=True)

    def posterior(self, parameters: Any, state: Any) -> Any:
        statistics, inner_state = state
        first = self.problem.first_block(parameters, inner_state)
        message = self.problem.message(parameters, statistics)
        second = self.problem.second_block(parameters, message)
        return self.problem.combine(parameters, inner_state, first, message, second)

    def state(self, posterior: Any) -> Any:
        return self.problem.parts(posterior)[0], self.problem.state(posterior)

    def elbo(self, posterior: Any) -> Float[Array, ""]:
        return self.problem.elbo(posterior)

    def magnitude(self, posterior: Any) -> Float[Array, ""]:
        return self.problem.magnitude(posterior)

    def statistics(self, posterior: Any) -> Any:
        return self.problem.statistics(posterior)

    def parameter_fields(self) -> Any:
        return self.problem.parameter_fields()

    def state_fields(self) -> Any:
        raise NotImplementedError("a coupled state is never stored: it follows from the model's own state")

    def statistics_fields(self) -> Any:
        return self.problem.statistics_fields()
