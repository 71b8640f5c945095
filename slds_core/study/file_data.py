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
from slds_core.study.table_grid import grid_of
from slds_core.study.table_times import sorted_times

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
        description="column to sort each sequence by: numbers, ISO dates, months (2020-01), quarters (2020Q1) or weeks (2020-W05); the "
        "file's order if left out",
    )
    group: str | None = Field(None, description="column that tells sequences apart; one sequence if left out")
    gaps: Literal["fill", "keep"] = Field(
        "fill",
        description="'fill': steps that regular times leave out become missing steps, and a line tells where times are not regular; "
        "'keep': rows follow each other as they are",
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
            steps = self._steps(times, groups)
            found = [_sequence(own[columns].to_numpy(float), *steps[name]) for name, own in groups.items()]
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
            self._tell(f"{', '.join(left_out)} left out, without numbers or without a name; 'columns' chooses others")
        return chosen

    def _steps(self, times: Any, groups: dict[str, Any]) -> dict[str, tuple[list[int], list[str]]]:
        """Returns each row's step and all steps' labels, by the sequence's name; tells where times are no regular steps."""
        if times is None:
            return {name: (list(range(len(own))), []) for name, own in groups.items()}
        rising = {name: times.loc[own.index] for name, own in groups.items()}
        for name, own in rising.items():
            if not own.is_unique:
                twice = groups[name][self.time][own.duplicated()].iloc[0]
                raise ValueError(f"{self._where(name)}: {twice} is given twice, expected each time once")
        written = {name: [str(label) for label in own[self.time]] for name, own in groups.items()}
        kept = {name: (list(range(len(own))), own) for name, own in written.items()}
        if self.gaps == "keep":
            return kept
        grid = grid_of(list(rising.values()))
        if isinstance(grid, str):
            self._tell(f"column '{self.time}': {grid}; rows follow each other as they are, as with 'gaps: keep'")
            return kept
        steps = {}
        for name, own in rising.items():
            try:
                steps[name] = grid.steps(own, written[name])
            except ValueError as error:
                raise ValueError(f"{self._where(name)}: {error}") from error
        return steps

    def _where(self, name: str) -> str:
        return f"group '{name}', column '{self.time}'" if self.group else f"column '{self.time}'"

    def _tell(self, line: str) -> None:
        """Tells what was not asked for, in the job's log."""
        print(f"{self.path}: {line}", file=sys.stderr, flush=True)


def _sequence(values: np.ndarray, places: list[int], labels: list[str]) -> tuple[np.ndarray, list[str]]:
    """Returns one sequence's values at the steps that rows have, NaN at all others, and the steps' labels."""
    filled = np.full((places[-1] + 1, values.shape[1]), np.nan)
    filled[places] = values
    return filled, labels


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
