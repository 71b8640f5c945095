"""What a section of the report is, and what it is given."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from slds_core.report import formats
from slds_core.report.figures.catalogue import CLAIMS, FIGURES, TRAININGS
from slds_core.report.load import StudyResults, settings
from slds_core.report.pictures import Picture, Pictures, data_uri
from slds_core.report.rows import ConvergenceRow, GradientRow, convergence_rows, gradient_rows
from slds_core.report.study import Study

_OPEN = 6  # more models than these, and only the first is unfolded


@dataclass(frozen=True)
class Section:
    """A section of the report, registered under the entry-point group ``slds_core.sections``.

    Example:
        ``Section("Hardware", 85, lambda page: Markup("<p>…</p>"))``
    """

    title: str  # its heading
    order: int  # its place: built-in ones are between 10 and 90
    render: Callable[
        ["Page"], Markup | str | None
    ]  # its contents; None leaves it out; text that is not Markup is escaped
    short: str = ""  # for the navigation, the title if empty


@dataclass
class Page:
    """The report in the making: results and figures, and how to write them down."""

    title: str
    study: Study
    pictures: Pictures

    @property
    def results(self) -> StudyResults:
        """Results by model."""
        return self.study.results

    @cached_property
    def convergence(self) -> dict[str, list[ConvergenceRow]]:
        """A row for each inference setting, by model."""
        return {name: convergence_rows(found) for name, found in self.results.items()}

    @cached_property
    def gradients(self) -> dict[str, list[GradientRow]]:
        """A row for each gradient setting, by model."""
        return {name: gradient_rows(found) for name, found in self.results.items()}

    def figures(self, section: str, model: str) -> list[Picture]:
        """Returns a section's figures of a model."""
        found = self.results[model]
        drawn = (self.pictures.draw(model, kind, found) for kind in FIGURES.values() if kind.section == section)
        return [picture for picture in drawn if picture is not None]

    def claims(self) -> list[Picture]:
        """Returns the figures across models."""
        drawn = (self.pictures.draw("claims", kind, self.results) for kind in CLAIMS.values())
        return [picture for picture in drawn if picture is not None]

    def trainings(self) -> list[Picture]:
        """Returns the figures across trained models."""
        drawn = (self.pictures.draw("training", kind, self.results) for kind in TRAININGS.values())
        return [picture for picture in drawn if picture is not None]

    def template(self, package: str | None, name: str, **values: Any) -> Markup:
        """Returns a template of a package, filled in.

        Args:
            package: that the template lies in: ``__package__``, for a file beside the section's own.
            name: of its file.
            values: what it uses, besides ``page``; ``{% import "macros.html.j2" as m with context %}`` gives tables and figures.
        """
        if package is None:
            raise ValueError(f"template '{name}': expected a package that it lies in, found a module outside any")
        source = files(package).joinpath(name).read_text(encoding="utf-8")
        return Markup(self.environment.from_string(source).render(page=self, **values))

    @cached_property
    def environment(self) -> Environment:
        """The templates' environment."""
        environment = Environment(
            loader=PackageLoader("slds_core.report"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= {
            "breakable": lambda name: Markup(escape(name).replace("_", Markup("_<wbr>"))),
            "scientific": formats.scientific,
            "plain": formats.plain,
            "relative": formats.relative,
            "short": formats.short,
            "duration": formats.duration,
            "quoted": lambda path: shlex.quote(str(path)),
            "csv_uri": lambda text: data_uri(text.encode(), "text/csv"),
        }
        environment.globals |= {"settings": settings, "identifier": self.pictures.identifier}
        return environment

    def unfolded(self, model: str) -> bool:
        """Whether a model's part of a section is open to begin with."""
        return len(self.results) <= _OPEN or model == next(iter(self.results))

    def size(self, model: str) -> str:
        """Returns what a model is made by, and how large it is."""
        dataset = self.results[model].model
        if dataset is None:
            return ""
        named = {"sequence": "sequences", "time": "time steps", "latent": "latent dimensions", "state": "states"}
        sizes = {key: dataset.sizes[key] for key in named if key in dataset.sizes}
        text = [f"{size} {named[key]}" for key, size in sizes.items()]
        if "sequence" in sizes and "time" in sizes:
            text[:2] = [f"{sizes['sequence']} sequences of up to {sizes['time']} time steps"]
        return ", ".join([str(settings(dataset)["plugin"]).rpartition("/")[2], *text])
