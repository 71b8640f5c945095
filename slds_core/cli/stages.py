"""One command a stage: what the workflow's rules call, and anyone may."""

from pathlib import Path
from typing import Annotated, Any

import typer

from slds_core.cli.application import STAGES, app
from slds_core.study.assignments import from_text
from slds_core.study.errors import StudyError

Output = Annotated[Path, typer.Option("--output", "-o", help="File to write.")]
Plugin = Annotated[str, typer.Option(help="Name of the plugin, or FILE.py:NAME.")]
Parameters = Annotated[
    list[str],
    typer.Option(
        "--set",
        help="A parameter of the plugin, as key=value, lists and plugins within as in a configuration: "
        "'data={plugin: macrodata}'; may be repeated.",
    ),
]
Name = Annotated[str, typer.Option(help="What the study calls it; the output's file name if left out.")]
Model = Annotated[Path, typer.Option(help="The model's file.")]
Inference = Annotated[Path, typer.Option(help="The inference's file.")]


@app.command("build-model", rich_help_panel=STAGES)
def build_model(
    output: Output, plugin: Plugin, parameters: Parameters = [], name: Name = "", precision: str = "float64"
) -> None:
    """Build a model: a plugin → model.nc."""
    from slds_core.study.stages.build_model import build_model

    _check(precision)
    name = name or output.parent.name or output.stem
    _say("build_model", name, build_model(name, _settings(plugin, parameters), precision, output))


@app.command(rich_help_panel=STAGES)
def fit(
    output: Output,
    plugin: Plugin,
    parameters: Parameters = [],
    name: Name = "",
    precision: str = "float64",
    keep: Annotated[
        Path | None, typer.Option(help="Folder for files to go on from, after a kill or to a later epoch.")
    ] = None,
) -> None:
    """Learn a model from data: a plugin that learns → model.nc."""
    from slds_core.study.stages.build_model import fit

    _check(precision)
    name = name or output.parent.name or output.stem
    _say("fit", name, fit(name, _settings(plugin, parameters), precision, output, keep))


@app.command(rich_help_panel=STAGES)
def infer(model: Model, output: Output, plugin: Plugin, parameters: Parameters = [], name: Name = "") -> None:
    """Run inference: a model → inference/{setting}.nc."""
    from slds_core.study.stages.infer import infer

    _spare(output, model)
    name = name or output.stem
    _say("infer", name, infer(model, name, _settings(plugin, parameters), output))


@app.command(rich_help_panel=STAGES)
def residual(model: Model, inference: Inference, output: Output, name: Name = "") -> None:
    """Measure the distance from the fixed point: an inference → residual/{setting}.nc."""
    from slds_core.study.stages.residual import residual

    _spare(output, model, inference)
    name = name or output.stem
    _say("residual", name, residual(model, inference, name, output))


@app.command(rich_help_panel=STAGES)
def gradient(
    model: Model,
    output: Output,
    plugin: Plugin,
    objective: Annotated[str, typer.Option(help="Name of the objective's plugin.")],
    parameters: Parameters = [],
    objective_parameters: Annotated[
        list[str], typer.Option("--objective-set", help="A parameter of the objective.")
    ] = [],
    inference: Annotated[Path | None, typer.Option(help="The inference to differentiate at.")] = None,
    name: Name = "",
) -> None:
    """Differentiate an objective through the fixed point: → gradient/{setting}.nc."""
    from slds_core.study.stages.gradient import gradient

    _spare(output, model, *([inference] if inference else []))
    name = name or output.stem
    settings, goal = _settings(plugin, parameters), _settings(objective, objective_parameters)
    _say("gradient", name, gradient(model, inference, name, settings, goal, output))


@app.command(rich_help_panel=STAGES)
def compare(
    gradients: list[Path],
    output: Output,
    reference: Annotated[
        list[str],
        typer.Option(help="A setting to compare with; may be repeated. All but finite differences if left out."),
    ] = [],
) -> None:
    """Compare gradients: gradient/*.nc → comparison.nc."""
    from slds_core.study.stages.compare import compare

    _spare(output, *gradients)
    _say("compare", output.parent.name, compare(gradients, reference, output))


@app.command(rich_help_panel=STAGES)
def report(
    output: Output,
    files: Annotated[list[Path], typer.Argument(help="NetCDF files of a study, or its folder of results.")] = [],
    title: Annotated[str, typer.Option(help="Heading of the report; the configuration's if left out.")] = "",
    figures: Annotated[Path | None, typer.Option(help="Folder for the figures as SVG, PDF and CSV.")] = None,
    logs: Annotated[Path | None, typer.Option(help="The jobs' logs: why a result is missing.")] = None,
    benchmarks: Annotated[Path | None, typer.Option(help="What the jobs used, as --benchmark wrote it.")] = None,
    config: Annotated[
        list[Path], typer.Option("--config", "-C", help="The study's configuration: which results should be there.")
    ] = [],
) -> None:
    """Write the report: all files of a study, finished or not → report.html."""
    from slds_core.report.render import write_report

    said = write_report(files, output, title, figures, logs=logs, benchmarks=benchmarks, configuration=config)
    _say("report", output.name, said)


def _check(precision: str) -> None:
    if precision not in ("float32", "float64"):
        raise StudyError(f"--precision: expected float32 or float64, found {precision!r}")


def _spare(output: Path, *inputs: Path) -> None:
    """Refuses to write over what is read."""
    if any(output.exists() and place.exists() and output.samefile(place) for place in inputs):
        raise StudyError(f"--output: {output} is an input too; expected another file")


def _settings(plugin: str, assignments: list[str]) -> dict[str, Any]:
    return {"plugin": plugin, "parameters": dict(map(from_text, assignments))}


def _say(stage: str, what: str, outcome: str) -> None:
    print(f"{stage} {what}: {outcome}", flush=True)
