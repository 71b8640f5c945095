"""The back ends of the chains, the compiled one where it was built and there is a CPU to run it."""

import jax
import pytest

from slds_core.chains.native import why_not

_REASON = why_not() if jax.default_backend() == "cpu" else f"JAX computes on {jax.default_backend()}"
NATIVE = pytest.param("native", marks=pytest.mark.skipif(bool(_REASON), reason=_REASON))
BACKENDS = [NATIVE, "scan", "associative"]


def native(*size):
    """Returns a case ``("native", *size)``, skipped where the kernels do not run."""
    return pytest.param("native", *size, marks=NATIVE.marks)
