"""Columns of a table as numbers. What cannot be read for sure is refused by column, place and value."""

import re
from typing import Any

import numpy as np
from jaxtyping import Float

from slds_core.study.table_file import TableFile

_COMMA_AS_POINT = str.maketrans(",.", ".,")
_OF_SOME_COUNTRY = (
    r"\s*[-+]?(\d+|\d{1,3}([.,'\s]\d{3})+)([.,]\d+)?\s*"  # a number, whatever its signs for thousands and decimals
)
_WITH_COMMA = re.compile(r"\s*[-+]?\d*,\d+\s*")


def is_numeric(table: TableFile, name: str) -> bool:
    """Returns whether at least half of a column's entries are meant as numbers. True and false are none."""
    column = table.frame[name]
    if column.dtype.kind in "fiu":
        return True
    present = column.dropna()
    meant = parsed(present, table.decimal).notna() | present.astype(str).str.fullmatch(_OF_SOME_COUNTRY)
    return len(present) > 0 and 2 * int(meant.sum()) >= len(present)


def numbers(table: TableFile, name: str) -> Float[np.ndarray, " row"]:
    """Returns a column's numbers, NaN where an entry is missing; true is 1 and false 0, if there is nothing else in it.

    Raises:
        ValueError: an entry is no number, or infinite; names column, place and value.
    """
    from pandas.api.types import infer_dtype

    column = table.frame[name]
    if infer_dtype(column, skipna=True) == "boolean":
        return column.astype("boolean").to_numpy(float, na_value=np.nan)
    values = parsed(column, table.decimal).to_numpy(float, na_value=np.nan)
    missing = column.isna().to_numpy()
    for wrong, complaint in ((np.isnan(values) & ~missing, "no number"), (np.isinf(values), "infinite")):
        if wrong.any():
            row = int(np.argmax(wrong))
            raise ValueError(
                f"column '{name}', {table.place(row)}: {str(column[row])!r} is {complaint}, expected a number, or nothing where it is "
                f"missing{_hint(str(column[row]), table.decimal)}"
            )
    return values


def parsed(column: Any, decimal: str) -> Any:
    """Returns a column's numbers, NaN where there is none, written with one of the decimal signs that a CSV file may have."""
    import pandas as pd

    if column.dtype.kind in "fiu":
        return column
    text = column.astype(str).where(column.notna())
    return pd.to_numeric(text.str.translate(_COMMA_AS_POINT) if decimal == "comma" else text, errors="coerce")


def _hint(entry: str, decimal: str) -> str:
    comma = decimal == "point" and _WITH_COMMA.fullmatch(entry)
    return "; if the comma is the decimal sign, set 'decimal: comma'" if comma else ""
