"""Fonts for PDFs: DejaVu cut down to the characters and features that figures use.

A PDF holds the glyphs that it shows, cut out of their font. Out of the whole of DejaVu that takes 70 ms for each font of each figure,
nearly all of it spent on scripts and typographic features that figures have none of; out of these fonts it takes 11.
"""

import os
from functools import cache
from pathlib import Path

import matplotlib
from fontTools import subset
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.text import Text

from slds_core.whole_file import whole_file

WHOLE = "DejaVu Sans"
CUT = "DejaVu Sans of slds"

_FILES = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf")
_CHARACTERS = {  # Latin, Greek, Cyrillic, signs of typography and mathematics
    *range(0x20, 0x250),
    *range(0x370, 0x500),
    *range(0x1D2C, 0x1D6B),
    *range(0x1E00, 0x1F00),
    *range(0x2000, 0x2300),
}
_FAMILY_NAMES = (1, 16)  # entries of a font's table of names


def family(figure: Figure) -> str:
    """Returns the family of fonts for a figure's PDF: the cut one if it has all of the figure's characters."""
    characters = {ord(character) for text in figure.findobj(Text) for character in text.get_text()}  # type: ignore[attr-defined]
    return CUT if characters - {ord("\n")} <= _CHARACTERS and _available() else WHOLE


@cache
def _available() -> bool:
    """Returns whether matplotlib knows the cut fonts by now."""
    try:
        for file in _FILES:
            fontManager.addfont(_cut(file))
    except Exception:  # a folder that cannot be written, a damaged font: slower, but no reason to go without figures
        return False
    return True


def _cut(file: str) -> Path:
    """Returns the place of a cut font, in the folder that matplotlib keeps between processes."""
    place = Path(matplotlib.get_cachedir()) / f"slds-{matplotlib.__version__}-{file}"
    if not place.exists():
        options = subset.Options(glyph_names=True, layout_features=["kern", "liga"])
        options.drop_tables += ["FFTM"]  # which no reader of fonts reads
        whole = os.path.join(matplotlib.get_data_path(), "fonts", "ttf", file)
        with whole_file(place) as temporary, subset.load_font(whole, options) as font:
            cutter = subset.Subsetter(options)
            cutter.populate(unicodes=_CHARACTERS)
            cutter.subset(font)
            for entry in font["name"].names:
                if entry.nameID in _FAMILY_NAMES:
                    entry.string = CUT.encode(entry.getEncoding())
            font.save(temporary)
    return place
