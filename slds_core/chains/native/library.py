"""The compiled kernels, loaded and made known to JAX when they are first asked for."""

import ctypes
import warnings
from collections.abc import Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.custom_partitioning import custom_partitioning
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array

LIBRARY = Path(__file__).with_name("kernels.so")
_TARGETS = (
    "slds_gaussian_smooth",
    "slds_gaussian_linearise",
    "slds_gaussian_fisher",
    "slds_gaussian_sample",
    "slds_hmm_smooth",
    "slds_hmm_linearise",
    "slds_hmm_fisher",
    "slds_hmm_sample",
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
    except (
        Exception
    ) as error:  # built for another platform, another version of JAX, half written: whatever it is, we can do without
        return f"{LIBRARY} cannot be loaded: {error}"
    return ""


def call(
    target: str,
    results: Sequence[jax.ShapeDtypeStruct],
    *arguments: Array,
    lengths: Sequence[int] = (),
    **attributes: bool,
) -> tuple[Array, ...]:
    """Returns what a kernel computes for one chain, or for many that lie end to end.

    Under ``vmap`` it is one call for the whole batch, which spreads over the machine's cores; a batch that is sharded over devices
    stays where it is.

    Args:
        target: the kernel's name.
        results: shapes and precision of what it returns.
        arguments: one chain's arrays.
        lengths: time steps of each of many chains.
        attributes: what it must know before it sees them.
    """
    known = attributes | {"lengths": np.asarray(lengths, np.int64)}
    return _call_batch(target, (), tuple(results), known, arguments)


def _call_batch(
    target: str,
    batch: tuple[int, ...],
    results: tuple[jax.ShapeDtypeStruct, ...],
    attributes: dict[str, Any],
    arguments,
):
    @jax.custom_batching.custom_vmap
    def kernel(*arguments):
        if batch and jax.device_count("cpu") > 1:
            return _partitioned(target, len(batch), results, attributes, arguments)
        shapes = [jax.ShapeDtypeStruct((*batch, *shape.shape), shape.dtype) for shape in results]
        return tuple(jax.ffi.ffi_call(target, shapes)(*arguments, **attributes))

    @kernel.def_vmap
    def _(size, batched, *arguments):
        whole = [x if has else jnp.broadcast_to(x, (size, *x.shape)) for x, has in zip(arguments, batched, strict=True)]
        return _call_batch(target, (size, *batch), results, attributes, whole), (True,) * len(results)

    return kernel(*arguments)


def _partitioned(target: str, axes: int, results, attributes: dict[str, Any], arguments):
    """Calls a kernel for a batch with ``axes`` leading axes, along which XLA may cut it into pieces for different devices."""

    @custom_partitioning
    def kernel(*arguments):
        shapes = [jax.ShapeDtypeStruct((*arguments[0].shape[:axes], *shape.shape), shape.dtype) for shape in results]
        return tuple(jax.ffi.ffi_call(target, shapes)(*arguments, **attributes))

    def partition(mesh, argument_shapes, result_shapes):
        def along_batch(shape):
            spec = (*shape.sharding.spec, *(None for _ in shape.shape))[:axes]
            return NamedSharding(mesh, PartitionSpec(*spec))

        shardings = jax.tree.map(along_batch, result_shapes), jax.tree.map(along_batch, argument_shapes)
        return mesh, kernel.fun, *shardings

    ranks = [len(x.shape) - axes for x in arguments], [len(shape.shape) for shape in results]
    rule, whole = _rule(axes, *ranks)
    kernel.def_partition(partition=partition, sharding_rule=rule, need_replication_factors=whole)
    return kernel(*arguments)


def _rule(axes: int, arguments: list[int], results: list[int]) -> tuple[str, tuple[str, ...]]:
    """Returns what Shardy must know: the batch's axes are the same everywhere, every other is one array's own and stays whole."""
    batch = [f"batch{number}" for number in range(axes)]
    own = [f"own{number}" for number in range(sum(arguments) + sum(results))]
    names = iter(own)
    sides = [", ".join(" ".join([*batch, *islice(names, rank)]) for rank in ranks) for ranks in (arguments, results)]
    return " -> ".join(sides), tuple(own)
