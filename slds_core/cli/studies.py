"""``slds run`` and ``slds check``: a whole study from any folder, results in the current one."""

import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated

import typer

from slds_core.cli.application import STUDIES, app
from slds_core.cli.ending import end
from slds_core.study.errors import StudyError
from slds_core.study.sources import PACKAGE

if TYPE_CHECKING:
    from slds_core.study.schema import Configuration

Config = Annotated[Path, typer.Option("--config", "-C", help="The study's configuration.")]


@app.command(rich_help_panel=STUDIES, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run(
    context: typer.Context,
    config: Config = Path("config.yaml"),
    cores: Annotated[str, typer.Option(help="Processor cores to use, or 'all'.")] = "all",
    profile: Annotated[str, typer.Option(help="A Snakemake profile: one of ours by name, or a folder.")] = "default",
) -> None:
    """Run a study and write its report to results/report.html.

    Further arguments go to Snakemake: --dry-run, --forcerun RULE, results/MODEL/residual/SETTING.nc, …
    """
    from slds_core.study.configuration import read_files
    from slds_core.study.run_lock import claim

    if cores != "all" and not (cores.isdecimal() and int(cores) > 0):
        raise StudyError(f"--cores: expected a number above 0, or 'all', found '{cores}'")
    study = read_files([_existing(config)])  # all that is wrong, told at once and before Snakemake starts
    command = [sys.executable, "-m", "snakemake", "--cores", cores, "--profile", str(_profile(profile))]
    # --configfile takes all words up to the next option, and would take a target that followed it
    command += [
        "--configfile",
        str(config),
        "--snakefile",
        str(_shipped("workflow") / "Snakefile"),
        *_with_outdated(context.args, study),
    ]
    if {"-n", "--dry-run", "--dryrun"} & set(context.args):  # looks, and may do so beside a run
        raise typer.Exit(_status(command))
    with claim(Path()) as ours:
        for folder in ("log", "benchmark"):
            _writable(Path("results") / folder)
        if ours.abandoned:
            subprocess.run([*command, "--unlock"], check=False, capture_output=True, pass_fds=[ours.descriptor])
        status = _status(command, ours.descriptor, jobs_are_children=profile == "default")
    raise typer.Exit(status)


@app.command(rich_help_panel=STUDIES)
def check(config: Annotated[Path, typer.Argument(help="The study's configuration.")] = Path("config.yaml")) -> None:
    """Check a configuration, and show the plan: jobs, most sweeps, memory."""
    from slds_core.study.configuration import read_files
    from slds_core.study.plan import describe

    typer.echo(describe(read_files([_existing(config)])))


@app.command(rich_help_panel=STUDIES)
def verify(
    results: Annotated[Path, typer.Argument(help="The folder with the results.")] = Path("results"),
    config: Config = Path("config.yaml"),
) -> None:
    """Tell which results do not belong to a configuration, to this code or to this environment."""
    from slds_core.study.configuration import read_files
    from slds_core.study.verify import describe
    from slds_core.study.verify import verify as find

    findings = find(read_files([_existing(config)]), results)
    typer.echo(describe(findings))
    raise typer.Exit(1 if any(finding.problems for finding in findings) else 0)


@app.command(rich_help_panel=STUDIES)
def schema() -> None:
    """Print the JSON schema of a configuration, for editors."""
    import json

    from slds_core.study.json_schema import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


def _with_outdated(arguments: list[str], study: "Configuration") -> list[str]:
    """Returns the arguments for Snakemake, and to make anew what is there and does not belong to the study; tells of it.

    Its own records tell as much, unless they were lost, or results were copied without them, or damaged.
    """
    # what is forced is made also where other results alone were asked for
    if not Path("results").is_dir() or any(argument.startswith(("results/", "all_")) for argument in arguments):
        return arguments
    from slds_core.study.verify import outdated

    found = outdated(study, Path("results"))
    if not found:
        return arguments
    first = f"{found[0].path}: {found[0].problems[0]}"
    typer.echo(f"not of this study, and made anew: {len(found)} results ('slds verify' lists them); {first}", err=True)
    option = next((option for option in ("--forcerun", "-R") if option in arguments), None)
    after = len(arguments) if option is None else arguments.index(option) + 1
    forced = [*([] if option else ["--forcerun"]), *(str(finding.path) for finding in found)]
    return [*arguments[:after], *forced, *arguments[after:]]


def _existing(config: Path) -> Path:
    if config.is_dir():
        raise StudyError(f"{config}: is a folder; name the study's configuration in it")
    if not config.is_file():
        raise StudyError(f"{config}: no such file; name the study's configuration, such as 'slds run --config FILE'")
    return config


def _writable(folder: Path) -> None:
    """Refuses a folder that every job would fail for, after its work is done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StudyError(f"{folder}: cannot be written, and every job writes there: {error.strerror}") from error


def _status(command: list[str], *inherited: int, jobs_are_children: bool = False) -> int:
    """Returns the exit code of a run, however long Snakemake takes to end its jobs after an interruption."""
    process, interrupted = subprocess.Popen(command, pass_fds=inherited), False
    # ends this program alone, where nobody passes it on
    signal.signal(signal.SIGTERM, lambda *_: end(process, jobs_are_children=jobs_are_children))
    while True:
        try:
            status = process.wait()
            break
        except KeyboardInterrupt:  # the terminal has told Snakemake as well
            interrupted = True
    if interrupted:
        raise KeyboardInterrupt
    if status < 0:
        raise StudyError(f"Snakemake was killed (signal {-status}); the same command again takes up where it ended")
    return 1 if status else 0


def _profile(name: str) -> Path:
    if Path(name).is_dir():
        return Path(name)
    ours = _shipped("profiles")
    known = sorted(place.name for place in ours.iterdir() if place.is_dir())
    if name not in known:
        raise StudyError(f"--profile: no folder '{name}'; ours are: {', '.join(known)}")
    if name == "slurm" and not find_spec("snakemake_executor_plugin_slurm"):
        raise StudyError("--profile slurm needs Snakemake's plugin for SLURM: pip install 'slds-core[cluster]'")
    return ours / name


def _shipped(name: str) -> Path:
    """Returns a folder that comes with the package: inside it where it is installed, beside it in a checkout."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name
