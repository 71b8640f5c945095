"""One figure of the report, or the data behind it, as a file of its own."""

import difflib
import io
from collections.abc import Iterable
from pathlib import Path

from matplotlib.figure import Figure

from slds_core.report.figures.canvas import styled
from slds_core.report.figures.catalogue import CLAIMS, FIGURES, TRAININGS, FigureKind
from slds_core.report.load import ModelResults, StudyResults, load_results
from slds_core.report.svg import render_svg
from slds_core.report.tables import to_csv
from slds_core.study.errors import StudyError
from slds_core.whole_file import whole_file

FORMATS = ("pdf", "svg", "png", "csv")
_NEEDS = {
    "convergence": "an inference file",
    "spectrum": "a residual file with a spectrum",
    "posterior": "an inference file",
    "gradient_errors": "a comparison file",
    "work": "a comparison file, and the gradient files for the prices",
    "certificates": "a comparison file in which an estimator has a certificate",
    "witnesses": "a comparison file with two references or more",
    "cost": "an inference or gradient file",
    "learning": "the file of a model that was learnt",
    "regimes": "the file of a model with two states or more that was learnt",
    "predictions": "the file of a model that was learnt, with something held out",
    "one_step": "two models or more, each with a comparison, the gradient file of 'one_step' and the residual where it was taken",
    "neumann": "a model with a comparison and the gradient files of three lengths of 'truncated' or more",
    "unrolling": "a model with a comparison and the gradient files of three lengths of 'unrolled' or more",
    "estimators": "models that one plugin has learnt from the same data by two gradient estimators or more",
    "memory": "a model with a comparison and the gradient files of three lengths of 'unrolled' or more",
}


def write_figure(name: str, files: list[Path], output: Path, model: str | None = None) -> str:
    """Writes a figure, in the format that the output's ending names; as CSV, the data behind it.

    Args:
        name: of a figure in ``FIGURES``, ``CLAIMS`` or ``TRAININGS``.
        files: a study's NetCDF files, in any order; folders stand for all files in them.
        output: the file to write: ``.pdf``, ``.svg``, ``.png`` or ``.csv``.
        model: whose figure; needed only if the files hold several models.

    Returns:
        What the figure shows.

    Raises:
        StudyError: there is no such figure, format or model; a file cannot be used, or what the figure needs is missing.
    """
    kind = _known(name)
    suffix = output.suffix.lower().removeprefix(".")
    if suffix not in FORMATS:
        raise StudyError(f"{output}: expected a name that ends in {_either(f'.{known}' for known in FORMATS)}")
    results = load_results(_expanded(files))
    chosen = results if model is None else _only(results, model)
    shown = chosen if name in CLAIMS | TRAININGS else _one(chosen)
    if not kind.applies(shown):
        raise StudyError(f"figure '{name}' needs {_NEEDS[name]}; the files of {', '.join(chosen)} do not hold that")
    _write(output, to_csv(kind.table(shown)).encode() if suffix == "csv" else _drawn(kind.draw(shown), suffix))
    return kind.describe(shown)


@styled
def _drawn(figure: Figure, suffix: str) -> bytes:
    if suffix == "svg":
        return render_svg(figure).encode()
    stream = io.BytesIO()
    if suffix == "png":  # ink would not show on a dark page
        figure.savefig(stream, format="png", facecolor="white", metadata={"Software": None})
    else:
        figure.savefig(stream, format="pdf", metadata={"CreationDate": None})
    return stream.getvalue()


def _known(name: str) -> FigureKind:
    every = FIGURES | CLAIMS | TRAININGS
    if name not in every:
        near = difflib.get_close_matches(name.replace("-", "_"), every, n=1)
        hint = f" (did you mean '{near[0]}'?)" if near else ""
        raise StudyError(f"no figure '{name}'{hint}; there are: {', '.join(every)}")
    return every[name]


def _one(results: StudyResults) -> ModelResults:
    if len(results) > 1:
        raise StudyError(f"the files hold {len(results)} models: choose one with --model, of {', '.join(results)}")
    return next(iter(results.values()))


def _only(results: StudyResults, model: str) -> StudyResults:
    if model not in results:
        raise StudyError(f"no file of a model '{model}'; the files are of: {', '.join(results)}")
    return {model: results[model]}


def _expanded(files: list[Path]) -> list[Path]:
    found: list[Path] = []
    for path in files:
        inside = sorted(path.rglob("*.nc")) if path.is_dir() else [path]
        if not inside:
            raise StudyError(f"{path}: no NetCDF file in this folder")
        found += inside
    return found


def _either(names: Iterable[str]) -> str:
    words = list(names)
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _write(output: Path, content: bytes) -> None:
    try:
        with whole_file(output) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise StudyError(f"{output}: cannot be written: {error}") from error
