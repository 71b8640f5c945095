"""The study's configuration: which models, at which inference settings, differentiated in which ways."""

import re
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slds_core.study import registry
from slds_core.study.errors import StudyError
from slds_core.study.registry import explain, nearest

Name = str
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class Setting(BaseModel):
    """One named box: a plugin and its parameters."""

    model_config = ConfigDict(extra="allow", frozen=True)
    plugin: str = Field(description="name of the plugin")

    @property
    def parameters(self) -> dict[str, Any]:
        """The plugin's own parameters."""
        return dict(self.model_extra or {})


class GradientSetting(Setting):
    """A gradient estimator, and the inference setting at whose result it differentiates."""

    at: str | None = Field(None, description="inference setting at whose result an implicit estimator differentiates")


class Configuration(BaseModel):
    """A study, as ``config.yaml`` states it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    title: str = "Fixed points and gradients in switching linear dynamical systems"
    precision: Literal["float32", "float64"] = Field("float64", description="floating-point type of all arrays")
    models: dict[Name, Setting] = Field(min_length=1)
    inference: dict[Name, Setting] = Field(min_length=1)
    objective: Setting
    gradients: dict[Name, GradientSetting] = Field(default_factory=dict)
    references: list[Name] = Field(default_factory=list, description="gradient settings to compare all others with")


@dataclass(frozen=True)
class Problem:
    """Something wrong in a configuration."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def read_configuration(raw: dict[str, Any]) -> Configuration:
    """Returns the checked configuration.

    Raises:
        StudyError: lists everything that is wrong, each with its key, the value found and the values expected.
    """
    try:
        configuration = Configuration.model_validate(raw)
    except ValidationError as error:
        problems = [Problem("configuration", explain(p, Configuration.model_fields)) for p in error.errors()]
        raise _refusal(problems) from error
    problems = _check(configuration)
    if problems:
        raise _refusal(problems)
    return configuration


def _refusal(problems: list[Problem]) -> StudyError:
    return StudyError("The configuration cannot be used:\n" + "\n".join(f"  - {problem}" for problem in problems))


def _check(configuration: Configuration) -> list[Problem]:
    problems: list[Problem] = []
    boxes: list[tuple[str, str, str, Setting]] = [("objectives", "objective", "objective", configuration.objective)]
    for kind in ("models", "inference", "gradients"):
        for name, setting in getattr(configuration, kind).items():
            boxes.append((kind, f"{kind}.{name}", name, setting))
    for kind, where, name, setting in boxes:
        if not _NAME.fullmatch(name):
            problems.append(
                Problem(where, "a name may hold letters, digits, '_', '-' and '.', and becomes a file name")
            )
        try:
            registry.make(kind, setting.plugin, setting.parameters)
        except StudyError as error:
            problems.append(Problem(where, str(error)))
        else:
            if isinstance(setting, GradientSetting):
                problems += _check_start(configuration, where, setting)
    for name in configuration.references:
        if name not in configuration.gradients:
            problems.append(
                Problem("references", f"no gradient setting '{name}'{nearest(name, configuration.gradients)}")
            )
    return problems


def _check_start(configuration: Configuration, where: str, setting: GradientSetting) -> list[Problem]:
    start = registry.plugin_class("gradients", setting.plugin).start
    if start == "initial" and setting.at is not None:
        return [Problem(where, f"'{setting.plugin}' starts where inference starts; remove 'at: {setting.at}'")]
    if start == "fixed_point" and setting.at is None:
        choices = ", ".join(configuration.inference)
        return [Problem(where, f"'{setting.plugin}' needs 'at', the inference setting to differentiate at: {choices}")]
    if setting.at is not None and setting.at not in configuration.inference:
        return [
            Problem(where, f"at: no inference setting '{setting.at}'{nearest(setting.at, configuration.inference)}")
        ]
    return []
