"""The example packages as a stranger would install them: pip, a clean environment, a study of each from configuration to report."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import xarray as xr
import yaml

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ROOT / "examples" / "packages"

pytestmark = pytest.mark.slow


def run(*command: str | Path, folder: Path) -> subprocess.CompletedProcess:
    """Runs a command without the variables by which the test's own environment would leak into it."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PIP_", "VIRTUAL_ENV"))}
    arguments = [str(part) for part in command]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=900, cwd=folder, env=kept, check=False)


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """The interpreter of an environment into which slds_core and both packages were installed by pip, from their sources."""
    folder = tmp_path_factory.mktemp("environment")
    done = run(sys.executable, "-m", "venv", folder / "env", folder=folder)
    assert done.returncode == 0, done.stderr
    interpreter = folder / "env" / "bin" / "python"
    own = run(interpreter, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=folder).stdout.strip()
    # Third-party packages come from the environment that runs the tests: JAX once more would be a download of minutes. Plain
    # `.pth` lines put folders on the path after the environment's own, and do not follow the `.pth` files in them, by which an
    # editable slds_core would come along.
    outer = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    Path(own, "third_party.pth").write_text("\n".join(outer) + "\n")
    missing = run(interpreter, "-c", "import slds_core", folder=folder)
    if missing.returncode == 0:
        pytest.fail(
            "slds_core is installed, not editable, in the environment of the tests: it would shadow the new one"
        )
    sources = [ROOT, PACKAGES / "slds-chebyshev", PACKAGES / "slds-gaussian-mixture"]
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--ignore-installed", "--disable-pip-version-check"]
    done = run(interpreter, "-m", "pip", "install", *options, *sources, folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return interpreter


def ask(python: Path, code: str, folder: Path) -> str:
    done = run(python, "-c", code, folder=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_is_a_clean_environment(python, tmp_path):
    for module in ("slds_core", "slds_chebyshev", "slds_gaussian_mixture"):
        place = Path(ask(python, f"import {module}; print({module}.__file__)", tmp_path))
        assert python.parent.parent in place.parents, f"{module} comes from {place}"


def test_plugins_are_listed_without_jax(python, tmp_path):
    code = (
        "import sys; from slds_core.study.registry import available;"
        "print('chebyshev' in available('gradients'), 'gaussian_mixture' in available('models'), 'jax' in sys.modules)"
    )
    assert ask(python, code, tmp_path) == "True True False"


def test_a_model_s_file_brings_it_back(python, tmp_path):
    code = (
        "from slds_core.testing import check_model; from slds_gaussian_mixture.plugin import GaussianMixture;"
        "print(check_model(GaussianMixture(observations=8)).declined)"
    )
    assert ask(python, code, tmp_path) == "{}"


def study(package: str, folder: Path, **changed) -> dict:
    """Writes a package's own study to a folder, with some of it changed."""
    configuration = yaml.safe_load((PACKAGES / package / "study.yaml").read_text()) | changed
    (folder / "config.yaml").write_text(yaml.safe_dump(configuration))
    return configuration


def run_study(python: Path, folder: Path) -> None:
    """Runs the study in a folder by the installed command and the workflow that was installed with it."""
    done = run(python.parent / "slds", "run", "--cores", "2", folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_mixture_from_configuration_to_report(python, tmp_path):
    gradients = {
        "direct": {"plugin": "direct", "at": "newton"},
        "fisher_cg": {"plugin": "fisher_cg", "at": "newton"},
        "chebyshev": {"plugin": "chebyshev", "at": "newton"},
        "original": {"plugin": "original_itersolve"},
    }
    models = {"mixture": {"plugin": "gaussian_mixture", "observations": 20, "separation": 3}}
    study("slds-gaussian-mixture", tmp_path, models=models, gradients=gradients, references=["direct"])
    run_study(python, tmp_path)

    comparison = xr.load_dataset(tmp_path / "results" / "mixture" / "comparison.nc")
    verdicts = dict(zip(comparison["estimator"].values, comparison["verdict"].values, strict=True))
    assert verdicts["fisher_cg"] == verdicts["chebyshev"] == "exact"
    assert "recognition_linear" in comparison["group"].values
    with xr.open_dataset(tmp_path / "results" / "mixture" / "inference" / "newton.nc") as inference:
        assert inference.attrs["status"] == "converged"
        assert inference["posterior_assignments_responsibility"].dims == ("observation", "component")
    page = (tmp_path / "results" / "report.html").read_text()
    for shown in ("mixture", "chebyshev", "prior_concentration", "expected mean of each"):
        assert shown in page


def test_the_notebook_s_objective_is_skipped_with_its_reason(python, tmp_path):
    study(
        "slds-gaussian-mixture",
        tmp_path,
        models={"mixture": {"plugin": "gaussian_mixture", "observations": 8}},
        inference={"newton": {"plugin": "newton_cg", "tolerance": 1e-10}},
        objective={"plugin": "notebook"},
        gradients={"fisher_cg": {"plugin": "fisher_cg", "at": "newton"}},
        references=[],
    )
    run_study(python, tmp_path)
    page = (tmp_path / "results" / "report.html").read_text()
    assert "defined for an SLDS only, found Mixture" in page


@pytest.mark.parametrize("package", ["slds-chebyshev", "slds-gaussian-mixture"])
def test_the_packages_studies_are_well_formed(python, tmp_path, package):
    study(package, tmp_path)
    done = run(python.parent / "slds", "check", "config.yaml", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "at converged" in done.stdout or "at newton" in done.stdout


@pytest.mark.parametrize("package", ["slds-chebyshev", "slds-gaussian-mixture"])
def test_the_packages_own_tests_pass(python, tmp_path, package):
    tests = PACKAGES / package / "tests"
    done = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, tests, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
