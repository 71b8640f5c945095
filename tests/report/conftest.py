"""One small study that stopped half-way, and its page, for all tests of the report."""

import pytest
from small_study import write_study

from slds_core.report.render import write_report


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="session")
def written(folder, tmp_path_factory):
    """The page's place, its text, and what its writer said."""
    output = tmp_path_factory.mktemp("page") / "report.html"
    figures, configuration = output.parent / "figures", [folder / "config.yaml"]
    said = write_report([folder / "results"], output, "", figures, configuration=configuration)
    return output, output.read_text(), said
