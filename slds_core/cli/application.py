"""The command line's frame: one Typer application, and what becomes of an error."""

import os
import sys
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from slds_core import __version__
from slds_core.cli.usage import usage_written
from slds_core.study.errors import StudyError

STUDIES = "Studies"
PLUGINS_AND_FILES = "Plugins and files"
STAGES = "Single stages"


class _Commands(TyperGroup):
    """The commands, none of which ends the process: Typer's own way to end one is an exception of another kind."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except SystemExit as ended:
            *_, (frame, line) = traceback.walk_tb(ended.__traceback__)
            place = f"{Path(frame.f_code.co_filename).name}, line {line}"
            raise StudyError(f"a plugin ended the program: SystemExit: {ended} ({place})") from ended


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Audit fixed-point inference and its gradients in switching linear dynamical systems.",
    epilog="Exit codes: 0 done; 1 an error that you can act on, or a study of which some jobs failed; 2 a wrong command line; "
    "3 a defect of this program or of a plugin; 130 interrupted.",
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
    benchmark: Annotated[
        Path | None, typer.Option(help="Write run time, processor time and peak memory to this file, if all goes well.")
    ] = None,
) -> None:
    """Keeps the options that hold for all commands."""
    context.obj = {"debug": debug}
    if benchmark is not None:
        context.with_resource(usage_written(benchmark))


def main() -> None:
    """Runs the command line of this process."""
    code = execute(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError as error:
        # what is left to say must not fail again, and change the exit code, when the interpreter ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if code == 0:
            print(f"slds {_command(sys.argv[1:])}: {error}", file=sys.stderr)
            code = 1
    sys.exit(code)


def execute(arguments: list[str]) -> int:
    """Runs a command line and returns its exit code; an error that the user can act on is one paragraph on the terminal."""
    debug = "--debug" in arguments[:1]  # known before the command line is read, since reading it may fail
    command = _command(arguments)
    try:
        _commands()(arguments, prog_name="slds")
    except SystemExit as ended:  # which is how Typer ends, well or not
        return ended.code if isinstance(ended.code, int) else 0
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if debug:
            raise
        if isinstance(error, _actionable()):
            print(f"slds {command}: {error}", file=sys.stderr)
            return 1
        print(
            f"slds {command}: unexpected {type(error).__name__}: {error}\n"
            "This is a defect of slds or of a plugin; 'slds --debug' with the same command shows where.",
            file=sys.stderr,
        )
        return 3
    return 0


def _actionable() -> tuple[type[Exception], ...]:
    """Returns the errors that the user can act on."""
    from slds_core.plugins import Declined  # not above: pydantic takes as long as all else that the help needs

    return (StudyError, Declined, ValueError, TypeError, OSError)  # OSError: a disk, a terminal, a file


@cache  # making them of the functions' signatures takes as long as starting a job's arithmetic
def _commands() -> Callable[..., Any]:
    return typer.main.get_command(app)


def _command(arguments: list[str]) -> str:
    """Returns the command's name, for messages."""
    words = iter(arguments)
    for word in words:
        if word == "--benchmark":
            next(words, None)
        elif not word.startswith("-"):
            return word
    return ""
