"""The four kinds of plugin. A plugin is a frozen class whose typed fields are its parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from slds_core.fixed_point import FixedPoint, Inference
    from slds_core.gradients import DirectionalDerivatives, Gradient, Objective


class Plugin(BaseModel, ABC):
    """Parameters of one box of the study: unknown ones are refused, all are immutable once checked."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class BuiltModel(NamedTuple):
    """A model ready for inference."""

    problem: FixedPoint
    parameters: Any
    start: Any  # the state at which inference starts


class ModelPlugin(Plugin):
    """Makes a structured model and the state at which its inference starts."""

    @abstractmethod
    def build(self) -> BuiltModel:
        """Returns the model. Floating-point arrays may be in any precision; the study casts them to its own."""

    @abstractmethod
    def problem(self) -> FixedPoint:
        """Returns the fixed point alone, for rebuilding a model whose arrays are in a file."""


class InferencePlugin(Plugin):
    """Finds the fixed point, or goes as far towards it as its parameters say."""

    @abstractmethod
    def infer(self, problem: Any, parameters: Any, state: Any) -> Inference:
        """Returns the inference that starts at ``state``. Must be traceable by JAX."""


class GradientPlugin(Plugin):
    """Differentiates an objective through the fixed point."""

    start: ClassVar[Literal["initial", "fixed_point"]] = "fixed_point"
    """Whether ``state`` is where inference starts or where it ended."""

    @abstractmethod
    def estimate(
        self, problem: Any, objective: Objective, parameters: Any, state: Any
    ) -> Gradient | DirectionalDerivatives:
        """Returns the value, the gradient with respect to the parameters, and how it went. Must be traceable by JAX."""


class ObjectivePlugin(Plugin):
    """A scalar function of parameters and posterior."""

    @abstractmethod
    def objective(self, problem: FixedPoint) -> Objective:
        """Returns the function of ``(parameters, posterior)``.

        Raises:
            TypeError: the objective has no meaning for this kind of model.
        """
