"""Which back end computes a chain: by name, or by platform."""

from collections.abc import Mapping
from typing import Literal

import jax

Backend = Literal["scan", "associative"]


def choose(backend: str | None, available: Mapping) -> str:
    """Returns the back end's name; without one, ``scan`` on CPU and ``associative`` elsewhere.

    On a CPU the associative scan does more work and compiles for much longer; on a GPU the sequential one is bound by the
    launch of each step.

    Raises:
        ValueError: the name is none of those available.
    """
    if backend is None:
        return "scan" if jax.default_backend() == "cpu" else "associative"
    if backend not in available:
        raise ValueError(f"backend: expected one of {', '.join(available)}, found {backend!r}")
    return backend
