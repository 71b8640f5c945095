"""Steps that are equally far apart, where a table's times are regular: those that it leaves out are known then.

Times that are periods as they are written (whole numbers, quarters, months, weeks) are regular whatever they leave out; of dates and
other numbers it is concluded, and within bounds.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from slds_core.study.table_times import WITH_ZONE

_MOST_STEPS = 10_000_000  # of one sequence; more are a slip in a time, not a gap
_MOST_FILLED = 2  # steps for each time of those whose regularity is concluded
_ROUNDING = 0.05  # of a gap, off its multiple: clocks that change, leap years, and decimals that were cut off


@dataclass(frozen=True)
class Grid:
    """Steps that are equally far apart, among which all times of a table are."""

    numbers: Any  # the times counted in some unit, by the number of the row
    step: int  # of how many units
    time: Callable[[int], Any] | None  # of a number; between its neighbours' times if ``None``
    sure: bool = True  # whether the times say so as they are written; else it is concluded

    def steps(self, times: Any, written: Sequence[str]) -> tuple[list[int], list[str]]:
        """Returns the step of each of a sequence's times, counted from zero, and the labels of all steps, of those left out too.

        Args:
            times: the sequence's, sorted.
            written: the same, as the table writes them.

        Raises:
            ValueError: there are more steps than can be meant, or the numbers are dates, which are not equally far apart.
        """
        given = self.numbers.loc[times.index].to_list()
        steps = _steps_through(given, self.step)
        places = [(number - given[0]) // self.step for number in given]
        found = [self.time(number) for number in steps] if self.time else _between(times.to_list(), places)
        known = {} if self.sure else dict(zip(places, written, strict=True))  # one date can be written in many ways
        labels = [known[place] if place in known else _label(time, written[0]) for place, time in enumerate(found)]
        return places, labels


def grid_of(sequences: Sequence[Any]) -> Grid | str:
    """Returns the grid of sequences of rising times, a step as long in all of them; in words why there is none where that is so."""
    import pandas as pd

    times = pd.concat(list(sequences))
    grid = _periods(times, sequences)
    if grid is not None:
        return grid
    grid = _months(times, sequences) or _working_days(times, sequences) or _multiples(sequences)
    if grid is None:
        return "found gaps that are not all whole multiples of the smallest"
    spans = [grid.numbers.loc[own.index] for own in sequences]
    count = sum(int(span.iloc[-1] - span.iloc[0]) // grid.step + 1 for span in spans)
    most = _MOST_FILLED * len(times)
    if count > most:
        found = str(count) if count <= _MOST_STEPS else f"more than {_MOST_STEPS}"
        return f"found {len(times)} times with gaps that it would take {found} steps to fill, expected at most {most}"
    return grid


def _periods(times: Any, sequences: Sequence[Any]) -> Grid | None:
    """Returns the grid of times that are written as periods: whole numbers, quarters, months, weeks; ``None`` for others."""
    from pandas.api.types import infer_dtype

    if times.dtype.kind in "iu":
        return Grid(times, _common_step(times, sequences), int)
    if infer_dtype(times) != "string":
        return None
    first = times.iloc[0]
    dash = "-" if "-" in first else ""
    years = times.str[:4].astype(int)
    if "Q" in first:
        numbers = 4 * years + times.str[-1].astype(int) - 1
        name: Callable[[int], str] = lambda number: f"{number // 4:04}{dash}Q{number % 4 + 1}"
    elif "W" in first:
        try:
            mondays = [date.fromisocalendar(int(text[:4]), int(text[-2:]), 1) for text in times]
        except ValueError:  # not of ISO 8601: others count a 53rd week in each year
            return None
        numbers = years * 0 + [day.toordinal() // 7 for day in mondays]
        name = lambda number: _week(number, dash)
    else:
        numbers = 12 * years + times.str[-2:].astype(int) - 1
        name = lambda number: f"{number // 12:04}-{number % 12 + 1:02}"
    return Grid(numbers, _common_step(numbers, sequences), name)


def _week(number: int, dash: str) -> str:
    year, week, _ = date.fromordinal(7 * number + 1).isocalendar()
    return f"{year:04}{dash}W{week:02}"


def _months(times: Any, sequences: Sequence[Any]) -> Grid | None:
    """Returns the grid of dates on one day of the month, or on its last where it has no such day; ``None`` for others."""
    import pandas as pd

    clock = _clock(times)
    if clock is None:
        return None
    days, lengths = times.dt.day, times.dt.days_in_month
    day = 31 if (days == lengths).all() else int(days.max())
    if (days != lengths.clip(upper=day)).any():
        return None

    def time(number: int) -> Any:
        first = pd.Timestamp(number // 12, number % 12 + 1, 1, tz=times.dt.tz)
        return first.replace(day=min(day, int(first.days_in_month))) + clock

    numbers = 12 * times.dt.year.astype("int64") + times.dt.month - 1
    return Grid(numbers, _common_step(numbers, sequences), time, sure=False)


def _working_days(times: Any, sequences: Sequence[Any]) -> Grid | None:
    """Returns the grid of the days from Monday to Friday, for dates some of which are a day apart and none at a weekend."""
    import pandas as pd

    clock = _clock(times)
    if clock is None or (times.dt.day_of_week > 4).any():
        return None
    if not any((own.diff() == pd.Timedelta(days=1)).any() for own in sequences):
        return None
    days = times.dt.tz_localize(None).to_numpy().astype("datetime64[D]")
    first = days.min()
    numbers = pd.Series(np.busday_count(first, days), times.index)
    time = lambda number: pd.Timestamp(np.busday_offset(first, number), tz=times.dt.tz) + clock
    return Grid(numbers, 1, time, sure=False)


def _clock(times: Any) -> Any:
    """Returns the time of day that all dates have, zero where they are days; ``None`` if there is more than one, or no dates."""
    if times.dtype.kind != "M":
        return None
    clocks = times - times.dt.normalize()
    return clocks.iloc[0] if clocks.nunique() == 1 else None


def _multiples(sequences: Sequence[Any]) -> Grid | None:
    """Returns the grid of times all of whose gaps are whole multiples of the smallest; ``None`` for others."""
    import pandas as pd

    try:
        with np.errstate(over="ignore", invalid="ignore"):  # what is infinite is refused below
            gaps = [np.diff(_instants(own)) for own in sequences]
            smallest = min((own.min() for own in gaps if len(own)), default=1)
            ratios = [(own / smallest).astype(float) for own in gaps]
            counts = [np.rint(own) for own in ratios]
            off = [np.abs(own - count) for own, count in zip(ratios, counts, strict=True)]
    except (TypeError, ArithmeticError):  # no differences, as of text
        return None
    if not all((own <= _ROUNDING).all() for own in off):
        return None
    numbers = [list(accumulate(map(int, own), initial=0)) for own in counts]
    index = [row for own in sequences for row in own.index]
    return Grid(pd.Series([number for own in numbers for number in own], index, object), 1, None, sure=False)


def _instants(times: Any) -> np.ndarray:
    """Returns times as an array, dates of a time zone by Greenwich's clock, which never changes."""
    zoned = times.dtype.kind == "M" and times.dt.tz is not None
    return (times.dt.tz_convert(None) if zoned else times).to_numpy()


def _between(times: list[Any], places: list[int]) -> list[Any]:
    """Returns the times of all steps: those given at their places, and the missing ones at equal distances between them."""
    found = times[:1]
    for (earlier, later), (start, stop) in zip(pairwise(times), pairwise(places), strict=True):
        count = stop - start
        found += [earlier + (later - earlier) * k / count for k in range(1, count)]
        found.append(later)
    return found


def _label(time: Any, like: str) -> str:
    """Returns a time as text: a date with no more of its clock and its zone than another that the table has written."""
    if isinstance(time, float):
        return f"{time:.12g}"
    if not isinstance(time, datetime):
        return str(time)
    if ":" not in like:
        return time.date().isoformat()
    zoned = re.search(WITH_ZONE, like) is not None
    return (time if zoned else time.replace(tzinfo=None)).isoformat("T" if "T" in like else " ")


def _common_step(numbers: Any, sequences: Sequence[Any]) -> int:
    """Returns the greatest step that leads from each number of a sequence to its next, one where no sequence has two."""
    gaps = (later - earlier for own in sequences for earlier, later in pairwise(numbers.loc[own.index].to_list()))
    return math.gcd(*gaps) or 1


def _steps_through(times: list[int], step: int) -> range:
    """Returns the steps from the first of rising whole numbers to the last.

    Raises:
        ValueError: there are more than can be meant, or the numbers are dates, which are not equally far apart.
    """
    count = (times[-1] - times[0]) // step + 1
    if count > _MOST_STEPS:
        raise ValueError(
            f"{count} steps of {step} would fill the gaps between {len(times)} times from {times[0]} to {times[-1]}, expected at most "
            f"{_MOST_STEPS}; 'gaps: keep' leaves them as they are"
        )
    steps = range(times[0], times[-1] + 1, step)
    if _are_dates(times) and not _are_dates(steps):
        form = "2020-01-31" if len(str(times[0])) == 8 else "2020-01"
        raise ValueError(
            f"times from {times[0]} to {times[-1]} are dates, whose gaps cannot be filled as those of numbers; write them as {form}, "
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
