"""Claims: what the literature says, on this study's own problems."""

from markupsafe import Markup

from slds_core.report.load import settings
from slds_core.report.page import Page, Section


def _render(page: Page) -> Markup | None:
    pictures = page.claims()
    return (
        page.template(__package__, "claims.html.j2", pictures=pictures, bound=_of_the_bound(page)) if pictures else None
    )


def _of_the_bound(page: Page) -> bool:
    """Returns whether the gradients are those of the bound itself, which has no slope in the state at its fixed point."""
    gradients = [dataset for found in page.results.values() for dataset in found.gradient.values()]
    return bool(gradients) and settings(gradients[0])["objective"]["plugin"] == "elbo"


SECTION = Section("Published claims, on these problems", 60, _render, short="Claims")
