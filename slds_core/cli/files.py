"""``slds show``, ``slds figure`` and ``slds import-pickle``: files in and out."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from slds_core.cli.application import PLUGINS_AND_FILES, app
from slds_core.study.errors import StudyError


@app.command(rich_help_panel=PLUGINS_AND_FILES)
def show(file: Annotated[Path, typer.Argument(help="A NetCDF file of a study.")]) -> None:
    """Show what is in a file, how it was made, and its verdict."""
    from slds_core.study.show import file_contents

    typer.echo(file_contents(file))


@app.command(rich_help_panel=PLUGINS_AND_FILES)
def figure(
    name: Annotated[
        str, typer.Argument(help="Of the figure: convergence, spectrum, posterior, work, …; a wrong one lists all.")
    ],
    files: Annotated[list[Path], typer.Argument(help="A study's NetCDF files, or folders of them.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The file to write: .pdf, .svg, .png, or .csv for the data.")
    ],
    model: Annotated[str | None, typer.Option(help="Whose figure, if the files hold several models.")] = None,
) -> None:
    """Write one figure of the report, or the data behind it, and say what it shows."""
    from slds_core.report.export import write_figure

    typer.echo(write_figure(name, files, output, model))


@app.command("import-pickle", rich_help_panel=PLUGINS_AND_FILES)
def import_pickle(
    pickle: Annotated[Path, typer.Argument(help="The notebook's pickle of potentials. Nothing in it is run.")],
    output: Annotated[Path, typer.Argument(help="The model file to write.")],
    start: Annotated[Literal["notebook", "uniform"], typer.Option(help="Where inference starts.")] = "notebook",
    precision: Annotated[Literal["float32", "float64"], typer.Option(help="Precision of all arrays.")] = "float64",
    name: Annotated[str, typer.Option(help="What the model is called; the pickle's name if left out.")] = "",
) -> None:
    """Turn the pickle that the notebook loads into a model file."""
    from slds_core.study.stages.import_pickle import import_pickle

    if output.exists() and pickle.exists() and output.samefile(pickle):
        raise StudyError(f"{output}: is the pickle itself; expected another file to write")
    typer.echo(import_pickle(pickle, output, name=name, start=start, precision=precision))
