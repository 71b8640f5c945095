"""The command line as a person uses it: help, lists, messages, exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parent.parent
STUDIES = [ROOT / "config.yaml", ROOT / "tests" / "data" / "small.yaml", *sorted((ROOT / "examples").rglob("*.yaml"))]


def slds(*arguments: str, folder: Path = ROOT, code: int = 0) -> str:
    """Runs the command, and returns what it wrote to the terminal: to the one stream or the other by its exit code."""
    command = [sys.executable, "-m", "slds_core.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=300, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


def test_help_names_every_command():
    text = slds("--help")
    for name in (
        "run",
        "check",
        "verify",
        "schema",
        "show",
        "plugins",
        "import-pickle",
        "build-model",
        "infer",
        "residual",
    ):
        assert name in text


@pytest.mark.parametrize("arguments", [["--help"], ["plugins", "list"], ["check"], ["schema"]])
def test_answers_without_jax(arguments):
    code = f"import sys; from slds_core.cli import app; app({arguments!r}, standalone_mode=False); assert 'jax' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


def test_the_help_waits_for_no_checked_parameters():
    code = "import sys; from slds_core.cli import app; app(['--help'], standalone_mode=False); assert 'pydantic' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


def test_plugins_show_tells_types_bounds_and_defaults():
    text = slds("plugins", "show", "fisher_cg")
    assert (
        "tolerance          number > 0, default 1e-10: relative residual of the adjoint system at which to stop" in text
    )
    assert (
        slds("plugins", "show", "fishercg", code=1) == "slds plugins: no plugin 'fishercg'; did you mean 'fisher_cg'?\n"
    )


def test_plugins_in_files_are_listed():
    assert "heavy_ball" in slds("plugins", "list", "--path", "examples/plugins")
    assert "momentum" in slds("plugins", "show", "examples/plugins/heavy_ball.py:heavy_ball")


def test_the_reference_in_the_docs_is_true():
    assert (ROOT / "docs" / "reference.md").read_text() == slds("plugins", "table")


def test_the_schema_in_the_docs_is_true():
    assert json.loads((ROOT / "docs" / "config.schema.json").read_text()) == json.loads(slds("schema"))


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_study_of_ours_fits_the_schema(study):
    schema = json.loads((ROOT / "docs" / "config.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    content = yaml.safe_load(study.read_text())
    if study.parent.name == "packages" or "models" not in content:
        pytest.skip("no study")
    jsonschema.validate(content, schema)


@pytest.mark.parametrize(
    "change",
    [
        {"precision": "float16"},
        {"models": {"a": {"plugin": "notebook", "seed": 3}}},
        {"inference": {"a": {"plugin": "newton_cg", "max_sweeps": 0}}},
        {"gradients": {"a": {"plugin": "fisher_cg", "att": "converged"}}},
        {"title": 3},
        {"anything": 1},
    ],
)
def test_the_schema_refuses_what_the_study_refuses(change):
    schema = json.loads((ROOT / "docs" / "config.schema.json").read_text())
    content = yaml.safe_load((ROOT / "config.yaml").read_text()) | change
    assert not jsonschema.Draft202012Validator(schema).is_valid(content)


def test_check_shows_the_plan():
    text = slds("check", "config.yaml")
    assert "Jobs: 16 (build_model 1, infer 4, residual 4, gradient 5, compare 1, report 1)" in text
    assert "at most 800 sweeps and products, about 127 MiB" in text


def test_errors_are_one_paragraph_and_debug_shows_where(tmp_path):
    assert slds("check", "nowhere.yaml", code=1).startswith("slds check: nowhere.yaml: no such file")
    assert slds("run", folder=tmp_path, code=1).startswith("slds run: config.yaml: no such file; name the study's")
    assert slds("show", "nowhere.nc", code=1).startswith("slds show: nowhere.nc: no such file")
    assert "Traceback" in slds("--debug", "show", "nowhere.nc", code=1)
    assert "Did you mean 'infer'" in slds("inferr", code=2)
    assert slds("run", "--profile", "nowhere", code=1).startswith(
        "slds run: --profile: no folder 'nowhere'; ours are: "
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["check", "plugins"])
def test_output_on_a_full_disk_is_no_defect(command, unbuffered):
    """Whether it fails while a command speaks, or when all that it said is written at its end."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "slds_core.cli", *command.split()], cwd=ROOT, stdout=full, stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered}, text=True, timeout=300, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == f"slds {command}: [Errno 28] No space left on device\n"


@pytest.mark.parametrize("kind", ["data", "models", "inference", "gradients", "objectives"])
def test_a_new_plugin_is_listed_at_once(tmp_path, kind):
    slds("plugins", "new", kind, "own_one", folder=tmp_path)
    assert "own_one" in slds("plugins", "list", "--path", ".", folder=tmp_path)
    assert "is there already" in slds("plugins", "new", kind, "own_one", folder=tmp_path, code=1)


def test_a_new_plugin_needs_a_kind_and_a_name(tmp_path):
    wrong = slds("plugins", "new", "gradient", "own", folder=tmp_path, code=1)
    assert wrong == "slds plugins: no kind of plugin 'gradient'; did you mean 'gradients'?\n"
    assert "expected snake case" in slds("plugins", "new", "gradients", "Own-One", folder=tmp_path, code=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["models", "inference", "gradients", "objectives"])
def test_a_new_plugin_keeps_its_contract(tmp_path, kind):
    slds("plugins", "new", kind, "own_one", folder=tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_a_study_in_any_folder_and_its_files_shown(tmp_path):
    study = ROOT / "tests" / "data" / "small.yaml"
    slds("run", "--config", str(study), "--cores", "2", folder=tmp_path)
    assert (tmp_path / "results" / "report.html").stat().st_size > 10_000
    gradient = slds("show", "results/tiny/gradient/fisher_cg.nc", folder=tmp_path)
    assert "Verdict: solved." in gradient
    assert "forward_residual" in gradient
    assert "witness: the others are judged by it" in slds("show", "results/tiny/comparison.nc", folder=tmp_path)
    assert "model 'tiny'" in slds("show", "results/tiny/model.nc", folder=tmp_path)


def test_a_new_plugin_has_a_name_of_its_own(tmp_path):
    taken = slds("plugins", "new", "gradients", "fisher_cg", folder=tmp_path, code=1)
    assert taken == (
        "slds plugins: gradients: 'fisher_cg' is the name of an installed plugin, slds_core.plugins.gradients:FisherCG; "
        "choose another name\n"
    )
    assert "would be called 'own1'" in slds("plugins", "new", "gradients", "own_1", folder=tmp_path, code=1)
    assert list(tmp_path.iterdir()) == []


def test_plugins_that_cannot_be_used_are_told_beside_the_others(tmp_path):
    new = 'from slds_core.plugins import ObjectivePlugin\nclass {}(ObjectivePlugin):\n    """{}."""\n    def {}(self, problem): ...\n'
    (tmp_path / "bad.py").write_text("import no_such_module\n")
    (tmp_path / "ends.py").write_text("import sys\nsys.exit(0)\n")
    (tmp_path / "elbo.py").write_text(new.format("Elbo", "Taken", "objective"))
    (tmp_path / "mine.py").write_text(new.format("Mine", "Good", "objective"))
    (tmp_path / "misspelt.py").write_text(new.format("Misspelt", "Misspelt", "objectiv"))
    command = [sys.executable, "-m", "slds_core.cli", "plugins", "list", "--path", "."]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300, check=False)
    assert done.returncode == 1
    assert "fisher_cg" in done.stdout
    assert "  mine      Good." in done.stdout
    assert "  misspelt  (cannot be used)" in done.stdout
    assert done.stderr.splitlines() == [
        "slds plugins: these plugins cannot be used:",
        f"  plugin file {tmp_path}/bad.py: cannot be imported: ModuleNotFoundError: No module named 'no_such_module'",
        f"  plugin file {tmp_path}/ends.py: cannot be imported: SystemExit: 0",
        "  objectives: 'elbo' in elbo.py has the name of another plugin, elbo",
        "  plugin 'misspelt.py:misspelt': Misspelt lacks the method 'objective' of ObjectivePlugin; is 'objectiv' misspelt?",
    ]


def test_a_plugin_that_ends_the_program_ends_no_command_well(tmp_path):
    """Wherever it does: what a plan asks it, and where nobody guards it."""
    text = (
        'import sys\nfrom slds_core.plugins import GradientPlugin\nclass Mine(GradientPlugin):\n    """Mine."""\n'
        "    start = 'initial'\n    def estimate(self, problem, objective, parameters, state): ...\n    def effort(self): sys.exit(0)\n"
    )
    (tmp_path / "mine.py").write_text(text)
    study = (
        "models: {a: {plugin: notebook}}\ninference: {b: {plugin: newton_cg}}\nobjective: {plugin: elbo}\n"
        "gradients: {c: {plugin: mine}}\nplugins: [mine.py]\n"
    )
    (tmp_path / "config.yaml").write_text(study)
    said = slds("check", folder=tmp_path, code=1)
    assert said == "slds check: plugin 'mine.py:mine' failed: SystemExit: 0 (mine.py, line 7)\n"
    schema = "    @classmethod\n    def model_json_schema(cls): sys.exit(0)\n"
    (tmp_path / "mine.py").write_text(text + schema)
    said = slds("plugins", "show", "mine.py:mine", folder=tmp_path, code=1)
    assert said == "slds plugins: a plugin ended the program: SystemExit: 0 (mine.py, line 9)\n"
