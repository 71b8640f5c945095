"""What all figures share: the style, panels at known places, logarithmic axes, and numbers as text."""

import math
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache, wraps
from itertools import takewhile
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

STYLE = Path(__file__).parents[1] / "slds.mplstyle"
WIDTH = 7.2  # inches, a page's text column
INK = "#1f2328"  # the style sheet's; in a page the text's own colour, light or dark
QUIET = "#808488"  # for what must not draw attention; 3.5:1 or more on white and on black
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = "osD^vPX"  # with six colours, 42 pairs
MISSING = "–"
_TITLE = 0.083  # inches a character of a title takes: bold, the style sheet's size

_STYLES = ["default", str(STYLE)]  # nothing of the caller's own settings
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def styled(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Returns a function that draws in our style and leaves the caller's as it is."""

    @wraps(function)
    def draw(*arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        with style.context(_STYLES):
            return function(*arguments, **options)

    return draw


def look(position: int) -> tuple[str, str]:
    """Returns colour and marker of a series; both change, so that either suffices."""
    return COLOURS[position % len(COLOURS)], MARKERS[position % len(MARKERS)]


def panel(figure: Figure, left: float, top: float, width: float, height: float, **options: Any) -> Axes:
    """Returns axes at a place given in inches from the upper left corner; ticks are styled here, since they are made late."""
    total_width, total_height = figure.get_size_inches()
    box = (left / total_width, 1 - (top + height) / total_height, width / total_width, height / total_height)
    axes = figure.add_axes(box, **options)
    axes.tick_params(colors=INK, labelsize=8, length=3)
    return axes


def size(axes: Axes) -> tuple[float, float]:
    """Returns width and height of axes, in points."""
    box, (width, height) = axes.get_position(), axes.figure.get_size_inches()  # type: ignore[union-attr]
    return box.width * width * 72, box.height * height * 72


def logarithmic(axes: Axes, which: str, values: Iterable[float], *, most: int = 6, least_decades: int = 2) -> None:
    """Makes an axis logarithmic over all positive finite values, whole decades, with no more labels than are readable."""
    found = np.array([v for v in values if np.isfinite(v) and v > 0])
    low, high = (math.floor(np.log10(found.min())), math.ceil(np.log10(found.max()))) if found.size else (-1, 1)
    low = min(low, high - least_decades)
    step = max(math.ceil((high - low) / most), 1)
    ticks = [10.0**n for n in range(low, high + 1) if n % step == 0]
    axis = axes.xaxis if which == "x" else axes.yaxis
    getattr(axes, f"set_{which}scale")("log")
    getattr(axes, f"set_{which}lim")(10.0**low, 10.0**high)
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: power(value)))


def power(value: float) -> str:
    """Returns a power of ten as text: 10⁻⁸; between a hundredth and a thousand as it is."""
    exponent = round(math.log10(value)) if value > 0 else 0
    return f"{value:g}" if -2 <= exponent <= 3 else f"10{str(exponent).translate(_SUPERSCRIPT)}"


def number(value: float, digits: int = 2) -> str:
    """Returns a number as text for people: 3.5×10⁻¹², 0.945, 87."""
    if not np.isfinite(value):
        return {"inf": "infinite", "-inf": "minus infinite"}.get(f"{value:g}", "not a number")
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        whole = float(value).is_integer() or abs(value) >= 1000
        return (f"{value:.0f}" if whole else f"{value:.{max(digits, 3)}g}").replace("-", "−")
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    tens = f"10{str(int(exponent)).translate(_SUPERSCRIPT)}"
    return tens if float(mantissa) == 1 else f"{mantissa.replace('-', '−')}×{tens}"


def rate(value: float) -> str:
    """Returns a contraction rate as text, so that it cannot be taken for 1 unless it is: 0.9453, 1 − 4.7×10⁻⁵."""
    if not np.isfinite(value) or value == 1 or abs(value - 1) >= 1e-3:
        return f"{value:.4f}" if np.isfinite(value) else MISSING
    return f"1 {'−' if value < 1 else '+'} {number(abs(value - 1))}"


@cache
def text_width(text: str, points: float) -> float:
    """Returns how wide a line of text of that size is in DejaVu Sans, in points."""
    font = FontProperties(family="DejaVu Sans", size=points)
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]


def plain(name: object) -> str:
    """Returns a setting's or parameter's name as text: a dollar sign would start a formula."""
    return str(name).replace("$", r"\$")


def shortened(names: Iterable[str], most: int = 36) -> dict[str, str]:
    """Returns names with their middle left out where they are longer than that, and longer still where they would be alike."""
    whole = list(dict.fromkeys(names))
    short = {name: _cut(name, most) for name in whole}
    while len(set(short.values())) < len(whole):
        most += 4
        counts = Counter(short.values())
        short |= {name: _cut(name, most) for name in whole if counts[short[name]] > 1}
    return short


def _cut(name: str, most: int) -> str:
    end = most // 2  # where grids write their values
    return name if len(name) <= most else f"{name[: most - 1 - end]}…{name[-end:]}"


def common_start(names: Sequence[str]) -> str:
    """Returns what all of several names begin with, up to an underscore; nothing where a name is no more than that."""
    if len(names) < 2:
        return ""
    first, last = min(names), max(names)  # those between begin alike
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    start = "".join(letter for letter, _ in alike)
    start = start[: start.rfind("_") + 1]
    return "" if start in names else start


def listed(names: Iterable[object], most: int = 4) -> str:
    """Returns names as text: a, b and c; of many, the first and how many more."""
    words = [str(name) for name in names]
    if len(words) > most:
        words = [*words[: most - 1], f"{len(words) - most + 1} more"]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else "none"


def note(text: str, *, width: float = WIDTH) -> Figure:
    """Returns a figure that says why there is nothing to see."""
    figure = Figure(figsize=(width, 0.6))
    figure.text(0.01, 0.5, text, va="center", color=INK)
    return figure


def fitted(title: str, width: float) -> str:
    """Returns a panel's title in lines that are no longer than so many inches."""
    return textwrap.fill(title, max(int(width / _TITLE), 8), break_long_words=False)


def footnote(figure: Figure, text: str) -> None:
    """Writes a line or two at the figure's lower left."""
    width, height = figure.get_size_inches()
    wrapped = textwrap.fill(text, int(16.5 * (width - 0.2)))
    figure.text(0.1 / width, 0.06 / height, wrapped, va="bottom", fontsize=7.5, color=INK, alpha=0.8)


def thinned(count: int, most: int) -> np.ndarray:
    """Returns positions of at most so many of the points of a line: first and last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)) if count else np.arange(0)


def name_steps(axes: Axes, labels: Sequence[str], first: int, stop: int) -> None:
    """Names some of the steps between two along the horizontal axis; without labels, the axis is that of time steps."""
    if not labels:
        axes.set_xlabel("time step")
        return
    ticks = first + thinned(stop - first, 8)
    axes.set_xticks(ticks, [plain(labels[t]) for t in ticks])
