"""XLA's flags: those of whoever runs a study win, and what a version of XLA may not know is not given to it."""

import os
import subprocess
import sys

from slds_core.study.compiler import xla_flags


def test_own_flags_come_last():
    assert xla_flags(" --xla_cpu_use_fusion_emitters=true ").split()[-1] == "--xla_cpu_use_fusion_emitters=true"


def test_a_version_that_was_not_tried_gets_no_flag_that_may_be_gone():
    assert "fusion_emitters" in xla_flags(jaxlib="0.10.2")
    assert "fusion_emitters" not in xla_flags(jaxlib="0.11.0")


def test_the_installed_version_knows_them_all():
    code = "import jax; print(jax.jit(lambda x: x + 1)(1.0))"
    flags = {"XLA_FLAGS": xla_flags(), "JAX_PLATFORMS": "cpu"}
    outcome = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | flags, capture_output=True, text=True, check=False
    )
    assert (outcome.returncode, outcome.stdout) == (0, "2.0\n"), outcome.stderr
