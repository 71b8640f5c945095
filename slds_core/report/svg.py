"""A figure as text that fits into a page: unique ids, the page's font and ink, no fixed size."""

import io
import re

from matplotlib.figure import Figure

_PIXELS_PER_INCH = 136  # eight inches fill the text column
_INK = "#1f2328"  # the style sheet's; becomes the page's own colour, light or dark


def render_svg(figure: Figure) -> str:
    """Returns a figure as an SVG document."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue()


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
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r'xlink:href="#', f'xlink:href="#{name}-', text)
    text = re.sub(r"(font: [^;\"]*?[\d.]+px) [^;\"]+", r"\1 inherit", text)
    text = re.sub(
        r"font: ((?:\w+ )?)([\d.]+px) inherit",
        lambda m: f"font-size: {m[2]}; font-weight: {m[1].strip() or 'normal'}",
        text,
    )
    text = text.replace(_INK, "currentColor")
    # as wide as the page for a full-width figure, in proportion for a narrower one
    widest = round(width * _PIXELS_PER_INCH)
    attributes = (
        f'role="img" aria-label="{alternative_text}" style="max-width: {widest}px; min-width: min(34rem, {widest}px)"'
    )
    return re.sub(r'<svg([^>]*?) width="[^"]*"([^>]*?) height="[^"]*"', rf"<svg {attributes}\1\2", text, count=1)
