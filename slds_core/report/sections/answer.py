"""The answer: per model, whether inference converged, and which gradients can be trusted at what price."""

from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from slds_core.report.formats import NOTHING, duration, plain, scientific
from slds_core.report.page import Page, Section
from slds_core.report.rows import LARGE, SMALL, ConvergenceRow, GradientRow
from slds_core.report.tables import Column, Table, text

_UNKNOWN = {
    "not compared": "nothing is compared yet",
    "not judged": "the witness cannot judge",
    "disputed": "the witnesses disagree",
    "unresolved": "the witness is too coarse",
}


@dataclass(frozen=True)
class Convergence:
    """A model's answer to the first question."""

    tone: str
    answer: str
    reached: list[ConvergenceRow]
    short: list[ConvergenceRow]  # of the fixed point
    absent: list[ConvergenceRow]

    @property
    def best(self) -> ConvergenceRow | None:
        """The setting that came closest."""
        measured = [row for row in self.reached or self.short if row.residual_max is not None]
        return min(measured, key=lambda row: row.residual_max or 0.0, default=None)

    @property
    def cheapest(self) -> ConvergenceRow | None:
        """Of the settings that reached the fixed point, the one of fewest sweeps and products."""
        return min(self.reached, key=lambda row: row.sweeps or 0, default=None)


@dataclass(frozen=True)
class Trust:
    """A model's answer to the second question."""

    tone: str
    answer: str
    trusted: list[GradientRow]  # cheapest first
    care: list[GradientRow]  # most accurate first
    refused: list[GradientRow]  # worst first
    witnesses: list[GradientRow]
    absent: list[GradientRow]

    @property
    def cheapest(self) -> GradientRow | None:
        """The trusted gradient of the shortest run."""
        return self.trusted[0] if self.trusted else None


def convergence(rows: list[ConvergenceRow]) -> Convergence:
    """Returns whether inference converged."""
    absent = [row for row in rows if row.sweeps is None]
    skipped = [row for row in absent if row.verdict == "skipped"]
    reached = [row for row in rows if row.tone == "good"]
    short = [row for row in rows if row not in absent and row not in reached]
    asked = len(rows) - len(skipped)
    if reached and len(reached) == asked:
        settings = "the one setting" if len(reached) == 1 else f"all {len(reached)} settings"
        return Convergence("good", f"Yes, with {settings}", reached, short, absent)
    if reached:
        return Convergence("good", f"Yes, with {len(reached)} of {asked} settings", reached, short, absent)
    if short:
        tone = "bad" if any(row.tone == "bad" for row in short) else "open"
        return Convergence(tone, "No, with no setting", reached, short, absent)
    return Convergence("none", "Not known: no result" if absent else "Not asked by this study", reached, short, absent)


def trust(rows: list[GradientRow]) -> Trust:
    """Returns which gradients can be trusted."""
    absent = [row for row in rows if row.run_seconds is None]
    there = [row for row in rows if row.run_seconds is not None]
    witnesses = [row for row in there if row.verdict == "witness"]
    refused = [row for row in there if row.tone == "bad"]
    trusted = [row for row in there if row.tone == "good"]
    care = [row for row in there if row.tone == "open"]
    trusted.sort(key=_price)
    care.sort(key=lambda row: float("inf") if row.error is None else row.error)
    refused.sort(key=lambda row: float("inf") if row.error is None else row.error, reverse=True)
    if trusted:
        tone, answer = "good", trusted[0].setting
    elif not there:
        tone, answer = "none", "Not known: no result" if absent else "Not asked by this study"
    elif witnesses and not (care or refused):
        tone, answer = "witness", "Only the witness: nothing is compared with it"
    elif care and all(row.verdict in _UNKNOWN for row in care):
        tone, answer = "open", f"Not known: {_UNKNOWN[care[-1].verdict]}"
    elif care:
        tone, answer = "open", "None, but for what is said below"
    else:
        tone, answer = "bad", "None"
    return Trust(tone, answer, trusted, care, refused, witnesses, absent)


def _price(row: GradientRow) -> float:
    return float("inf") if row.run_seconds is None else row.run_seconds


@dataclass(frozen=True)
class _Model:
    name: str
    size: str
    convergence: Convergence
    trust: Trust


def _render(page: Page) -> Markup:
    models = [
        _Model(name, page.size(name), convergence(page.convergence[name]), trust(page.gradients[name]))
        for name in page.results
    ]
    # a setting that its plugin skipped left a file that says so, and no result
    present = len(page.study.files) - sum(absence.state == "skipped" for _, absence in page.study.absent)
    return page.template(
        __package__,
        "answer.html.j2",
        models=models,
        overview=_overview(models),
        present=present,
        small=SMALL,
        large=LARGE,
    )


def _overview(models: list[_Model]) -> Table:
    def cheapest(value: Callable[[GradientRow], object]) -> Callable[[_Model], object]:
        return lambda model: value(model.trust.cheapest) if model.trust.cheapest else None

    def names(model: _Model) -> str:
        found = [row.setting for row in model.trust.refused]
        return f"{len(found)}: {', '.join(found[:3])}{', …' if len(found) > 3 else ''}" if found else ""

    return Table(
        "overview",
        "All models at a glance",
        [
            text("model", "name in the configuration", lambda m: m.name),
            text(
                "converged?",
                "whether inference reached the fixed point",
                lambda m: m.convergence.answer,
                tone=lambda m: m.convergence.tone,
            ),
            Column(
                "rate λ", "leading eigenvalue of the sweep's Jacobian at the best state", _rate, lambda v: plain(v, 4)
            ),
            text(
                "cheapest trusted gradient",
                "shortest run of those that are right",
                lambda m: m.trust.answer,
                tone=lambda m: m.trust.tone,
            ),
            Column("run", "median run time", cheapest(lambda row: row.run_seconds), duration),
            Column("products", "products with the sweep's Jacobian", cheapest(lambda row: row.products)),
            Column("error", "relative, over all parameters", cheapest(lambda row: row.error), scientific),
            text(
                "not to be trusted",
                f"wrong, failed, or an error of {LARGE:.0%} or more",
                names,
                show=lambda v: v or NOTHING,
                quiet=True,
            ),
        ],
        models,
    )


def _rate(model: _Model) -> float | None:
    return model.convergence.best.rate if model.convergence.best else None


SECTION = Section("The answer", 10, _render, short="Answer")
