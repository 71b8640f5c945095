"""The command line's frame: one Typer application, and what becomes of an error."""

import sys
from typing import Annotated

import typer

from slds_core import __version__
from slds_core.plugins import Declined
from slds_core.study.errors import StudyError

STUDIES = "Studies"
PLUGINS_AND_FILES = "Plugins and files"
STAGES = "Single stages"

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Audit fixed-point inference and its gradients in switching linear dynamical systems.",
    epilog="Exit codes: 0 done; 1 an error that you can act on, or a study of which some jobs failed; 2 a wrong command line; "
    "3 a defect of this program; 130 interrupted.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"slds {__version__}")
        raise typer.Exit()


@app.callback()
def options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Keeps the options that hold for all commands."""
    context.obj = {"debug": debug}


def main() -> None:
    """Runs the command line; an error that the user can act on is one paragraph on the terminal."""
    debug = "--debug" in sys.argv[1:2]  # known before the command line is read, since reading it may fail
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except (StudyError, Declined, ValueError, TypeError, OSError) as error:  # OSError: a disk, a terminal, a file
        if debug:
            raise
        print(f"slds {command}: {error}", file=sys.stderr)
        sys.exit(1)
    except Exception as error:
        if debug:
            raise
        print(
            f"slds {command}: unexpected {type(error).__name__}: {error}\n"
            "This is a defect of slds or of a plugin; 'slds --debug' with the same command shows where.",
            file=sys.stderr,
        )
        sys.exit(3)
