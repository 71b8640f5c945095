"""Posterior: discrete states and latent trajectories over time."""

from markupsafe import Markup

from slds_core.report.page import Page, Section


def _render(page: Page) -> Markup | None:
    pictures = {name: page.figures("posterior", name) for name in page.results}
    return page.template(__package__, "posterior.html.j2", pictures=pictures) if any(pictures.values()) else None


SECTION = Section("Posterior", 40, _render)
