"""Built-in models."""

from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic.config import JsonDict

from slds_core.plugins.base import BuiltModel, ModelPlugin

_STEPS: JsonDict = {"unit": "step"}


class Notebook(ModelPlugin):
    """The seed notebook's model (T=100, D=5, K=4), regenerated from its recipe. It has no parameters."""

    def sizes(self):
        return {"time": 100, "latent": 5, "states": 4}

    def build(self) -> BuiltModel:
        from slds_core.models.notebook import notebook_model

        return BuiltModel(self.problem(), *notebook_model())

    def problem(self):
        from slds_core.models.slds import SLDS

        return SLDS()


class RandomSLDS(ModelPlugin):
    """A random SLDS of chosen size and difficulty, with observations to infer it from: one sequence, or many of unequal lengths."""

    time: int = Field(100, ge=1, description="time steps", json_schema_extra=_STEPS)
    lengths: list[Annotated[int, Field(ge=1)]] | None = Field(
        None,
        min_length=1,
        description="time steps of each of many sequences, in place of 'time'",
        json_schema_extra=_STEPS,
    )
    latent: int = Field(5, ge=1, description="latent dimension")
    states: int = Field(4, ge=1, description="discrete states")
    observation_precision: float = Field(1.0, gt=0, description="precision of the recognition potentials")
    stickiness: float = Field(
        0.5, ge=0, lt=1, description="probability that a step's state is not drawn anew, from all of them"
    )
    spread: float = Field(0.2, gt=0, description="standard deviation of the states' dynamics around common ones")
    missing_start: int = Field(0, ge=0, description="first step without observation", json_schema_extra=_STEPS)
    missing_length: int = Field(0, ge=0, description="steps without observation", json_schema_extra=_STEPS)
    seed: int = Field(0, ge=0, description="seed of parameters, data and start")

    @model_validator(mode="after")
    def _misses_what_is_there(self) -> Self:
        steps = self.time if self.lengths is None else max(self.lengths)
        if self.missing_length and self.missing_start >= steps:
            raise ValueError(f"missing_start: expected a step below {steps}, found {self.missing_start}")
        return self

    def sizes(self):
        time = self.time if self.lengths is None else sum(self.lengths)
        return {"time": time, "latent": self.latent, "states": self.states}

    def build(self) -> BuiltModel:
        from slds_core.models.random_slds import random_sequences, random_slds

        size, draw = ("time", random_slds) if self.lengths is None else ("lengths", random_sequences)
        unused = {"time", "lengths"} - {size}
        return BuiltModel(self.problem(), *draw(**self.model_dump(exclude=unused)))

    def problem(self):
        from slds_core.models.slds import slds_problem

        return slds_problem(self.lengths)
