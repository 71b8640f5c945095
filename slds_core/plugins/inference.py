"""Built-in inference settings."""

from pydantic import Field

from slds_core.plugins.base import InferencePlugin


class CoordinateAscent(InferencePlugin):
    """Sweep until the state stands still, or for a given number of sweeps."""

    max_sweeps: int = Field(1000, ge=1, description="most sweeps to take")
    tolerance: float = Field(
        0.0, ge=0, description="stop when the criterion falls below it; 0 takes all sweeps (units of the criterion)"
    )
    criterion: str = Field(
        "residual",
        description="'residual': largest absolute change of the state in one sweep; 'elbo' or another monitor of the "
        "model, such as 'kl_notebook': its relative change in one sweep",
    )

    def infer(self, problem, parameters, state):
        from slds_core.fixed_point import coordinate_ascent

        return coordinate_ascent(
            problem,
            parameters,
            state,
            max_sweeps=self.max_sweeps,
            tolerance=self.tolerance,
            criterion=self.criterion,
        )
