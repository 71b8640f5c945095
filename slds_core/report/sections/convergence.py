"""Convergence: residual, bound and rate of every inference setting."""

from markupsafe import Markup

from slds_core.report.columns import CONVERGENCE, SEQUENCES
from slds_core.report.page import Page, Section
from slds_core.report.sequences import sequence_rows
from slds_core.report.tables import Table


def _render(page: Page) -> Markup | None:
    if not any(page.convergence.values()):
        return None
    tables = {
        name: Table(f"convergence-{name}", f"Inference settings of {name}", CONVERGENCE, rows)
        for name, rows in page.convergence.items()
    }
    sequences = {
        name: Table(f"sequences-{name}", f"Each sequence of {name}", SEQUENCES, rows)
        for name, found in page.results.items()
        if (rows := sequence_rows(found))
    }
    return page.template(__package__, "convergence.html.j2", tables=tables, sequences=sequences)


SECTION = Section("Convergence", 30, _render)
