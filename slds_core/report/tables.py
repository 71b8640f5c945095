"""Tables: what a column holds, what it means, how it reads, sorts and exports."""

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from slds_core.report.formats import NOTHING, plain


class Cell(NamedTuple):
    """One entry."""

    text: str
    value: Any  # what it sorts by, and what the CSV holds
    tone: str = ""  # of a verdict

    @property
    def order(self) -> str:
        """What it sorts by, as the page's script reads it: nothing of what is unknown, which comes last."""
        if self.value is None or (isinstance(self.value, float) and math.isnan(self.value)):
            return ""
        return str(self.value).replace("inf", "Infinity") if isinstance(self.value, float) else str(self.value)


@dataclass(frozen=True)
class Column:
    """One column of a table of rows of any kind."""

    title: str
    meaning: str
    value: Callable[[Any], Any]
    show: Callable[[Any], str] = plain
    units: str = ""
    numeric: bool = True
    tone: Callable[[Any], str] | None = None  # of a verdict
    quiet: bool = False  # prose, which may wrap

    def cell(self, row: Any) -> Cell:
        """Returns a row's entry."""
        value = self.value(row)
        return Cell(self.show(value), value, self.tone(row) if self.tone else "")

    @property
    def exported(self) -> "Sequence[Column]":
        """The columns of the CSV: itself, and where its entries say more than one thing, others beside it."""
        return (self,)

    @property
    def heading(self) -> str:
        """The title with its units."""
        return f"{self.title} ({self.units})" if self.units else self.title


def text(title: str, meaning: str, value: Callable[[Any], Any], **options: Any) -> Column:
    """Returns a column of words."""
    return Column(title, meaning, value, numeric=False, **options)


@dataclass(frozen=True)
class Table:
    """A table with its caption; the first column names the row."""

    name: str  # unique in the page
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Any] = field(default_factory=list)

    @property
    def cells(self) -> list[list[Cell]]:
        """All entries, by row."""
        return [[column.cell(row) for column in self.columns] for row in self.rows]

    @property
    def shown(self) -> "Table":
        """The table without the columns that say nothing in any row."""
        cells = self.cells
        silent = ("", NOTHING)
        kept = [c for k, c in enumerate(self.columns) if k == 0 or any(row[k].text not in silent for row in cells)]
        return Table(self.name, self.caption, kept, self.rows)

    def to_csv(self) -> str:
        """Returns the table as CSV, numbers with all their digits."""
        columns = [exported for column in self.columns for exported in column.exported]
        return _csv(
            [column.heading for column in columns],
            [[column.cell(row).value for column in columns] for row in self.rows],
        )


def to_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Returns flat rows as CSV."""
    head = list(dict.fromkeys(key for row in rows for key in row))
    return _csv(head, [[row.get(key) for key in head] for row in rows])


def _csv(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([head, *rows])
    return stream.getvalue()
