"""The notebook's table: its published figures beside this run's, and why they differ."""

from itertools import groupby

from markupsafe import Markup

from slds_core.report.notebook import notebook_table
from slds_core.report.page import Page, Section


def _render(page: Page) -> Markup | None:
    tables, left_out = {}, {}
    for name, found in page.results.items():
        every = notebook_table(found)
        rows = [row for row in every if row.here is not None or row.converged is not None]
        if rows:
            tables[name] = [(why, list(group)) for why, group in groupby(rows, lambda row: row.why)]
            left_out[name] = len(every) - len(rows)
    return page.template(__package__, "notebook.html.j2", tables=tables, left_out=left_out) if tables else None


SECTION = Section("The notebook's table", 20, _render, short="Notebook")
