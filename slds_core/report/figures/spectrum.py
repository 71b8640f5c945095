"""The spectrum of the sweep's Jacobian: its leading eigenvalues at every state that inference reached."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from slds_core.report.figures.canvas import (
    INK,
    WIDTH,
    footnote,
    listed,
    look,
    note,
    number,
    panel,
    rate,
    shortened,
    styled,
)
from slds_core.report.figures.labels import Label, legend
from slds_core.report.load import ModelResults

TITLE = "Spectrum of a sweep"
_SHOWN = 24  # eigenvalues; Ritz values further in are not settled
_DRAWN = 6  # spectra
_SAID = 3  # those in the caption
_ENTRY = 0.17  # inches of a legend's line
_SAME = 1e-6  # spectra whose largest eigenvalues differ by less are of one fixed point


@dataclass(frozen=True)
class _Spectrum:
    names: tuple[str, ...]
    values: np.ndarray
    errors: np.ndarray


@styled
def spectrum(results: ModelResults) -> Figure:
    """Returns the leading eigenvalues of the sweep's Jacobian with bounds on their errors; settings at one fixed point share marks."""
    spectra = [s for s in _spectra(results) if np.isfinite(s.values).any()]
    if not spectra:
        return note("Spectrum: no setting has a finite eigenvalue.")
    drawn = spectra[:_DRAWN]
    height = 1.85
    figure = Figure(figsize=(WIDTH, 1.0 + height + _ENTRY * len(drawn)))
    axes = panel(figure, 0.72, 0.3, WIDTH - 0.95, height)
    ends = []
    count = min(max(len(s.values) for s in drawn), _SHOWN)
    for k, found in enumerate(drawn):
        colour, marker = look(k)
        values, errors = found.values[:_SHOWN], found.errors[:_SHOWN]
        place = np.arange(1, len(values) + 1) + 0.14 * (k - (len(drawn) - 1) / 2)
        axes.errorbar(
            place, values, np.where(np.isfinite(errors), errors, 0), fmt=marker, color=colour, elinewidth=1.2, capsize=2.5,
            markersize=4.5, zorder=3,
        )  # fmt: skip
        leading = float(values[0])
        brief = shortened(found.names, 40 if len(found.names) < 3 else 20)
        ends.append(Label(place[0], leading, f"λ = {rate(leading)}  {listed(brief.values(), 4)}", colour, marker))
    top = max(1.0, max(float(np.nanmax(s.values)) for s in drawn))
    axes.axhline(1, color=INK, linewidth=0.8)
    axes.set(xlim=(0.3, count + 0.7), ylim=(0, 1.12 * top))
    axes.set_xticks(range(1, count + 1) if count < 10 else [n for n in (1, 5, 10, 15, 20) if n <= count])
    axes.text(count + 0.6, 1.015, "1: sweeps stop contracting", ha="right", va="bottom", fontsize=8, color=INK)
    # below the panel: in it, small eigenvalues leave room elsewhere than large ones
    legend(axes, ends, loc="upper left", bbox_to_anchor=(-0.02, -0.42 / height), borderaxespad=0)
    axes.set(xlabel="eigenvalue, from the largest", ylabel="factor per sweep (1)")
    axes.set_title("Share of each direction's error that one sweep leaves", pad=8)
    more = len(spectra) - len(drawn)
    left_out = (
        f" {more} more {'spectra are' if more > 1 else 'spectrum is'} in the figure's data (CSV)." if more else ""
    )
    footnote(figure, f"Bars: bounds on the errors.{left_out}")
    return figure


def describe(results: ModelResults) -> str:
    """Returns what the figure shows: the largest eigenvalues, and what they mean."""
    sentences = []
    spectra = [s for s in _spectra(results) if np.isfinite(s.values[0])]
    for found in spectra[:_SAID]:
        largest = float(found.values[0])
        meaning = _meaning(largest)
        follow = f", the next {rate(float(found.values[1]))}" if len(found.values) > 1 else ""
        sentences.append(f"The largest eigenvalue λ is {rate(largest)} at {listed(found.names)} ({meaning}){follow}.")
    more = len(spectra) - _SAID
    if more > 0:
        sentences.append(f"The other {f'{more} are' if more > 1 else 'one is'} in the figure's data.")
    return " ".join(sentences) or "No setting has a finite eigenvalue."


def _meaning(largest: float) -> str:
    """Returns what the largest eigenvalue says of the sweeps."""
    if largest >= 1:
        return "at least 1: sweeps would leave this state, it is no strict maximum"
    if largest <= 0:  # of one state, or without coupling: nothing is left to repeat
        return "not above 0: one sweep forgets where it started"
    sweeps = float(np.log(10) / -np.log(largest))
    if sweeps < 1:
        return f"each sweep gains {1 / sweeps:.1f} decimal digits"
    return f"every {f'{sweeps:.1f}' if sweeps < 9.95 else number(round(sweeps))} sweeps gain a decimal digit"


def table(results: ModelResults) -> list[dict[str, Any]]:
    """Returns a row for each setting and eigenvalue."""
    return [
        {"setting": name, "position": n + 1, "eigenvalue": float(value), "error_bound": float(error)}
        for name, values, errors in _all(results)
        for n, (value, error) in enumerate(zip(values, errors, strict=True))
    ]


def applies(results: ModelResults) -> bool:
    """Returns whether any residual file has a spectrum."""
    return bool(_all(results))


def _all(results: ModelResults) -> list[tuple[str, np.ndarray, np.ndarray]]:
    found = []
    for name, dataset in results.residual.items():
        if "eigenvalue" in dataset and dataset["eigenvalue"].size:
            values = dataset["eigenvalue"].values.astype(float)
            known = "eigenvalue_error" in dataset
            found.append((name, values, dataset["eigenvalue_error"].values.astype(float) if known else values * np.nan))
    return found


def _spectra(results: ModelResults) -> list[_Spectrum]:
    """Returns the spectra, settings with the same leading eigenvalues together."""
    spectra: list[_Spectrum] = []
    for name, values, errors in _all(results):
        for k, known in enumerate(spectra):
            leading = min(len(values), len(known.values), 2)
            if np.allclose(values[:leading], known.values[:leading], rtol=0, atol=_SAME):
                spectra[k] = _Spectrum((*known.names, name), known.values, known.errors)
                break
        else:
            spectra.append(_Spectrum((name,), values, errors))
    return sorted(spectra, key=lambda s: -len(s.names))
