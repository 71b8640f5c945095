"""Tables in files, read whole: CSV, Parquet or NetCDF, and where a row is in its file."""

import csv
import re
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slds_core.study.errors import StudyError

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t"}
"""What may stand between a row's entries in a CSV file, by the names that the key ``separator`` has for them."""
DECIMALS = {"point": ".", "comma": ","}
"""Decimal signs in a CSV file, by the names that the key ``decimal`` has for them."""

_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")
_TIME = re.compile(r"\d{4}-?(Q[1-4]|W\d\d|\d\d?)(-\d\d?.*)?")  # beside numbers, a first line of data
_MISSING = ("", "NA", "NaN", "nan", "null")
_HEADER = "expected a header with the columns' names in the first line"
_SUFFIXES = {".csv": "CSV", ".parquet": "Parquet", ".pq": "Parquet", ".nc": "NetCDF"}


@dataclass(frozen=True)
class TableFile:
    """A table and the file that it was read from."""

    path: Path
    frame: Any  # rows are numbered from zero, columns are named by text
    separator: str | None = None  # of a CSV file
    decimal: str = "point"

    def place(self, row: int) -> str:
        """Returns where a row is in the file: a CSV file's line as an editor counts it, else the row, counted from one."""
        if self.separator is None:
            return f"row {row + 1}"
        lines = [line for line, _ in _records(self.path, self.separator)]
        return f"line {lines[row + 1]}"  # the first is the header's


def read_table(path: Path, separator: str = "comma", decimal: str = "point", names: Collection[str] = ()) -> TableFile:
    """Returns a table, whatever its format.

    Args:
        path: the file.
        separator, decimal: of a CSV file; names in ``SEPARATORS`` and ``DECIMALS``.
        names: columns that name something, and are text in a CSV file whatever they look like: 01 is not 1.

    Raises:
        StudyError: the file cannot be read, or holds no table.
    """
    import pandas as pd

    if not path.is_file():
        raise StudyError(f"{path}: no such file; expected a table")
    kind = _SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise StudyError(f"{path}: cannot tell the format by '{path.suffix}'; expected one of {', '.join(_SUFFIXES)}")
    if kind != "CSV" and (separator, decimal) != ("comma", "point"):
        raise StudyError(f"{path}: expected 'separator' and 'decimal' with CSV files alone, found them with {kind}")
    try:
        if kind == "CSV":
            frame = _csv(path, separator, decimal, names)
        elif kind == "Parquet":
            frame = _with_index(pd.read_parquet(path))
        else:
            frame = _netcdf(path)
    except ImportError as error:
        raise StudyError(f"{path}: reading Parquet needs a package: pip install 'slds-core[parquet]'") from error
    except UnicodeDecodeError as error:
        raise StudyError(f"{path}: expected text in UTF-8: {error}") from error
    except (OSError, ValueError, RuntimeError, pd.errors.ParserWarning) as error:
        raise StudyError(f"{path}: cannot be read as {kind}: {error}") from error
    frame.columns = frame.columns.map(str)
    if frame.empty:
        raise StudyError(f"{path}: holds no rows, expected at least one beside the columns' names")
    return TableFile(path, frame, SEPARATORS[separator] if kind == "CSV" else None, decimal)


def _csv(path: Path, separator: str, decimal: str, names: Collection[str]) -> Any:
    import pandas as pd

    options: dict[str, Any] = {"sep": SEPARATORS[separator], "decimal": DECIMALS[decimal]}
    header: Any = pd.read_csv(path, **options, header=None, nrows=1, dtype=str, keep_default_na=False)
    _check_no_comment(path, SEPARATORS[separator])
    _check_header(path, header.iloc[0].to_list(), separator, decimal)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            # index_col: else a row with a value too many would shift all columns by one
            # low_memory: else a long file is read in pieces, and one column may hold both text and numbers
            frame = pd.read_csv(path, **options, index_col=False, low_memory=False, dtype=dict.fromkeys(names, str))
    except (pd.errors.ParserWarning, pd.errors.ParserError):
        _check_no_wider(path, SEPARATORS[separator])
        raise
    _check_widths(path, SEPARATORS[separator])
    return frame


def _records(path: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yields a CSV file's records, each with its line as an editor counts it; blank lines are none."""
    with open(path, newline="", encoding="utf-8-sig") as stream:
        reader = csv.reader(stream, delimiter=separator)
        ended = 0
        try:
            for record in reader:
                ended = reader.line_num
                if len(record) > 1 or (record and (not record[0] or record[0].strip(" \t"))):
                    yield ended, record
        except csv.Error as error:  # an entry beyond Python's limit, often one whose second quotation mark is missing
            raise StudyError(
                f"{path}: the row that begins in line {ended + 1} cannot be read: {error}; expected shorter entries, and quotation "
                "marks in pairs"
            ) from error


def _check_no_comment(path: Path, separator: str) -> None:
    """Refuses a first line that is a comment: it is unlike the first without its sign, or that one names the columns."""
    records = _records(path, separator)
    line, first = next(records, (1, [""]))
    if not first[0].lstrip().startswith("#"):
        return
    second = next((record for _, record in records if not record[0].lstrip().startswith("#")), None)
    if second is not None and (len(second) != len(first) or not any(map(_is_datum, second))):
        raise StudyError(f"{path}: line {line}, {separator.join(first)!r}, is a comment; {_HEADER}")


def _check_no_wider(path: Path, separator: str) -> None:
    """Refuses a row with too many entries, by its line. Empty ones at its end are none."""
    records = _records(path, separator)
    first, names = next(records)
    for line, record in records:
        if len(record) > len(names) and any(record[len(names) :]):
            raise StudyError(
                f"{path}: line {line} has {len(record)} entries, more than the {len(names)} of line {first}, "
                f"{separator.join(names)!r}; {_HEADER}, and as many entries in each row"
            )


def _check_widths(path: Path, separator: str) -> None:
    """Refuses a row with too few entries: a file that was cut off, or a row that lost one, would read as missing at its end."""
    records = _records(path, separator)
    width = len(next(records)[1])
    for line, record in records:
        if len(record) < width:
            raise StudyError(
                f"{path}: line {line} has {len(record)} of {width} entries; leave one empty where it is missing"
            )


def _check_header(path: Path, names: list[str], separator: str, decimal: str) -> None:
    """Refuses a first line that does not name columns, or not as the separator would have it."""
    plain = [name.replace(DECIMALS[decimal], ".") for name in names]
    if any(map(_NUMBER.fullmatch, plain)) and all(map(_is_datum, plain)) and names[0] not in _MISSING:
        raise StudyError(f"{path}: {_HEADER}, found numbers, '{names[0]}' first")
    twice = next((name for number, name in enumerate(names) if name and name in names[:number]), None)
    if twice is not None:
        raise StudyError(f"{path}: two columns have the name '{twice}', expected each name once")
    if len(names) == 1:
        for other, sign in SEPARATORS.items():
            if sign in names[0]:
                raise StudyError(
                    f"{path}: found one column, {names[0]!r}, with 'separator: {separator}'; expected 'separator: {other}'"
                )
        _check_no_blank_line(path)


def _is_datum(entry: str) -> bool:
    """Returns whether an entry is a number, a time or missing, rather than a name."""
    return entry in _MISSING or any(form.fullmatch(entry) for form in (_NUMBER, _TIME))


def _check_no_blank_line(path: Path) -> None:
    """Refuses blank lines in a file of one column: they could be missing entries, or nothing."""
    lines = path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    header = next(number for number, line in enumerate(lines) if line.strip())
    for number, line in enumerate(lines[header:], header + 1):
        if not line.strip():
            raise StudyError(f"{path}: line {number} is blank, expected a value, or NA where it is missing")


def _with_index(frame: Any) -> Any:
    """Returns a table with its index, if it has a name, as a column like any other."""
    return frame.reset_index(drop=not any(frame.index.names))


def _netcdf(path: Path) -> Any:
    import xarray as xr

    with xr.open_dataset(path, engine="netcdf4") as dataset:
        return dataset.to_dataframe().reset_index()
