"""Chains and models once more, in single precision: a process has one precision, so this needs another process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("SLDS_TEST_PRECISION") == "float32", reason="this run is that run")
def test_chains_and_models_in_single_precision():
    # values and Fisher products against dense truth, NaN and extremes; not the slower finite differences
    those = "joint or missing or indefinite or enumeration or forbidden or extreme or sweep"
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-k", those]
    chosen = ["chains/test_gaussian.py", "chains/test_hmm.py", "models/test_slds.py", "models/test_sequences.py"]
    outcome = subprocess.run(
        [*command, *(str(HERE / name) for name in chosen)],
        cwd=HERE.parent,
        env={**os.environ, "SLDS_TEST_PRECISION": "float32", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"},  # compiles faster
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stdout[-4000:] + outcome.stderr[-2000:]
