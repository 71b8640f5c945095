"""Direct labels that do not overlap: each beside its point, where there is room; the rest become a legend."""

import math
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from slds_core.report.figures.canvas import INK, WIDTH, plain, size, text_width

_SIZE = 8.0  # points
_CHARACTER = 0.066  # inches of one in a legend; DejaVu Sans on average
_ENTRY = 0.17  # inches of a legend's line
_FOOTNOTE = 0.36  # inches of two lines
_HIGH = 1.15
_NEAR = 6.0  # points from the mark to its label
_STEPS = (1.0, 2.0, 3.4)  # further away, with a line that leads there
_SIDES = ((1, 0), (1, 1), (1, -1), (-1, 0), (0, 1), (0, -1), (-1, 1), (-1, -1))
_CROSSED = 12.0  # what a point under a label costs, in square points; more than a quarter of the label is too many


@dataclass(frozen=True)
class Label:
    """A text for a point, in data coordinates."""

    x: float
    y: float
    text: str
    colour: str = INK
    marker: str = "o"
    filled: bool = True


def label_points(
    axes: Axes,
    labels: list[Label],
    avoid: Iterable[tuple[np.ndarray, np.ndarray]] = (),
    clear: Iterable[tuple[np.ndarray, np.ndarray]] = (),
) -> list[Label]:
    """Writes labels beside their points, clear of each other and of the words that are in the panel already.

    Args:
        axes: with its limits set for good.
        labels: in the order of importance.
        avoid: lines or points, as x and y, that should not be covered.
        clear: those that must not be.

    Returns:
        The labels for which there was no room.
    """
    width, height = size(axes)
    points = _in_points(axes, np.array([(la.x, la.y) for la in labels], dtype=float).reshape(-1, 2))
    covered = [_in_points(axes, np.column_stack(line)) for line in avoid]
    obstacles = np.concatenate([points, *(_dense(line) for line in covered)]) if len(points) else points
    obstacles = obstacles[np.all(np.isfinite(obstacles), axis=1)]
    forbidden = [_dense(_in_points(axes, np.column_stack(line)), 2) for line in clear]
    forbidden = np.concatenate([f for f in forbidden if len(f)] or [np.zeros((0, 2))])
    taken = [_place(axes, text) for text in axes.texts]
    left: list[Label] = []
    for label, (x, y) in zip(labels, points, strict=True):
        best: tuple[float, tuple[float, float, float, float], tuple[int, int], float] | None = None
        wide, high = text_width(label.text, _SIZE) + 1, _HIGH * _SIZE
        for step in _STEPS:
            for side in _SIDES:
                box = _box(x, y, wide, high, side, step * _NEAR)
                if box[0] < 1 or box[1] < 0 or box[2] > width + 4 or box[3] > height + 6:
                    continue
                if any(_overlap(box, other) for other in taken):
                    continue
                inside = (obstacles[:, 0] > box[0]) & (obstacles[:, 0] < box[2])
                inside &= (obstacles[:, 1] > box[1]) & (obstacles[:, 1] < box[3])
                if _on_marks(points, (x, y), box) or _on_marks(forbidden, (x, y), box):
                    continue
                if step > 1 and _crosses((x, y), box, taken):
                    continue
                cost = _CROSSED * int(inside.sum()) + 4 * (step - 1) + 0.1 * _SIDES.index(side)
                cost += 5 * _nearer(points, (x, y), box, step * _NEAR)
                if best is None or cost < best[0]:
                    best = cost, box, side, step
        if best is None or best[0] > _CROSSED * 2 or not np.isfinite(x + y):
            left.append(label)
            continue
        _, box, side, step = best
        taken.append(box)
        place = (box[0] if side[0] > 0 else box[2] if side[0] < 0 else (box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        far = step > 1
        axes.annotate(
            plain(label.text),
            (label.x, label.y),
            xytext=(place[0] - x, place[1] - y),
            textcoords="offset points",
            ha={1: "left", 0: "center", -1: "right"}[side[0]],
            va="center",
            fontsize=_SIZE,
            color=INK,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": label.colour, "lw": 0.7, "shrinkA": 1, "shrinkB": 3}
            if far
            else None,
        )
    return left


def legend(axes: Axes, labels: list[Label], **options: Any) -> None:
    """Draws a legend of labels that found no room."""
    handles = [
        Line2D(
            [],
            [],
            color=la.colour,
            marker=la.marker,
            linestyle="",
            markerfacecolor=la.colour if la.filled else "none",
            label=plain(la.text),
        )
        for la in labels
    ]
    if handles:
        axes.legend(handles=handles, **({"handletextpad": 0.2, "labelcolor": INK} | options))


def legend_beside(axes: Axes, labels: list[Label]) -> None:
    """Draws a legend beside the panel, which a long one would cover; where there is one, the figure becomes as wide as the text."""
    if labels:
        _widen(axes)
        legend(axes, labels, loc="upper left", bbox_to_anchor=(1.01, 1.01), fontsize=7.5)


def legend_below(figure: Figure, labels: list[Label]) -> None:
    """Draws a legend between the panels, which it would cover, and the footnote; where there is one, the figure becomes higher."""
    if not labels:
        return
    wide = figure.get_size_inches()[0]
    most = int((wide - 0.5) / _CHARACTER)
    labels = [replace(label, text=textwrap.fill(label.text, most)) for label in labels]
    lines = [line for label in labels for line in label.text.splitlines()]
    columns = columns_of(lines, wide)
    room = _ENTRY * math.ceil(len(lines) / columns) + 0.05
    _heighten(figure, room)
    legend(
        figure.axes[0], labels, loc="upper left", bbox_to_anchor=(0.1 / wide, (_FOOTNOTE + room) / figure.get_size_inches()[1]),
        bbox_transform=figure.transFigure, ncols=columns, columnspacing=1.2, labelspacing=0.35, borderaxespad=0,
    )  # fmt: skip


def columns_of(names: Iterable[str], width: float = WIDTH) -> int:
    """Returns how many columns of a legend's names fit below the panels of a figure so many inches wide, four at most."""
    widest = 0.3 + _CHARACTER * max(map(len, names), default=0)
    return max(1, min(4, int((width - 0.1) / widest)))


def write_clear(axes: Axes, words: str, points: Iterable[tuple[float, float]]) -> None:
    """Writes words at a panel's lower right, as low as they cover no mark: the points, in data coordinates."""
    text = axes.text(
        0.97, 0.03, plain(words), transform=axes.transAxes, ha="right", va="bottom", fontsize=_SIZE, color=INK
    )
    marks = _in_points(axes, np.array(list(points), dtype=float).reshape(-1, 2))
    for height in (*np.arange(0.03, 0.9, 0.04), 0.03):
        text.set_y(height)
        if not _on_marks(marks, (math.nan, math.nan), _place(axes, text)):
            return


def _place(axes: Axes, text: Text) -> tuple[float, float, float, float]:
    """Returns where words are, in points from the axes' lower left corner, without the line that leads to a label."""
    box = Text.get_window_extent(text)
    corners = (np.array([[box.x0, box.y0], [box.x1, box.y1]]) - axes.transAxes.transform((0, 0))) * 72 / axes.figure.dpi
    left, low, right, high = corners.ravel().tolist()
    return left, low, right, high


def _heighten(figure: Figure, more: float) -> None:
    """Makes a figure so many inches higher, and leaves its axes where they are below its upper edge."""
    width, low = figure.get_size_inches()
    high = low + more
    for axes in figure.axes:
        place = axes.get_position()
        axes.set_position((place.x0, (place.y0 * low + more) / high, place.width, place.height * low / high))
    figure.set_size_inches(width, high)


def _widen(axes: Axes) -> None:
    """Makes a figure as wide as the text, and leaves its axes where they are."""
    figure = axes.figure
    assert isinstance(figure, Figure)
    place, (narrow, height) = axes.get_position(), figure.get_size_inches()
    figure.set_size_inches(WIDTH, height)
    axes.set_position((place.x0 * narrow / WIDTH, place.y0, place.width * narrow / WIDTH, place.height))


def _in_points(axes: Axes, values: np.ndarray) -> np.ndarray:
    """Returns data coordinates as points from the axes' lower left corner."""
    if not len(values):
        return values
    with np.errstate(all="ignore"):
        pixels = axes.transData.transform(values)
    corner = axes.transAxes.transform((0, 0))
    return (pixels - corner) * 72 / axes.figure.dpi


def _dense(line: np.ndarray, apart: float = 6) -> np.ndarray:
    """Returns a line's points no further apart than so many points; by default, than a label is high."""
    if len(line) < 2:
        return line
    pieces = []
    for start, end in pairwise(line):
        if np.all(np.isfinite(start)) and np.all(np.isfinite(end)):
            count = min(max(math.ceil(np.linalg.norm(end - start) / apart), 1), 400)
            pieces.append(start + (end - start) * np.linspace(0, 1, count, endpoint=False)[:, None])
    return np.concatenate([*pieces, line[-1:]])


def _box(x: float, y: float, wide: float, high: float, side: tuple[int, int], gap: float):
    diagonal = 0.75 if side[0] and side[1] else 1.0
    centre = x + side[0] * (gap * diagonal + wide / 2), y + side[1] * (gap * diagonal + high / 2)
    return centre[0] - wide / 2, centre[1] - high / 2, centre[0] + wide / 2, centre[1] + high / 2


def _crosses(point: tuple[float, float], box: tuple[float, ...], taken: list[tuple[float, ...]]) -> bool:
    """Returns whether the line from a label to its point runs through another label."""
    centre = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    for share in np.linspace(0.1, 1, 10):
        x, y = (point[n] + share * (centre[n] - point[n]) for n in (0, 1))
        if any(b[0] <= x <= b[2] and b[1] <= y <= b[3] for b in taken):
            return True
    return False


def _on_marks(points: np.ndarray, own: tuple[float, float], box: tuple[float, ...]) -> bool:
    """Returns whether a label would touch another's mark."""
    other = points[np.all(np.isfinite(points), axis=1) & np.any(points != np.array(own), axis=1)]
    return bool(np.any(np.all((other > np.array(box[:2]) - 2) & (other < np.array(box[2:]) + 2), axis=1)))


def _nearer(points: np.ndarray, own: tuple[float, float], box: tuple[float, ...], gap: float) -> int:
    """Returns to how many other marks a label is as near as to its own."""
    other = points[np.all(np.isfinite(points), axis=1) & np.any(points != np.array(own), axis=1)]
    if not len(other):
        return 0
    outside = np.maximum(np.maximum(np.array(box[:2]) - other, other - np.array(box[2:])), 0)
    return int((np.linalg.norm(outside, axis=1) <= gap).sum())


def _overlap(first: tuple[float, ...], second: tuple[float, ...]) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]
