"""Direct labels that do not overlap: each beside its point, where there is room; the rest become a legend."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from slds_core.report.figures.canvas import INK, WIDTH, plain, size

_SIZE = 8.0  # points
_WIDE = 0.61  # of a character, relative to its size; DejaVu Sans on average, rounded up
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


def label_points(axes: Axes, labels: list[Label], avoid: Iterable[tuple[np.ndarray, np.ndarray]] = ()) -> list[Label]:
    """Writes labels beside their points.

    Args:
        axes: with its limits set for good.
        labels: in the order of importance.
        avoid: lines or points, as x and y, that should not be covered.

    Returns:
        The labels for which there was no room.
    """
    width, height = size(axes)
    points = _in_points(axes, np.array([(la.x, la.y) for la in labels], dtype=float).reshape(-1, 2))
    covered = [_in_points(axes, np.column_stack(line)) for line in avoid]
    obstacles = np.concatenate([points, *(_dense(line) for line in covered)]) if len(points) else points
    obstacles = obstacles[np.all(np.isfinite(obstacles), axis=1)]
    taken: list[tuple[float, float, float, float]] = []
    left: list[Label] = []
    for label, (x, y) in zip(labels, points, strict=True):
        best: tuple[float, tuple[float, float, float, float], tuple[int, int], float] | None = None
        wide, high = _WIDE * _SIZE * len(label.text), _HIGH * _SIZE
        for step in _STEPS:
            for side in _SIDES:
                box = _box(x, y, wide, high, side, step * _NEAR)
                if box[0] < 0 or box[1] < -2 or box[2] > width + 4 or box[3] > height + 6:
                    continue
                if any(_overlap(box, other) for other in taken):
                    continue
                inside = (obstacles[:, 0] > box[0]) & (obstacles[:, 0] < box[2])
                inside &= (obstacles[:, 1] > box[1]) & (obstacles[:, 1] < box[3])
                if _on_marks(points, (x, y), box):
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


def _dense(line: np.ndarray) -> np.ndarray:
    """Returns a line's points no further apart than a label is high."""
    if len(line) < 2:
        return line
    pieces = []
    for start, end in pairwise(line):
        if np.all(np.isfinite(start)) and np.all(np.isfinite(end)):
            count = min(max(int(np.linalg.norm(end - start) / 6), 1), 60)
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
