"""Claims: what the literature says, on this study's own problems."""

from markupsafe import Markup

from slds_core.report.page import Page, Section


def _render(page: Page) -> Markup | None:
    pictures = page.claims()
    return page.template(__package__, "claims.html.j2", pictures=pictures) if pictures else None


SECTION = Section("Published claims, on these problems", 60, _render, short="Claims")
