"""Built-in objectives."""

from pydantic import Field

from slds_core.plugins.base import Declined, ObjectivePlugin


class NotebookObjective(ObjectivePlugin):
    """The notebook's: all Gaussian expected statistics summed, plus a KL without the Gaussian log-partition (SLDS only)."""

    def objective(self, problem):
        from slds_core.models.slds import SLDS, SLDSSequences
        from slds_core.objectives.notebook import notebook_objective

        if isinstance(problem, SLDSSequences):
            return problem.sum_over_sequences(notebook_objective)
        if not isinstance(problem, SLDS):
            raise Declined(f"the objective 'notebook' is defined for an SLDS only, found {type(problem).__name__}")
        return notebook_objective


class Elbo(ObjectivePlugin):
    """The evidence lower bound. At an exact fixed point its gradient needs no adjoint (envelope theorem)."""

    def objective(self, problem):
        from slds_core.objectives.generic import elbo

        return elbo(problem)


class Linear(ObjectivePlugin):
    """A random linear functional of all expected statistics, weights drawn from a standard normal distribution."""

    seed: int = Field(0, ge=0, description="seed of the weights")

    def objective(self, problem):
        from slds_core.objectives.generic import linear

        return linear(problem, self.seed)
