"""Certificates: the certified error against the true one."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from slds_core.report.figures.canvas import (
    QUIET,
    footnote,
    listed,
    logarithmic,
    look,
    note,
    number,
    panel,
    plain,
    shortened,
    styled,
)
from slds_core.report.figures.compared import FLOOR, Estimate, compared, estimates, reference
from slds_core.report.figures.labels import Label, label_points, legend_beside, write_clear
from slds_core.report.load import ModelResults

TITLE = "Certified against true errors"
_NAMED = 14
_WIDTH = 4.9


@styled
def certificates(results: ModelResults) -> Figure:
    """Returns the certified error against the true one for each estimator that has a certificate (log scales)."""
    found, without, infinite = _sorted(results)
    beyond, unknown = _undrawn(results)
    if not found:
        words = "Certificates: no estimator with a finite one has a finite error."
        return note(words if beyond or unknown else "Certificates: no estimator has a finite one.", width=_WIDTH)
    figure = Figure(figsize=(_WIDTH, 4.55))
    axes = panel(figure, 0.78, 0.34, 3.85, 3.45)
    errors = [max(e.error, FLOOR) for e in found]
    bounds = [max(e.certificate, FLOOR) for e in found]
    logarithmic(axes, "x", errors + bounds, most=6)
    logarithmic(axes, "y", errors + bounds, most=6)
    low, high = axes.get_xlim()
    low, high = low / 2, high * 2
    axes.set(xlim=(low, high), ylim=(low, high))
    diagonal = np.geomspace(low, high, 60)
    axes.fill_between(diagonal, low, diagonal, color=QUIET, alpha=0.16, linewidth=0, zorder=0)
    axes.plot(diagonal, diagonal, color=QUIET, linewidth=1, zorder=1)
    write_clear(axes, "bound < error: broken", zip(errors, bounds, strict=True))
    labels, brief = [], shortened((e.name for e in found[:_NAMED]), 30)
    for k, (e, x, y) in enumerate(zip(found, errors, bounds, strict=True)):
        named = k < _NAMED
        colour, marker = look(k) if named else (QUIET, ".")
        axes.plot(x, y, marker, color=colour, markersize=6 if named else 4, zorder=3 if named else 2)
        if named:
            labels.append(Label(x, y, brief[e.name], colour, marker))
    legend_beside(axes, label_points(axes, labels, [(diagonal, diagonal)]))
    axes.set(xlabel="true relative error (1)", ylabel="certified relative error (1)")
    axes.set_title("A certificate holds above the line", pad=8)
    more = [f"errors are against {plain(reference(results))}"]
    more += [f"errors up to {number(found[0].resolution)} are its own"] if _unseen(found) else []
    more += [f"{len(found) - _NAMED} more in grey"] if len(found) > _NAMED else []
    more += [f"broken, of infinite error: {plain(listed((e.name for e in beyond), 3))}"] if beyond else []
    more += [f"{len(unknown)} of unknown error"] if unknown else []
    more += [f"infinite: {plain(listed(infinite, 3))}"] if infinite else []
    more += [f"{len(without)} {'estimators have' if len(without) > 1 else 'estimator has'} none"] if without else []
    text = "; ".join(more)
    footnote(figure, text[:1].upper() + text[1:])  # names keep their letters
    return figure


def describe(results: ModelResults) -> str:
    """Returns what the figure shows: how many certificates hold, and how much larger than the error they are."""
    found, without, infinite = _sorted(results)
    beyond, unknown = _undrawn(results)
    if not (found or beyond or unknown):
        return f"No estimator has a finite certificate; {len(without)} have none."
    broken = beyond + [e for e in found if not e.holds]
    slack = [e.certificate / e.error for e in found if e.error > e.resolution]
    count = len(found) + len(beyond)
    text = f"{count - len(broken)} of {count} certificates hold."
    if broken:
        named = (f"{e.name} (error {number(e.error)}, bound {number(e.certificate)})" for e in broken)
        text += f" Broken: {listed(named)}."
    unseen = _unseen(found)
    if unseen:
        text += f" The error of {listed(e.name for e in unseen)} is no larger than that of {reference(results)} itself, up to "
        text += f"{number(unseen[0].resolution)}."
    text += f" Of unknown error, and so not counted: {listed(e.name for e in unknown)}." if unknown else ""
    if slack:
        tight = min(found, key=lambda e: e.certificate)
        text += (
            f" The bounds are {number(min(slack))} to {number(max(slack))} times the true error, "
            f"at the median {number(float(np.median(slack)))}; "
            f"the smallest is {number(tight.certificate)}, of {tight.name} (error {number(tight.error)})."
        )
    text += f" Infinite: {listed(infinite)}." if infinite else ""
    return text + (f" Without a certificate: {listed(without)}." if without else "")


def table(results: ModelResults) -> list[dict[str, Any]]:
    """Returns a row for each estimator."""
    return [
        {
            "estimator": e.name,
            "reference": reference(results),
            "true_relative_error": e.error,
            "certified_relative_error": e.certificate,
            # an infinite one says nothing
            "holds": None if not np.isfinite(e.certificate) or np.isnan(e.error) else e.holds,
        }
        for e in (estimates(results) if compared(results) else [])
    ]


def applies(results: ModelResults) -> bool:
    """Returns whether any estimator has a finite certificate that holds or is broken."""
    return compared(results) and bool(_sorted(results)[0] or _undrawn(results)[0])


def _sorted(results: ModelResults) -> tuple[list[Estimate], list[str], list[str]]:
    """Returns the estimators with finite certificate and error, the names of those without one, and of those with an infinite one."""
    every = estimates(results)
    finite = [e for e in every if np.isfinite(e.certificate) and np.isfinite(e.error)]
    without = [e.name for e in every if np.isnan(e.certificate)]
    return sorted(finite, key=lambda e: e.error), without, [e.name for e in every if np.isinf(e.certificate)]


def _unseen(found: list[Estimate]) -> list[Estimate]:
    """Returns those below the line of which nothing can be told: the reference itself may be off by as much."""
    return [e for e in found if e.holds and e.error > e.certificate]


def _undrawn(results: ModelResults) -> tuple[list[Estimate], list[Estimate]]:
    """Returns the estimators with a finite certificate whose error is infinite, and those whose error is unknown."""
    finite = [e for e in estimates(results) if np.isfinite(e.certificate)]
    return [e for e in finite if np.isinf(e.error)], [e for e in finite if np.isnan(e.error)]
