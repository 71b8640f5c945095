"""Contracts of every plugin's parameters: documented, and the same again after a trip through JSON."""

from typing import Any

from pydantic import ValidationError

from slds_core.plugins import Plugin
from slds_core.testing.outcome import Outcome, require


def check_parameters(plugin: Plugin, kind: type[Plugin], outcome: Outcome) -> None:
    """Checks that a plugin is of its kind, says what it is and what each parameter means, and survives being stored."""
    cls = type(plugin)
    with outcome.contract("of its kind"):
        require(isinstance(plugin, kind), f"expected an instance of {kind.__name__}, found one of {cls.__name__}")
    with outcome.contract("documented"):
        require((cls.__doc__ or "").strip(), "expected a docstring that says what the plugin does, found none")
        for name, field in cls.model_fields.items():
            require(field.description, f"expected a description of the parameter '{name}', found none")
    with outcome.contract("parameters round trip"):
        require(cls(**plugin.model_dump()) == plugin, "expected an equal plugin from model_dump(), found another")
        stored = plugin.model_dump_json()
        again = cls.model_validate_json(stored)
        require(again == plugin, f"expected an equal plugin from its JSON {stored}, found {again!r}")
    with outcome.contract("refuses unknown parameters"):
        try:
            cls(**(plugin.model_dump() | {"no_such_parameter": 0}))
        except ValidationError:
            return
        require(False, "expected the key 'no_such_parameter' to be refused, found it accepted")


BUDGETS = range(1, 17)
"""What a starved plugin may spend: from one iteration to as many as any method should be able to begin with."""


def starved(plugin: Plugin) -> list[Any]:
    """Returns the plugin with the tightest tolerance and ever larger budgets, its limits' lowest first.

    Limits are the integer parameters ``max_…``. None are returned where it has none: nothing can run out.
    """
    cls = type(plugin)
    limits = [name for name, f in cls.model_fields.items() if name.startswith("max_") and f.annotation is int]
    if not limits:
        return []
    impossible = {"tolerance": 1e-300} if "tolerance" in cls.model_fields else {}
    found = []
    for budget in BUDGETS:
        try:
            found.append(cls(**(plugin.model_dump() | dict.fromkeys(limits, budget) | impossible)))
        except ValidationError:  # below its own bound: the next
            continue
    return found
