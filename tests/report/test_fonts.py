"""Cut fonts: what is drawn with them looks the same, and what they lack is drawn with the whole font."""

import io

import matplotlib
import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.image import imread

from slds_core.report import fonts


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """A cache of the test's own, and nothing remembered."""
    monkeypatch.setattr(matplotlib, "get_cachedir", lambda: str(tmp_path))
    fonts._available.cache_clear()
    known = list(fontManager.ttflist)
    fontManager.ttflist = [entry for entry in known if entry.name != fonts.CUT]
    yield
    fontManager.ttflist = known
    fonts._available.cache_clear()


def figure_of(text: str) -> Figure:
    figure = Figure(figsize=(4, 1))
    figure.text(0.02, 0.6, text, fontsize=9)
    figure.text(0.02, 0.1, text, fontsize=9, weight="bold")
    return figure


def pixels(figure: Figure, family: str) -> np.ndarray:
    stream = io.BytesIO()
    with rc_context({"font.family": "sans-serif", "font.sans-serif": family}):
        figure.savefig(stream, format="png", dpi=200)
    stream.seek(0)
    return imread(stream)


@pytest.mark.parametrize(
    "text", ["AVAToWa, P. «relative error» (1)\nfi", "ρ/(1−ρ) ≤ 10⁻⁸ · ‖Δθ‖₂ ᵏ → ∞", "Ёлка Größe ſ ∂"]
)
def test_text_looks_the_same(text):
    figure = figure_of(text)
    assert fonts.family(figure) == fonts.CUT
    np.testing.assert_array_equal(pixels(figure, fonts.CUT), pixels(figure, fonts.WHOLE))


@pytest.mark.parametrize("text", ["مرحبا", "क", "♞"])
def test_other_characters_take_the_whole_font(text):
    assert fonts.family(figure_of(text)) == fonts.WHOLE


def test_fonts_are_cut_once_and_again_where_they_are_gone(tmp_path):
    assert fonts.family(figure_of("x")) == fonts.CUT
    made = sorted(tmp_path.iterdir())
    assert [place.suffix for place in made] == [".ttf", ".ttf"]
    times = [place.stat().st_mtime_ns for place in made]
    fonts._available.cache_clear()
    assert fonts.family(figure_of("x")) == fonts.CUT
    assert [place.stat().st_mtime_ns for place in made] == times


@pytest.mark.parametrize("damage", ["no folder", "half a font"])
def test_without_a_cut_font_the_whole_one_serves(tmp_path, monkeypatch, damage):
    if damage == "no folder":
        (tmp_path / "file").touch()
        monkeypatch.setattr(matplotlib, "get_cachedir", lambda: str(tmp_path / "file" / "folder"))
    else:
        fonts._available()
        for place in tmp_path.iterdir():
            place.write_bytes(place.read_bytes()[:1000])
        fonts._available.cache_clear()
    assert fonts.family(figure_of("x")) == fonts.WHOLE


def test_a_font_that_cannot_be_cut_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(self, font):
        raise OSError("no space left on device")

    monkeypatch.setattr(fonts.subset.Subsetter, "subset", full)
    assert fonts.family(figure_of("x")) == fonts.WHOLE
    assert list(tmp_path.iterdir()) == []
