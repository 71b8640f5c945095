"""Cost: what the estimators compile, run and hold, and what the workflow itself took."""

from dataclasses import dataclass

from markupsafe import Markup

from slds_core.report.formats import duration
from slds_core.report.page import Page, Section
from slds_core.report.study import Job

_WIDTH = 1000  # of the timeline, in its own units
_NARROWEST = 2


@dataclass(frozen=True)
class Bar:
    """A job in the timeline."""

    left: float
    width: float
    title: str


@dataclass(frozen=True)
class RuleCost:
    """What a rule's jobs used together."""

    rule: str
    jobs: int
    seconds: float
    longest: Job
    cpu_seconds: float | None
    mebibytes: float | None
    bars: list[Bar]


def rule_costs(jobs: list[Job]) -> list[RuleCost]:
    """Returns the cost of each rule, with its jobs in time where the files' times tell."""
    if not jobs:
        return []
    start, end = min(job.ended - job.seconds for job in jobs), max(job.ended for job in jobs)
    # files that were copied all have the time of copying
    told = end - start >= max(job.seconds for job in jobs) and len({job.ended for job in jobs}) > len(jobs) / 2
    costs = []
    for rule in dict.fromkeys(job.rule for job in jobs):
        own = [job for job in jobs if job.rule == rule]
        costs.append(
            RuleCost(
                rule,
                len(own),
                sum(job.seconds for job in own),
                max(own, key=lambda job: job.seconds),
                _total([job.cpu_seconds for job in own]),
                max((job.mebibytes for job in own if job.mebibytes is not None), default=None),
                [_bar(job, start, end) for job in own] if told else [],
            )
        )
    return sorted(costs, key=lambda cost: min((bar.left for bar in cost.bars), default=0.0))


def _total(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _bar(job: Job, start: float, end: float) -> Bar:
    scale = _WIDTH / (end - start)
    name = f"{job.model}/{job.setting}" if job.setting != job.model else job.model
    width = max(job.seconds * scale, _NARROWEST)
    left = max(min((job.ended - job.seconds - start) * scale, _WIDTH - width), 0.0)
    return Bar(round(left, 1), round(width, 1), f"{name}: {duration(job.seconds)}")


def _render(page: Page) -> Markup | None:
    costs = rule_costs(page.study.jobs)
    pictures = {name: page.figures("cost", name) for name in page.results}
    if not costs and not any(pictures.values()):
        return None
    span = 0.0
    if any(cost.bars for cost in costs):
        jobs = page.study.jobs
        span = max(job.ended for job in jobs) - min(job.ended - job.seconds for job in jobs)
    return page.template(__package__, "cost.html.j2", costs=costs, pictures=pictures, span=span)


SECTION = Section("Cost", 70, _render)
