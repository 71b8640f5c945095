"""Figures as the page shows them: drawn once, written beside it, or an error in their place."""

import base64
import io
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.figure import Figure

from slds_core.report.figures.canvas import styled
from slds_core.report.figures.catalogue import FigureKind
from slds_core.report.fonts import family
from slds_core.report.svg import render_svg, to_element
from slds_core.report.tables import to_csv
from slds_core.study.errors import StudyError

_LARGEST_PDF = 100_000  # bytes; larger ones are linked to
_ALL_PDFS = 500_000  # bytes, together
_ALL_CSVS = 500_000


@dataclass(frozen=True)
class Picture:
    """A figure in the page."""

    name: str  # of its files, without extension
    title: str
    place: str  # the model, or what else it shows
    caption: str = ""
    svg: str = ""  # Markup
    error: str = ""  # why it could not be drawn
    links: dict[str, str] = field(default_factory=dict)  # where the page finds its files, by kind of file


@styled  # which says how fonts are embedded
def _pdf(figure: Figure) -> bytes:
    stream = io.BytesIO()
    with rc_context({"font.sans-serif": family(figure)}):
        figure.savefig(stream, format="pdf", metadata={"CreationDate": None})
    return stream.getvalue()


class Pictures:
    """Draws figures, each once."""

    def __init__(self, folder: Path | None, page: Path) -> None:
        """Takes the folder that the figures go to, none if ``None``, and the page's own place, from which it links to them."""
        self.drawn: dict[tuple[str, str], Picture] = {}
        self._folder = folder
        self._beside = None if folder is None else os.path.relpath(folder, page.parent)
        self._files: dict[Path, bytes] = {}
        self._identifiers: set[str] = set()
        self._left = {"pdf": _ALL_PDFS, "csv": _ALL_CSVS}

    def draw(self, place: str, kind: FigureKind, results: Any) -> Picture | None:
        """Returns a figure of a model's results; ``None`` where they do not hold what it needs."""
        key = (place, kind.name)
        if key not in self.drawn:
            try:
                if not kind.applies(results):
                    return None
                figure = kind.draw(results)
                if figure is None:
                    return None
                caption = kind.describe(results)
                table = to_csv(kind.table(results))
                document = render_svg(figure)
                figure.set_layout_engine("none")  # as laid out just now; again for the PDF would double the time
                pdf = _pdf(figure)
            except Exception as error:  # one broken figure must not stop the report
                self.drawn[key] = Picture(kind.name, kind.title, place, error=f"{type(error).__name__}: {error}")
                return self.drawn[key]
            name = self.identifier(f"figure-{place}-{kind.name}")
            svg = Markup(to_element(document, figure.get_size_inches()[0], name, str(escape(caption))))
            links = self._links(place, kind.name, document, pdf, table)
            self.drawn[key] = Picture(kind.name, kind.title, place, caption, svg, links=links)
        return self.drawn[key]

    def save(self) -> None:
        """Writes the figures' files.

        Raises:
            StudyError: the folder cannot be written, or the disk is full.
        """
        path = self._folder
        try:
            if path is not None:  # empty where no figure applies: the workflow asks for it all the same
                path.mkdir(parents=True, exist_ok=True)
            for path, content in self._files.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        except OSError as error:
            raise StudyError(f"{path}: cannot be written: {error}") from error

    def identifier(self, text: str) -> str:
        """Returns an identifier for an element of the page, used by no other."""
        stem = candidate = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-") or "x"
        count = 1
        while candidate in self._identifiers:
            count += 1
            candidate = f"{stem}-{count}"
        self._identifiers.add(candidate)
        return candidate

    def _links(self, place: str, name: str, document: str, pdf: bytes, table: str) -> dict[str, str]:
        """Returns where the page finds a figure's files: in itself where they are small, else in the folder, by ``save``."""
        contents: dict[str, bytes] = {"svg": document.encode(), "pdf": pdf}
        if table.strip():
            contents["csv"] = table.encode()
        links = {}
        if self._folder is not None and self._beside is not None:
            target = re.sub(r"[/\\\0]|^\.+$", "_", place)
            for kind, content in contents.items():
                self._files[self._folder / target / f"{name}.{kind}"] = content
                links[kind] = quote(f"{self._beside}/{target}/{name}.{kind}")
        for kind, media in (("pdf", "application/pdf"), ("csv", "text/csv")):
            content = contents.get(kind, b"")
            if content and len(content) <= min(_LARGEST_PDF, self._left[kind]):
                links[kind] = data_uri(content, media)
                self._left[kind] -= len(content)
        return links


def data_uri(content: bytes, media: str) -> str:
    """Returns an address that holds a file's contents."""
    if media.startswith("text/"):
        return f"data:{media};charset=utf-8,{quote(content)}"
    return f"data:{media};base64,{base64.b64encode(content).decode()}"
