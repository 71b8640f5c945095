"""Contracts of a source of data."""

import dataclasses

import numpy as np

from slds_core.data import Series
from slds_core.plugins import DataPlugin
from slds_core.testing.outcome import Outcome, require
from slds_core.testing.parameters import check_parameters


def check_data(plugin: DataPlugin) -> Outcome:
    """Checks that a source of data gives finite series, the same each time, and says how to undo their scaling.

    Args:
        plugin: the source, with the parameters to check it with.

    Returns:
        The contracts kept.

    Raises:
        AssertionError: a contract is broken; says which, what was expected and what was found.
    """
    outcome = Outcome(plugin)
    check_parameters(plugin, DataPlugin, outcome)
    with outcome.contract("loads"):
        found = plugin.load()
        require(isinstance(found, Series), f"expected a Series, found {type(found).__name__}")
        _check_values(found)
    with outcome.contract("the same each time"):
        first, again = plugin.load(), plugin.load()
        for field in ("values", "observed"):
            same = np.array_equal(getattr(first, field), getattr(again, field))
            require(same, f"expected load() to give the same {field} each time, found others")
        plain = ("lengths", "channels", "names", "labels")
        require(all(getattr(first, f) == getattr(again, f) for f in plain), "expected the same names and lengths")
    return outcome


def _check_values(found: Series) -> None:
    require(np.all(np.isfinite(found.values)), "values: expected finite numbers, found NaN or infinity")
    require(found.observed.dtype == bool, f"observed: expected truth values, found {found.observed.dtype}")
    for sequence, length in enumerate(found.lengths):
        require(
            not found.observed[sequence, length:].any(), f"sequence {sequence}: expected nothing observed in padding"
        )
    require(found.observed.any(axis=(0, 1)).all(), "expected each channel to be observed somewhere")
    scaling = found.scaling
    require(np.all(scaling.scale > 0), f"scaling: expected positive scales, found {scaling.scale}")
    require(np.all(np.isfinite(scaling.location)), f"scaling: expected finite locations, found {scaling.location}")
    dataclasses.replace(found)  # its own checks, whoever made it
    for name, array in found.truth.items():
        require(len(array) == len(found.lengths), f"truth '{name}': expected a row a sequence, found {len(array)}")
