"""The five kinds of plugin. A plugin is a frozen class whose typed fields are its parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

if TYPE_CHECKING:
    import xarray as xr

    from slds_core.data import Series
    from slds_core.fixed_point import FixedPoint, Inference
    from slds_core.gradients import DirectionalDerivatives, Gradient, Objective


class Plugin(BaseModel, ABC):
    """Parameters of one setting of the study: unknown ones are refused, all are immutable once checked."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)

    name: ClassVar[str] = ""
    """What a plugin in a file is called, if not by the name of its class."""

    traced: ClassVar[tuple[str, ...]] = ()
    """Names of parameters that may be traced arrays when the plugin computes: settings that differ in these alone share one
    compiled program. None by default; none that sets a shape, a number of steps that is differentiated, or a Python branch."""

    nested: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Parameters that are settings of other plugins, with their kinds: a plugin's name, or a mapping with the key ``plugin``. Paths in
    them are relative to the configuration's folder, as its own are."""

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuses ``true`` where a number is expected, which would count as 1."""
        field = cls.model_fields[str(info.field_name)]
        if isinstance(value, bool) and not (field.annotation is bool or bool in get_args(field.annotation)):
            raise PydanticCustomError("no_truth", "expected no truth value")
        return value


class Declined(Exception):
    """Raised by a plugin that has no answer for a problem. The message is the reason, which the report shows; nothing else stops."""


class BuiltModel(NamedTuple):
    """A model ready for inference."""

    problem: FixedPoint
    parameters: Any
    start: Any  # the state at which inference starts
    extra: Mapping[str, tuple[Any, Any, str, str]] = MappingProxyType({})
    """Further variables for the model's file, none of which inference reads, by names that begin with ``training_``: dimensions, values,
    what they are, units."""


class ModelPlugin(Plugin):
    """Makes a structured model and the state at which its inference starts."""

    @abstractmethod
    def build(self) -> BuiltModel:
        """Returns the model. Floating-point arrays may be in any precision; the study casts them to its own."""

    @abstractmethod
    def problem(self) -> FixedPoint:
        """Returns the fixed point alone, for rebuilding a model whose arrays are in a file."""

    def input_files(self) -> list[Path]:
        """Returns the files that ``build`` reads, none by default. The model is built again when one of them changes."""
        return []

    def sizes(self) -> dict[str, int] | None:
        """Returns ``time`` (of all sequences together), ``latent`` and ``states`` where they are known before building, for the plan."""
        return None

    def rebuild(self, dataset: xr.Dataset) -> FixedPoint:
        """Returns the fixed point of the model in a file, for plugins whose parameters do not tell all: ``problem()`` by default.

        A model of many sequences has their lengths in the variable ``length``.
        """
        return self.problem()


class LearntModel(ModelPlugin):
    """Makes a model by learning it from data: the workflow trains it by a rule of its own, `fit`, and audits it like any other."""

    epochs: int
    """How long it learns. Models that differ in nothing else are checkpoints of one training, made one after the other."""

    @abstractmethod
    def fit(self, keep: Path | None = None) -> BuiltModel:
        """Returns the model after its last epoch, which is the same whether or not files to go on from were found.

        Args:
            keep: folder for files to go on from: those of this training that was killed, and of its earlier checkpoints; none
                are read or written if ``None``.
        """

    def build(self) -> BuiltModel:
        return self.fit()


class DataPlugin(Plugin):
    """A source of time series to learn from."""

    @abstractmethod
    def load(self) -> Series:
        """Returns the series: the same each time. ``slds_core.data.series`` makes one of plain arrays."""

    def input_files(self) -> list[Path]:
        """Returns the files that ``load`` reads, none by default. What was learnt is learnt again when one of them changes."""
        return []


class InferencePlugin(Plugin):
    """Finds the fixed point, or goes as far towards it as its parameters say."""

    def effort(self) -> int | None:
        """Returns the most sweeps and Jacobian products that it takes, for the plan; ``None`` where there is no limit."""
        return getattr(self, "max_sweeps", None)

    @abstractmethod
    def infer(self, problem: Any, parameters: Any, state: Any) -> Inference:
        """Returns the inference that starts at ``state``. Must be traceable by JAX."""


class GradientPlugin(Plugin):
    """Differentiates an objective through the fixed point."""

    start: ClassVar[Literal["initial", "fixed_point"]] = "fixed_point"
    """Whether ``state`` is where inference starts or where it ended."""

    yields: ClassVar[Literal["gradient", "directions"]] = "gradient"
    """Whether ``estimate`` returns a ``Gradient``, or ``DirectionalDerivatives``, which nothing can be trained with."""

    def effort(self) -> int | None:
        """Returns the most sweeps and Jacobian products that it takes, for the plan; ``None`` where there is no limit."""
        limits = (getattr(self, name, None) for name in ("max_products", "max_sweeps", "sweeps"))
        return next((limit for limit in limits if limit is not None), 1)

    def stored_bytes(self, sweep: int, unknowns: int, item: int) -> int:
        """Returns about how much it keeps in memory for the problem, for the plan; nothing by default.

        Args:
            sweep: bytes that one sweep leaves behind for its derivative.
            unknowns: entries of the state.
            item: bytes of one number.
        """
        return 0

    def predicted_products(self, rate: float) -> float | None:
        """Returns the products that theory predicts for the adjoint, for the report beside those taken; ``None`` where none does.

        Args:
            rate: the sweep's contraction rate ``λ``, in (0, 1).
        """
        return None

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
            Declined: the objective has no meaning for this kind of model.
        """
