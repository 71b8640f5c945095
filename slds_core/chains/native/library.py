"""The compiled kernels, loaded and made known to JAX when they are first asked for."""

import ctypes
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import jax
from jaxtyping import Array

LIBRARY = Path(__file__).with_name("kernels.so")
_TARGETS = (
    "slds_gaussian_smooth",
    "slds_gaussian_linearise",
    "slds_gaussian_fisher",
    "slds_hmm_smooth",
    "slds_hmm_fisher",
)


class NativeUnavailable(UserWarning):
    """The compiled kernels cannot be used here; all results are the same without them, but take longer."""


@cache
def available() -> bool:
    """Returns whether the kernels can be used here; warns once where they cannot."""
    reason = why_not()
    if reason:
        warnings.warn(f"chains run without compiled kernels: {reason}", NativeUnavailable, stacklevel=2)
    return not reason


@cache
def why_not() -> str:
    """Returns why the kernels cannot be used here; nothing where they can."""
    if not LIBRARY.exists():
        return "they were not built at installation; with a C++17 compiler, install the package again"
    try:
        library = ctypes.CDLL(str(LIBRARY))
        library.slds_runs_here.restype = ctypes.c_bool
        if not library.slds_runs_here():
            return "this processor lacks instructions that they were compiled for"
        for target in _TARGETS:
            capsule = jax.ffi.pycapsule(getattr(library, target))
            jax.ffi.register_ffi_target(target, capsule, platform="cpu")
            jax.ffi.register_ffi_target_as_batch_partitionable(target)
    except (
        Exception
    ) as error:  # built for another platform, another version of JAX, half written: whatever it is, we can do without
        return f"{LIBRARY} cannot be loaded: {error}"
    return ""


def call(target: str, results: Sequence[jax.ShapeDtypeStruct], *arguments: Array, **attributes: bool) -> list[Array]:
    """Returns what a kernel computes; under ``vmap`` one call for the whole batch, spread over the machine's cores."""
    return jax.ffi.ffi_call(target, results, vmap_method="broadcast_all")(*arguments, **attributes)
