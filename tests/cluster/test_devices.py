"""A batch of sequences over several devices; two that XLA makes of one processor will do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.slow
def test_a_batch_over_two_devices_has_the_numbers_of_one():
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    environment = os.environ | {
        "XLA_FLAGS": flags,
        "JAX_PLATFORMS": "cpu",
        "JAX_ENABLE_X64": "1",
        "PYTHONPATH": os.pathsep.join(map(str, HERE.parents[:2])),  # problems.py, and the package
    }
    command = [sys.executable, str(HERE / "two_devices.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert "the same on 2 devices" in done.stdout
