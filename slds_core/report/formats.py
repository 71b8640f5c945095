"""Numbers as the report writes them."""

import math

NOTHING = "–"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def scientific(value: float | None) -> str:
    """Returns a number in short scientific notation: ``1.2×10⁻³``."""
    if value is None:
        return NOTHING
    if value == 0 or not math.isfinite(value):
        return f"{value:g}".replace("inf", "∞")
    mantissa, exponent = f"{value:.1e}".split("e")
    power = f"×10{str(int(exponent)).translate(_SUPERSCRIPT)}" if int(exponent) else ""
    return f"{mantissa}{power}".replace("-", "−")


def relative(value: float | None) -> str:
    """Returns a relative error as people say it: a percentage where it is large, else as ``scientific``."""
    if value is None or not math.isfinite(value) or not 1e-3 <= value < 10:
        return scientific(value)
    return f"{float(f'{100 * value:.2g}'):g}\u00a0%"


def plain(value: object, digits: int = 9) -> str:
    """Returns a table's entry: numbers with their digits, truth as words, nothing as a dash."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u2009") if abs(value) > 9999 else str(value)
    return f"{value:.{digits}g}".replace("-", "−") if isinstance(value, float) else str(value)


def short(value: float | None) -> str:
    """Returns three digits, without an exponent where a reader needs none."""
    if value is None:
        return NOTHING
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else plain(float(value), 3)


def duration(seconds: float | None) -> str:
    """Returns a time in the unit that suits it: ``9.9 ms``, ``3.5 s``, ``12 min``."""
    if seconds is None:
        return NOTHING
    for limit, unit, scale in ((1e-3, "µs", 1e6), (1, "ms", 1e3), (600, "s", 1)):
        if seconds < limit:
            return f"{short(seconds * scale)}\u00a0{unit}"
    return f"{seconds / 60:.0f}\u00a0min"
