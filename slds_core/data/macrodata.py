"""US quarterly macroeconomic series, 1959 to 2009, as the package statsmodels ships them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from slds_core.data.series import Series, series

LEVELS = ("realgdp", "realcons", "realinv", "realgovt", "realdpi", "cpi", "m1", "pop")
RATES = ("tbilrate", "unemp", "infl", "realint")

# Business cycles as the National Bureau of Economic Research dates them, "US Business Cycle Expansions and Contractions": a
# recession lasts from the quarter after the peak to the trough.
_CONTRACTIONS = (
    ("1960Q2", "1961Q1"),
    ("1969Q4", "1970Q4"),
    ("1973Q4", "1975Q1"),
    ("1980Q1", "1980Q3"),
    ("1981Q3", "1982Q4"),
    ("1990Q3", "1991Q1"),
    ("2001Q1", "2001Q4"),
    ("2007Q4", "2009Q2"),
)


def macrodata(columns: Sequence[str], *, standardise: bool = True) -> Series:
    """Returns growth rates of levels (percent a year, differences of logarithms) and quarterly changes of rates (points).

    The truth ``recession`` is one in quarters of recession.

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
    # quarters written as year and number compare as text
    recession = [any(peak < quarter <= trough for peak, trough in _CONTRACTIONS) for quarter in quarters[1:]]
    return series(
        [np.stack(changes, axis=1)],
        columns,
        standardise=standardise,
        names=["United States"],
        labels=[quarters[1:]],
        truth={"recession": np.array([recession], int)},
    )
