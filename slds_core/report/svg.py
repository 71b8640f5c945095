"""A figure as text that fits into a page: small, with unique ids, the page's font and ink, and no fixed size."""

import io
import re

from matplotlib.figure import Figure

from slds_core.report.figures.canvas import INK, styled

_WIDEST = 122  # pixels for an inch of the figure; a full-width one fills the text column
_LEAST = 80  # below this its text would be too small to read, and the figure scrolls
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_LONG = re.compile(r"-?\d+\.\d{2,}")


@styled
def render_svg(figure: Figure) -> str:
    """Returns a figure as an SVG document, in the fonts of the reader's system."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None})
    return _small(stream.getvalue()).replace("'DejaVu Sans', sans-serif", _FONT).replace("'DejaVu Sans'", _FONT)


def to_element(document: str, width: float, name: str, alternative_text: str) -> str:
    """Returns an SVG document as an element of a page.

    Args:
        document: the document.
        width: of the figure, in inches.
        name: unique in the page; prefixes all ids.
        alternative_text: what the figure shows, for those who cannot see it. Must be safe in HTML.
    """
    text = document[document.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    used = set(re.findall(r"(?:url\(#|href=\"#)([^\")]+)", text))  # ids that nothing refers to are left out
    text = re.sub(r' id="([^"]*)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r'xlink:href="#', f'xlink:href="#{name}-', text)
    text = re.sub(r"font: ((?:\w+ )?)([\d.]+px) [^;\"]+", _font, text)
    text = re.sub(r"font-family: [^;\"]*(?:; )?", "", text)
    text = text.replace(INK, "currentColor")
    size = f"max-width: {round(width * _WIDEST)}px; min-width: {round(width * _LEAST)}px"
    attributes = f'role="img" aria-label="{alternative_text}" style="{size}"'
    return re.sub(r'<svg([^>]*?) width="[^"]*"([^>]*?) height="[^"]*"', rf"<svg {attributes}\1\2", text, count=1)


def _font(found: re.Match[str]) -> str:
    weight = f"; font-weight: {found[1].strip()}" if found[1].strip() not in ("", "normal") else ""
    return f"font-size: {found[2]}{weight}"


def _small(document: str) -> str:
    """Returns a document with coordinates to a hundredth of a point, outside of images and text."""
    pieces = re.split(r'(xlink:href="data:[^"]*"|>[^<>]+</text>|<style.*?</style>)', document, flags=re.DOTALL)
    pieces[::2] = [_LONG.sub(lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), piece) for piece in pieces[::2]]
    text = re.sub(r"<!--.*?-->", "", "".join(pieces), flags=re.DOTALL)
    text = re.sub(r' transform="rotate\(-?0 [^)]*\)"', "", text)
    text = re.sub(r"\s*\n\s*", "\n", text)
    return re.sub(r'<g id="text_\d+">\n(<text[^>]*>[^<]*</text>)\n</g>', r"\1", text)
