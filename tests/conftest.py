"""One precision for the whole run, chosen outside; compiled programs are forgotten before they fill the process."""

import os
from pathlib import Path

import jax
import pytest

PRECISION = os.environ.get("SLDS_TEST_PRECISION", "float64")
if PRECISION not in ("float32", "float64"):
    raise ValueError(f"SLDS_TEST_PRECISION: expected float32 or float64, found {PRECISION!r}")

jax.config.update("jax_enable_x64", PRECISION == "float64")

# Linux allows a process 65,530 mappings of memory; each compiled program takes some, and XLA crashes when there are no more.
_MOST_MAPPINGS = 25_000
_MAPPINGS = Path("/proc/self/maps")


@pytest.fixture(scope="module", autouse=True)
def _room_for_programs():
    if _MAPPINGS.exists() and _MAPPINGS.read_bytes().count(b"\n") > _MOST_MAPPINGS:
        jax.clear_caches()
