"""The back ends of the chains, the compiled one where it was built."""

import pytest

from slds_core.chains.native import why_not

NATIVE = pytest.param("native", marks=pytest.mark.skipif(bool(why_not()), reason=why_not()))
BACKENDS = [NATIVE, "scan", "associative"]


def native(*size):
    """Returns a case ``("native", *size)``, skipped where the kernels were not built."""
    return pytest.param("native", *size, marks=NATIVE.marks)
