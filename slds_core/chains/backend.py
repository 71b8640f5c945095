"""Which back end computes a chain: by name, or by platform and availability."""

from collections.abc import Mapping
from typing import Any, Literal, TypeVar, cast

import jax
import jax.numpy as jnp

from slds_core.chains import native

Backend = Literal["native", "scan", "associative"]
Potentials = TypeVar("Potentials")


def choose(backend: str | None, available: Mapping[str, Any], dtype: Any) -> Backend:
    """Returns the back end's name; without one, ``native`` on a CPU (``scan`` where it is not available) and ``associative`` elsewhere.

    On a CPU the associative scan does more work and compiles for much longer; on a GPU the sequential ones are bound by the
    launch of each step.

    Raises:
        ValueError: the name is none of those available, or the native back end is asked for and cannot be used; says why.
    """
    compiled = dtype in (jnp.float32, jnp.float64)
    if backend is None:
        if platform() != "cpu":
            return "associative"
        return "native" if compiled and native.available() else "scan"
    if backend not in available:
        raise ValueError(f"backend: expected one of {', '.join(available)}, found {backend!r}")
    if backend == "native":
        reason = native.why_not() if compiled else f"expected arrays of float32 or float64, found {dtype}"
        if reason:
            raise ValueError(f"backend: 'native' is not available: {reason}")
    return cast(Backend, backend)


def runs_end_to_end(backend: str) -> bool:
    """Returns whether chains of unequal lengths run end to end: compiled kernels do, unless XLA may cut a batch into pieces for devices."""
    return backend == "native" and jax.device_count("cpu") == 1


def platform() -> str:
    """Returns the platform that JAX computes on unless arrays are elsewhere: ``"cpu"`` or ``"gpu"``, for example."""
    config: Any = jax.config
    device = config.jax_default_device
    return jax.default_backend() if device is None else getattr(device, "platform", device)


def description() -> str:
    """Returns the platform and what computes chains on it by default: ``"cpu, native chains"``."""
    return f"{platform()}, {choose(None, {}, jnp.float32)} chains"


def promote(potentials: Potentials) -> Potentials:
    """Returns the arrays in the one floating-point precision that JAX promotes them to together.

    Raises:
        TypeError: they are complex.
    """
    dtype = jnp.result_type(float, *jax.tree.leaves(potentials))
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"potentials: expected real numbers, found {dtype}")
    return jax.tree.map(lambda array: jnp.asarray(array, dtype), potentials)
