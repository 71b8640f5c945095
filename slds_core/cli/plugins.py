"""``slds plugins``: what there is, what it takes, and a start for one's own."""

from pathlib import Path
from typing import Annotated

import typer

from slds_core.cli.application import PLUGINS_AND_FILES, app
from slds_core.study.errors import StudyError

plugins = typer.Typer(no_args_is_help=True, help="List plugins, show their parameters, start one's own.")
app.add_typer(plugins, name="plugins", rich_help_panel=PLUGINS_AND_FILES)

Paths = Annotated[
    list[Path], typer.Option("--path", help="A file or folder of plugins besides the installed ones; may be repeated.")
]


@plugins.command("list")
def list_plugins(path: Paths = []) -> None:
    """List all plugins by kind, and tell which cannot be used and why."""
    from slds_core.study.describe import listing

    text, errors = listing(path)
    typer.echo(text)
    if errors:
        raise StudyError("\n  ".join(["these plugins cannot be used:", *errors]))


@plugins.command()
def show(name: Annotated[str, typer.Argument(help="Name of a plugin, or FILE.py:NAME.")], path: Paths = []) -> None:
    """Show what a plugin does, and its parameters with types, bounds, units and defaults."""
    from slds_core.study.describe import details

    typer.echo(details(name, path))


@plugins.command()
def new(
    kind: Annotated[str, typer.Argument(help="data, models, inference, gradients or objectives.")],
    name: Annotated[str, typer.Argument(help="The plugin's name, in snake case.")],
    folder: Annotated[Path, typer.Option(help="Where to write.")] = Path(),
) -> None:
    """Write a plugin to start from, and a test of it that passes."""
    from slds_core.study.scaffold import scaffold

    for file in scaffold(kind, name, folder):
        typer.echo(f"wrote {file}")


@plugins.command()
def table() -> None:
    """Print the reference of all installed plugins in Markdown: what docs/reference.md holds."""
    from slds_core.study.describe import markdown

    typer.echo(markdown(), nl=False)
