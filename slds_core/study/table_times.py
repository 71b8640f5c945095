"""A table's times, in an order that is sure: days are not guessed from months, and text is not sorted as text."""

from typing import Any

from slds_core.study.table_columns import parsed
from slds_core.study.table_file import TableFile

_WHOLE = 2.0**53  # floating-point numbers beyond may have been other whole numbers
_IN_ORDER_AS_TEXT = (
    r"\d{4}Q[1-4]",
    r"\d{4}-Q[1-4]",
    r"\d{4}W\d\d",
    r"\d{4}-W\d\d",
    r"\d{4}-(?:0[1-9]|1[0-2])",
)
WITH_ZONE = r"[T ].*(?:Z|[+-]\d\d(?::?\d\d)?)$"
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
    elif kind == "date":  # a day without a time, as Parquet has
        column = pd.to_datetime(column)
    elif kind == "period":
        column = column.dt.to_timestamp()
    if kind in ("boolean", "complex"):
        raise ValueError(f"column '{name}' holds {kind} values; {_ACCEPTED}")
    if column.dtype.kind == "f":
        _refuse(table, column, column.abs() == float("inf"), "a time is infinite, expected a number")
        if (column % 1 == 0).all() and (column.abs() < _WHOLE).all():
            column = column.astype("int64")
    try:
        return column.sort_values(kind="stable")
    except TypeError as error:
        raise ValueError(f"column '{name}': {error}; expected times of one kind") from error


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
    zone = text.str.contains(WITH_ZONE)
    _refuse(table, column, zone != zone.iloc[0], "expected a time zone in all rows or in none")
    return dates


def _refuse(table: TableFile, column: Any, wrong: Any, complaint: str) -> None:
    """Refuses the first time that is wrong, if there is any."""
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        found = "" if column.isna()[row] else f"found {str(column[row])!r}, "
        raise ValueError(f"column '{column.name}', {table.place(row)}: {found}{complaint}")
