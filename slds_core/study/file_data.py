"""Time series from tables of one's own, as a plugin. It stands here, and not in ``plugins/``, because files enter in ``study/``."""

import re
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from slds_core.plugins import DataPlugin
from slds_core.study.errors import StudyError
from slds_core.study.table_columns import is_numeric, numbers
from slds_core.study.table_file import TableFile, read_table
from slds_core.study.table_times import sorted_times, steps_through

_UNNAMED = re.compile(r"Unnamed: \d+")  # pandas' name for a column whose name is empty, such as row numbers


class Table(DataPlugin):
    """Time series from a CSV, Parquet or NetCDF file: a row a step, a column a channel, missing entries left empty.

    A column of groups makes many sequences of one table. Rows are sorted by the time column.
    """

    path: Path = Field(description="the file, relative to the configuration's folder; its ending tells the format")
    columns: list[str] | None = Field(
        None, min_length=1, description="channels to use; all columns of numbers but time and group if left out"
    )
    time: str | None = Field(
        None,
        description="column to sort each sequence by: numbers, ISO dates, quarters (2020Q1) or weeks (2020-W05); the file's order if "
        "left out",
    )
    group: str | None = Field(None, description="column that tells sequences apart; one sequence if left out")
    gaps: Literal["fill", "keep"] = Field(
        "fill",
        description="'fill': steps that a column of whole-number times leaves out become missing steps; 'keep': rows follow each "
        "other as they are",
    )
    separator: Literal["comma", "semicolon", "tab"] = Field("comma", description="what separates a CSV file's columns")
    decimal: Literal["point", "comma"] = Field("point", description="a CSV file's decimal sign")
    standardise: bool = Field(
        True, description="whether to give each channel mean zero and variance one; outputs are in original units again"
    )

    def model_post_init(self, context: Any) -> None:
        """Checks that no column is named twice: what is wrong with the keys is told before anything runs.

        Raises:
            StudyError: names column and keys.
        """
        keys = [("time", self.time), ("group", self.group), *(("columns", name) for name in self.columns or [])]
        seen: dict[str, str] = {}
        for key, name in keys:
            if name is not None and name in seen:
                raise StudyError(f"{key}: '{name}' is named in '{seen[name]}' too, expected each column once")
            if name is not None:
                seen[name] = key

    def input_files(self) -> list[Path]:
        return [self.path]

    def load(self):
        from slds_core.data import series

        try:
            table = read_table(self.path, self.separator, self.decimal, [self.group] if self.group else [])
            columns = self._columns(table)
            frame = table.frame.assign(**{name: numbers(table, name) for name in columns})
            times = sorted_times(table, self.time) if self.time else None
            if times is not None:
                frame = frame.loc[times.index]
            groups = _groups(table, frame, self.group)
            found = [self._sequence(own, times, name, columns) for name, own in groups.items()]
            return series(
                [values for values, _ in found],
                columns,
                standardise=self.standardise,
                names=list(groups) if self.group else (),
                labels=[labels for _, labels in found] if self.time else (),
            )
        except ValueError as error:
            raise StudyError(f"{self.path}: {error}") from error

    def _columns(self, table: TableFile) -> list[str]:
        """Returns the channels' names, and tells which columns are none where nobody chose."""
        frame = table.frame
        special = [name for name in (self.time, self.group) if name is not None]
        for name in [*special, *(self.columns or [])]:
            if name not in frame:
                raise ValueError(f"no column '{name}'; expected one of: {', '.join(frame.columns)}")
        if self.columns:
            return self.columns
        others = [name for name in frame.columns if name not in special]
        chosen = [name for name in others if not _UNNAMED.fullmatch(name) and is_numeric(table, name)]
        left_out = [f"'{name}'" for name in others if name not in chosen]
        if not chosen:
            found = f"; found {', '.join(left_out)} without numbers or without a name" if left_out else ""
            raise ValueError(f"no numeric column besides time and group, expected at least one{found}")
        if left_out:
            print(
                f"{self.path}: {', '.join(left_out)} left out, without numbers or without a name; 'columns' chooses others",
                file=sys.stderr,
                flush=True,
            )
        return chosen

    def _sequence(self, frame: Any, times: Any, name: str, columns: list[str]) -> tuple[np.ndarray, list[str]]:
        """Returns one sequence's values, NaN where missing, and its steps' labels."""
        values = frame[columns].to_numpy(float)
        if times is None:
            return values, []
        where = f"group '{name}', column '{self.time}'" if self.group else f"column '{self.time}'"
        times = times.loc[frame.index]
        if not times.is_unique:
            twice = frame[self.time][times.duplicated()].iloc[0]
            raise ValueError(f"{where}: {twice} is given twice, expected each time once")
        if self.gaps == "keep" or times.dtype.kind not in "iu" or len(times) < 2:
            return values, [str(label) for label in frame[self.time]]
        given = times.to_list()
        try:
            steps = steps_through(given)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
        filled = np.full((len(steps), len(columns)), np.nan)
        filled[[steps.index(time) for time in given]] = values
        return filled, [str(step) for step in steps]


def _groups(table: TableFile, frame: Any, group: str | None) -> dict[str, Any]:
    """Returns the rows of each sequence by its name, all of them if there are no groups."""
    if group is None:
        return {"": frame}
    missing = table.frame[group].isna().to_numpy()
    if missing.any():
        raise ValueError(
            f"column '{group}', {table.place(int(missing.argmax()))}: a group is missing, expected one in each row; "
            "NA and null count as missing too"
        )
    groups = {str(name): own for name, own in frame.groupby(group, sort=True, observed=True)}
    try:
        return {name: groups[name] for name in sorted(groups, key=float)}  # 2 before 10
    except ValueError:
        return groups
