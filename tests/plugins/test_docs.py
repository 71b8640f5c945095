"""The code in docs/plugins.md and in the README works as it stands there; the page's estimator is the example's."""

import re
from pathlib import Path

import pytest
from tolerances import DTYPE

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "plugins.md"
README = ROOT / "README.md"


def python_blocks(page):
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


def run(blocks, page):
    """Returns the names that a page's code leaves behind, run block by block."""
    namespace = {"__name__": "page"}
    for block in blocks:
        exec(compile(block, str(page), "exec"), namespace)  # our own page
    return namespace


def test_the_page_shows_the_example():
    assert (ROOT / "examples" / "plugins" / "heavy_ball.py").read_text() == python_blocks(PAGE)[0]


@pytest.mark.slow
def test_the_page_s_estimator_keeps_the_contracts():
    blocks = python_blocks(PAGE)
    assert len(blocks) == 2  # the estimator and its test
    run(blocks, PAGE)["test_keeps_the_contracts"]()


def alike(found, wanted):
    """Whether two words are the same, or numbers: to a percent, and a factor of four where they are rounding or near it."""
    try:
        found, wanted = float(found), float(wanted)
    except ValueError:
        return found == wanted
    return abs(found - wanted) <= 0.01 * abs(wanted) or (abs(wanted) < 1e-3 and wanted / 4 <= found <= 4 * wanted)


@pytest.mark.slow
@pytest.mark.skipif(DTYPE != "float64", reason="the page sets double precision")
def test_the_readme_prints_what_it_says(capsys):
    """Residuals near rounding differ from machine to machine."""
    blocks = python_blocks(README)
    assert len(blocks) == 2  # the library, and a loss
    said = [line.removeprefix("# ").split() for line in "".join(blocks).splitlines() if line.startswith("# ")]
    run(blocks, README)
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [len(line) for line in printed] == [len(line) for line in said]
    words = [pair for lines in zip(printed, said, strict=True) for pair in zip(*lines, strict=True)]
    assert all(alike(*pair) for pair in words), (printed, said)
