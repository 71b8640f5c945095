"""The page: results in, one self-contained HTML file and the figures out."""

import traceback
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape

from slds_core.report.page import Page, Section
from slds_core.report.pictures import Pictures
from slds_core.report.sections import installed
from slds_core.report.study import gather
from slds_core.study.errors import StudyError
from slds_core.whole_file import whole_file


@dataclass(frozen=True)
class Part:
    """A section as it stands in the page."""

    name: str
    title: str
    short: str
    body: Markup


def write_report(
    files: list[Path],
    output: Path,
    title: str,
    figure_folder: Path | None,
    *,
    logs: Path | None = None,
    benchmarks: Path | None = None,
    configuration: list[Path] | None = None,
) -> str:
    """Writes the report and its figures.

    Args:
        files: the study's NetCDF files, in any order, or folders of results.
        output: the page to write.
        title: its heading; the configuration's if empty.
        figure_folder: where the figures go as SVG, PDF and CSV; nowhere if ``None``.
        logs, benchmarks: the workflow's folders; those in a folder of results if left out.
        configuration: the study's configuration, to tell what is missing.

    Returns:
        A sentence on what was written.

    Raises:
        StudyError: no file can be used, or the page cannot be written.
    """
    study = gather(files, logs=logs, benchmarks=benchmarks, configuration=configuration)
    title = title or (study.configuration.title if study.configuration else "Fixed points and gradients")
    page = Page(title, study, Pictures(figure_folder, output))
    text = render_page(page, installed())
    page.pictures.save()
    try:
        with whole_file(output) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StudyError(f"{output}: cannot be written: {error}") from error
    absent = f", {len(study.absent)} results absent" if study.absent else ""
    size = len(text.encode()) / 2**20
    return f"{len(study.results)} models, {len(page.pictures.drawn)} figures, {size:.2f} MiB{absent}"


def render_page(page: Page, sections: dict[str, Section | str]) -> str:
    """Returns the whole page. A section that fails says so in its place; the others do not notice."""
    for name in ("top", "content", *(f"section-{name}" for name in sections)):
        page.pictures.identifier(name)
    parts = [part for name, section in sections.items() if (part := _part(page, name, section)) is not None]
    return page.environment.get_template("report.html.j2").render(page=page, parts=parts)


def _part(page: Page, name: str, section: Section | str) -> Part | None:
    if isinstance(section, str):
        return Part(name, name, name, _broken(section, ""))
    try:
        body = section.render(page)
    except Exception as error:  # a stranger's section may fail in any way
        body = _broken(f"{type(error).__name__}: {error}", traceback.format_exc())
    return None if body is None else Part(name, section.title, section.short or section.title, Markup(escape(body)))


def _broken(message: str, details: str) -> Markup:
    text = Markup(
        '<div class="broken" role="note"><p><strong>This section could not be written.</strong> {}</p>'
    ).format(message)
    if details:
        text += Markup("<details><summary>Where it failed</summary><pre>{}</pre></details>").format(details)
    return text + Markup("</div>")
