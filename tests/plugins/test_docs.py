"""The estimator in docs/plugins.md works as it stands there."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parent.parent.parent / "docs" / "plugins.md"


@pytest.mark.slow
def test_the_page_s_estimator_keeps_the_contracts():
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 2  # the estimator and its test
    namespace = {"__name__": "page"}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), namespace)  # our own page
    namespace["test_keeps_the_contracts"]()
