"""The page: results in, one self-contained HTML file and the figures out."""

import html
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from slds_core.report import figures
from slds_core.report.claims import CLAIMS, draw_claims
from slds_core.report.load import ModelResults, load_results, settings
from slds_core.report.notebook import notebook_table
from slds_core.report.rows import convergence_rows, gradient_rows
from slds_core.report.sequences import sequence_rows
from slds_core.report.svg import render_svg, to_element
from slds_core.study.errors import StudyError


@dataclass(frozen=True)
class Picture:
    """A figure in the page, with its caption and the stem of its files."""

    name: str
    caption: str
    svg: str


_FIGURES = {
    "convergence": (
        figures.convergence,
        "Residual and gap to the best evidence lower bound against sweeps, one line for each setting.",
    ),
    "posterior": (figures.posterior, "Expected statistics of the posterior that took most sweeps."),
    "gradients": (
        figures.gradient_errors,
        "Relative difference of each estimator from the reference, for each parameter group.",
    ),
    "work": (
        figures.work_precision,
        "Error of each estimator against its products, run time and memory; filled marks are on the Pareto front.",
    ),
    "certificates": (
        figures.certificates,
        "Certified against true relative error; a mark below the line would be a broken certificate.",
    ),
    "cost": (figures.cost, "Compile time, run time and temporary memory of each estimator."),
}
_NEEDS = {
    "convergence": "inference",
    "posterior": "inference",
    "gradients": "comparison",
    "work": "comparison",
    "certificates": "comparison",
    "cost": "gradient",
}


def write_report(files: list[Path], output: Path, title: str, figure_folder: Path | None) -> str:
    """Writes the report and its figures.

    Args:
        files: the study's NetCDF files, in any order.
        output: the page to write.
        title: its heading.
        figure_folder: where the figures go as SVG and PDF; nowhere if ``None``.

    Returns:
        A sentence on what was written.

    Raises:
        StudyError: a file cannot be used, or the page cannot be written.
    """
    results = load_results(files)
    claims = [
        _picture("claims", key, CLAIMS[key][1], figure, figure_folder) for key, figure in draw_claims(results).items()
    ]
    pictures = {
        name: {key: _picture(name, key, _FIGURES[key][1], figure, figure_folder) for key, figure in _draw(found)}
        for name, found in results.items()
    }
    environment = Environment(
        loader=PackageLoader("slds_core.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "scientific": scientific,
        "plain": plain,
        "runs": runs,
    }
    page = environment.get_template("report.html.j2").render(
        title=title,
        results=results,
        pictures=pictures,
        claims=claims,
        convergence={name: convergence_rows(found) for name, found in results.items()},
        sequences={name: sequence_rows(found) for name, found in results.items()},
        gradients={name: gradient_rows(found) for name, found in results.items()},
        settings=settings,
        notebook={name: notebook_table(found) for name, found in results.items()},
        provenance=_provenance(results),
    )
    temporary = output.with_name(f".{output.name}.part")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(page, encoding="utf-8")
        os.replace(temporary, output)
    except OSError as error:
        raise StudyError(f"{output}: cannot be written: {error}") from error
    count = len(claims) + sum(len(found) for found in pictures.values())
    return f"{len(results)} models, {count} figures, {len(page.encode()) / 2**20:.2f} MiB"


def scientific(value: float | None, digits: int = 2) -> str:
    """Returns a number in short scientific notation, as text."""
    if value is None:
        return "–"
    if value == 0 or not np.isfinite(value):
        return f"{value:g}"
    mantissa, exponent = f"{value:.{digits}e}".split("e")
    return (
        f"{mantissa}\u00a0×\u00a010{str(int(exponent)).translate(_SUPERSCRIPT)}".replace("-", "−")
        if int(exponent)
        else mantissa
    )


def plain(value: object, digits: int = 9) -> str:
    """Returns a table's entry as text: numbers with their digits, truth as words, nothing as a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def runs(items: Iterable[Any], attribute: str) -> list[tuple[Any, list[Any]]]:
    """Returns neighbours that share an attribute's value, together, in their order."""
    return [(key, list(group)) for key, group in groupby(items, attrgetter(attribute))]


_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _draw(results: ModelResults) -> Iterator[tuple[str, Figure]]:
    for key, (function, _) in _FIGURES.items():
        needed = getattr(results, _NEEDS[key])
        if needed is not None and len(needed):
            yield key, function(results)


def _picture(place: str, key: str, caption: str, figure: Figure, folder: Path | None) -> Picture:
    document = render_svg(figure)
    figure.set_layout_engine("none")  # as laid out just now; again for the PDF would double the time
    if folder is not None:
        target = folder / place
        target.mkdir(parents=True, exist_ok=True)
        (target / f"{key}.svg").write_text(document, encoding="utf-8")
        figure.savefig(target / f"{key}.pdf", metadata={"CreationDate": None})
    name = html.escape(f"{place}-{key}".replace(" ", "-"))
    return Picture(
        f"{place}/{key}", caption, to_element(document, figure.get_size_inches()[0], name, html.escape(caption))
    )


def _provenance(results: dict[str, ModelResults]) -> dict[str, str]:
    first = next(iter(results.values()))
    dataset = first.model or next(iter((first.inference | first.residual | first.gradient).values()))
    packages = json.loads(dataset.attrs["packages"])
    return {
        "platform": dataset.attrs["platform"],
        "precision": dataset.attrs["precision"],
        "packages": ", ".join(f"{name} {version}" for name, version in packages.items()),
    }
