"""US quarterly macroeconomic series, 1959 to 2009, as the package statsmodels ships them."""

import csv
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from slds_core.data.series import Interval, Series, series

LEVELS = ("realgdp", "realcons", "realinv", "realgovt", "realdpi", "cpi", "m1", "pop")
RATES = ("tbilrate", "unemp", "infl", "realint")

_UNITS = {**dict.fromkeys(map(str, LEVELS), "% a year"), **dict.fromkeys(map(str, RATES), "percentage points")}


def macrodata(columns: Sequence[str], *, standardise: bool = True) -> Series:
    """Returns growth rates of levels (percent a year, differences of logarithms) and quarterly changes of rates (points).

    Recessions are its labelled intervals, and the truth ``recession`` is one in their quarters.

    Args:
        columns: of ``LEVELS`` and ``RATES``.
        standardise: as for ``series``.

    Raises:
        ValueError: a column is neither a level nor a rate of this data set.
    """
    unknown = [name for name in columns if name not in LEVELS + RATES]
    if unknown or not columns:
        raise ValueError(f"columns: expected some of {', '.join(LEVELS + RATES)}, found {unknown or 'none'}")
    from statsmodels.datasets import macrodata as source  # takes a second to import

    frame: Any = source.load_pandas().data
    quarters = [f"{int(year)}Q{int(quarter)}" for year, quarter in zip(frame["year"], frame["quarter"], strict=True)]
    changes = [
        np.diff(400 * np.log(frame[name].to_numpy(float)) if name in LEVELS else frame[name].to_numpy(float))
        for name in columns
    ]
    intervals = recessions(quarters[1:])
    recession = np.zeros((1, len(quarters) - 1), int)
    for interval in intervals:
        recession[0, interval.start : interval.stop] = 1
    return series(
        [np.stack(changes, axis=1)],
        columns,
        standardise=standardise,
        names=["United States"],
        labels=[quarters[1:]],
        truth={"recession": recession},
        intervals=intervals,
        units=[_UNITS[name] for name in columns],
    )


def recessions(quarters: Sequence[str]) -> list[Interval]:
    """Returns the recessions in a sequence of consecutive quarters, written as 1959Q2, by NBER's dates in recessions.csv."""
    lines = files("slds_core.data").joinpath("recessions.csv").read_text(encoding="utf-8").splitlines()
    cycles = csv.DictReader(line for line in lines if not line.startswith("#"))
    found = []
    for cycle in cycles:
        # quarters written so compare as text
        inside = [step for step, quarter in enumerate(quarters) if cycle["peak"] < quarter <= cycle["trough"]]
        if inside:
            found.append(Interval(0, inside[0], inside[-1] + 1, "recession"))
    return found
