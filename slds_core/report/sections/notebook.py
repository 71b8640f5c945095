"""The notebook's table: its published figures beside this run's, and why they differ."""

from itertools import groupby

from markupsafe import Markup

from slds_core.report.notebook import notebook_table
from slds_core.report.page import Page, Section


def _render(page: Page) -> Markup | None:
    tables = {}
    for name, found in page.results.items():
        rows = notebook_table(found)
        # settings that the study does not contain leave nothing to lay beside the notebook's
        if any(row.here is not None for row in rows):
            tables[name] = [(why, list(group)) for why, group in groupby(rows, lambda row: row.why)]
    return page.template(__package__, "notebook.html.j2", tables=tables) if tables else None


SECTION = Section("The notebook's table", 20, _render, short="Notebook")
