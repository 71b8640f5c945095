"""Grids: a list where a plugin takes one value stands for as many settings, each named after its values."""

import itertools
import math
import types
import typing
from typing import Any

from pydantic import BaseModel

from slds_core.study.errors import StudyError

MOST = 1000
"""Most settings that one may stand for: a product of lists is soon more than anyone meant."""
NOT_SWEPT = frozenset({"plugin"})
_SAYS_ITSELF = frozenset({"at"})  # whose values are names


def expand(name: str, setting: dict[str, Any], fields: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns the settings that one with lists stands for: their product, named ``name_value`` or ``name_key_value_key_value``.

    Values of ``at``, which are names, need no key before them: ``name_converged_tolerance_0.01``.

    Args:
        name: the setting's name.
        setting: its keys and values.
        fields: the plugin's fields; a field that takes a list itself is swept by a list of lists only.

    Raises:
        StudyError: the lists stand for more than ``MOST`` settings, hold a mapping, of which no name can be made, or two values of one
            name.
    """
    swept = [key for key, value in setting.items() if key not in NOT_SWEPT and _is_swept(value, fields.get(key))]
    if not swept:
        return {name: setting}
    boxed = next((key for key in swept if any(_holds_mapping(value) for value in setting[key])), None)
    if boxed is not None:
        raise StudyError(
            f"{boxed}: the values of a list become names of files, so a mapping cannot be in one; expected a setting of its own for each"
        )
    counted = [key for key in swept if key not in _SAYS_ITSELF]  # other settings, which somebody else asked for
    count = math.prod(len(setting[key]) for key in counted)
    if count > MOST:
        raise StudyError(f"the lists of {', '.join(counted)} stand for {count} settings, expected at most {MOST}")
    settings = {}
    for values in itertools.product(*(setting[key] for key in swept)):
        chosen = dict(zip(swept, values, strict=True))
        label = [_label(value) for value in values]
        if len(swept) > 1:
            pairs = zip(swept, label, strict=True)
            label = [part for key, own in pairs for part in ([own] if key in _SAYS_ITSELF else [key, own])]
        label = "_".join([name, *label])
        if label in settings:
            raise StudyError(
                f"{', '.join(swept)}: values of a list that make the setting '{label}' twice; expected one of each"
            )
        settings[label] = setting | chosen
    return settings


def takes(cls: type[BaseModel]) -> dict[str, Any]:
    """Returns a plugin's fields, each with its type."""
    return {key: field.annotation for key, field in cls.model_fields.items()}


def _is_swept(value: Any, annotation: Any) -> bool:
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(entry, list) for entry in value) if _holds_lists(annotation) else True


def _holds_lists(annotation: Any) -> bool:
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return any(_holds_lists(part) for part in typing.get_args(annotation))
    return (origin or annotation) in (list, tuple, set)


def _holds_mapping(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(_holds_mapping(entry) for entry in value))


def _label(value: Any) -> str:
    if isinstance(value, list):
        return "-".join(_label(entry) for entry in value)
    if isinstance(value, float):
        short = format(value, "g")
        return short if float(short) == value else repr(value)
    return str(value).replace("/", "-")
