"""One precision for the whole run, chosen outside."""

import os

import jax

PRECISION = os.environ.get("SLDS_TEST_PRECISION", "float64")
if PRECISION not in ("float32", "float64"):
    raise ValueError(f"SLDS_TEST_PRECISION: expected float32 or float64, found {PRECISION!r}")

jax.config.update("jax_enable_x64", PRECISION == "float64")
