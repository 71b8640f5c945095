"""The estimator in docs/plugins.md is the example's, and works as it stands there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "plugins.md"
ESTIMATOR, ITS_TEST = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_the_page_shows_the_example():
    assert (ROOT / "examples" / "plugins" / "heavy_ball.py").read_text() == ESTIMATOR


@pytest.mark.slow
def test_the_page_s_estimator_keeps_the_contracts():
    namespace = {"__name__": "page"}
    for block in (ESTIMATOR, ITS_TEST):
        exec(compile(block, str(PAGE), "exec"), namespace)  # our own page
    namespace["test_keeps_the_contracts"]()
