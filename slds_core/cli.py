"""The command ``slds``: every stage, callable without Snakemake.

Heavy packages are imported inside the commands, so that ``slds --help`` answers at once.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from slds_core.study.errors import StudyError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Audit fixed-point inference and its gradients in switching linear dynamical systems.",
)

Output = Annotated[Path, typer.Option("--output", "-o", help="File to write.")]
Plugin = Annotated[str, typer.Option(help="Name of the plugin.")]
Parameters = Annotated[
    list[str], typer.Option("--set", help="A parameter of the plugin, as key=value; may be repeated.")
]
Name = Annotated[str, typer.Option(help="What the study calls it; the output's file name if left out.")]
Model = Annotated[Path, typer.Option(help="The model's file.")]
Inference = Annotated[Path, typer.Option(help="The inference's file.")]


@app.command("build-model")
def build_model(
    output: Output, plugin: Plugin, parameters: Parameters = [], name: Name = "", precision: str = "float64"
) -> None:
    """Build a model: a plugin → model.nc."""
    from slds_core.study.stages.build_model import build_model

    if precision not in ("float32", "float64"):
        raise StudyError(f"--precision: expected float32 or float64, found {precision!r}")
    name = name or output.parent.name or output.stem
    _say("build_model", name, build_model(name, _settings(plugin, parameters), precision, output))


@app.command()
def infer(model: Model, output: Output, plugin: Plugin, parameters: Parameters = [], name: Name = "") -> None:
    """Run inference: a model → inference/{setting}.nc."""
    from slds_core.study.stages.infer import infer

    name = name or output.stem
    _say("infer", name, infer(model, name, _settings(plugin, parameters), output))


@app.command()
def residual(model: Model, inference: Inference, output: Output, name: Name = "") -> None:
    """Measure the distance from the fixed point: an inference → residual/{setting}.nc."""
    from slds_core.study.stages.residual import residual

    name = name or output.stem
    _say("residual", name, residual(model, inference, name, output))


@app.command()
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

    name = name or output.stem
    settings, goal = _settings(plugin, parameters), _settings(objective, objective_parameters)
    _say("gradient", name, gradient(model, inference, name, settings, goal, output))


@app.command()
def compare(
    gradients: list[Path],
    output: Output,
    reference: Annotated[
        list[str], typer.Option(help="A setting to compare with; may be repeated. All if left out.")
    ] = [],
) -> None:
    """Compare gradients: gradient/*.nc → comparison.nc."""
    from slds_core.study.stages.compare import compare

    _say("compare", output.parent.name, compare(gradients, reference, output))


@app.command()
def report(
    files: list[Path],
    output: Output,
    title: Annotated[str, typer.Option(help="Heading of the report.")] = "Fixed points and gradients",
    figures: Annotated[Path | None, typer.Option(help="Folder for the figures as SVG and PDF.")] = None,
) -> None:
    """Write the report: all files of a study → report.html."""
    from slds_core.report.render import write_report

    _say("report", output.name, write_report(files, output, title, figures))


def main() -> None:
    """Runs the command line; an error that the user can act on is one paragraph on the terminal and exit code 1."""
    try:
        app()
    except (StudyError, ValueError, TypeError) as error:
        command = sys.argv[1] if len(sys.argv) > 1 else ""
        print(f"slds {command}: {error}", file=sys.stderr)
        sys.exit(1)


def _settings(plugin: str, assignments: list[str]) -> dict[str, Any]:
    parameters = {}
    for assignment in assignments:
        key, separator, text = assignment.partition("=")
        if not separator:
            raise StudyError(f"--set: expected key=value, found {assignment!r}")
        parameters[key] = _value(text)
    return {"plugin": plugin, "parameters": parameters}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _say(stage: str, what: str, outcome: str) -> None:
    print(f"{stage} {what}: {outcome}", flush=True)


if __name__ == "__main__":
    main()
