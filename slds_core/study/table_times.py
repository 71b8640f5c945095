"""A table's times, in an order that is sure: days are not guessed from months, and text is not sorted as text."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from slds_core.study.table_columns import parsed
from slds_core.study.table_file import TableFile

_MOST_STEPS = 10_000_000  # of one sequence; more are a slip in a time, not a gap
_IN_ORDER_AS_TEXT = (r"\d{4}Q[1-4]", r"\d{4}-Q[1-4]", r"\d{4}W\d\d", r"\d{4}-W\d\d")
_WITH_ZONE = r"[T ].*(?:Z|[+-]\d\d(?::?\d\d)?)$"
_ACCEPTED = (
    "expected numbers, ISO dates such as 2020-01-31, quarters such as 2020Q1, or weeks such as 2020-W05; without the key "
    "'time', rows keep the file's order"
)


def sorted_times(table: TableFile, name: str) -> Any:
    """Returns a column of times as numbers, dates, or text that is in order as text, sorted, by the number of the row.

    Raises:
        ValueError: a time is missing, or its place in the order is not sure; names column, place and value.
    """
    import pandas as pd
    from pandas.api.types import infer_dtype

    column = table.frame[name]
    _refuse(table, column, column.isna(), "a time is missing, expected one in each row")
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    kind = infer_dtype(column)
    if kind == "string":
        column = _from_text(table, column)
    if kind in ("boolean", "complex"):
        raise ValueError(f"column '{name}' holds {kind} values; {_ACCEPTED}")
    if column.dtype.kind == "f":
        _refuse(table, column, column.abs() == float("inf"), "a time is infinite, expected a number")
    try:
        return column.sort_values(kind="stable")
    except TypeError as error:
        raise ValueError(f"column '{name}': {error}; expected times of one kind") from error


def steps_through(times: list[int]) -> range:
    """Returns the steps, equally far apart and no closer than they must be, that rising whole numbers are among.

    Raises:
        ValueError: there are more than can be meant, or the numbers are dates, which are not equally far apart.
    """
    step = math.gcd(*(later - earlier for earlier, later in pairwise(times)))
    count = (times[-1] - times[0]) // step + 1
    if count > _MOST_STEPS:
        raise ValueError(
            f"{count} steps of {step} would fill the gaps between {len(times)} times from {times[0]} to {times[-1]}, expected at most "
            f"{_MOST_STEPS}; 'gaps: keep' leaves them as they are"
        )
    steps = range(times[0], times[-1] + 1, step)
    if _are_dates(times) and not _are_dates(steps):
        raise ValueError(
            f"times from {times[0]} to {times[-1]} are dates, whose gaps cannot be filled as those of numbers; write them as 2020-01-31, "
            "or set 'gaps: keep'"
        )
    return steps


def _are_dates(numbers: Sequence[int]) -> bool:
    """Returns whether all of some rising whole numbers are days or months, written together: 20200131 or 202001."""
    import pandas as pd

    form = {6: "%Y%m", 8: "%Y%m%d"}.get(len(str(numbers[0])))
    if form is None or len(str(numbers[-1])) != len(str(numbers[0])):
        return False
    return bool(pd.to_datetime(pd.Series(numbers).astype(str), format=form, errors="coerce").notna().all())


def _from_text(table: TableFile, column: Any) -> Any:
    """Returns what text says without doubt: numbers, ISO dates, or itself if its order as text is that of time."""
    import pandas as pd

    text = column.astype(str)
    numbers = parsed(text, table.decimal)
    if numbers.notna().all():
        return numbers
    if any(text.str.fullmatch(pattern).all() for pattern in _IN_ORDER_AS_TEXT):
        return text
    dates: Any = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True)
    wrong = dates.isna()
    if wrong.any() and 2 * int(numbers.notna().sum()) >= len(text):
        wrong = numbers.isna()  # most are numbers: what is none is wrong
    _refuse(table, column, wrong, f"the order of such times is not sure; {_ACCEPTED}")
    zone = text.str.contains(_WITH_ZONE)
    _refuse(table, column, zone != zone.iloc[0], "expected a time zone in all rows or in none")
    return dates


def _refuse(table: TableFile, column: Any, wrong: Any, complaint: str) -> None:
    """Refuses the first time that is wrong, if there is any."""
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        found = "" if column.isna()[row] else f"found {str(column[row])!r}, "
        raise ValueError(f"column '{column.name}', {table.place(row)}: {found}{complaint}")
