"""Arrays from a pickle, without running what a pickle may run.

A pickle is a program that may call whatever can be imported. Here nothing is imported for it: the few names that arrays need are
answered by stand-ins of ours, every other name is refused. A pickle may also ask for memory without end, so its operations are
counted before the first one is carried out, and arrays are views of the bytes that are in the file.
"""

import io
import math
import pickle
import pickletools
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from slds_core.study.errors import StudyError

_MOST_OPERATIONS = 20_000  # thirteen arrays take some five hundred
_ADMITTED = "only arrays of NumPy and JAX, tuples, lists, dicts, text and numbers are read, and nothing was run"
_TYPE = re.compile(r"f[248]|[iu][1248]|b1|c8|c16")


class RefusedPickle(StudyError):
    """A pickle that is damaged, or that asks for more than arrays and containers."""


class PickledArray:
    """An array in a pickle, whichever package it was made by."""

    __slots__ = ("values",)

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, contents = state
        self.values = _decode(contents, dtype, shape, "F" if fortran else "C")


def read_arrays(contents: bytes) -> Any:
    """Returns what is in a pickle: tuples, lists, dicts, text and numbers as they are, each array as a ``PickledArray``.

    Raises:
        RefusedPickle: says what was refused, or where the pickle is damaged.
    """
    _inspect(contents)
    try:
        return _ArrayUnpickler(io.BytesIO(contents), fix_imports=False).load()
    except RefusedPickle:
        raise
    except Exception as error:  # a wrong pickle may fail in any way
        raise RefusedPickle(f"the pickle is damaged: {error}") from error


def _inspect(contents: bytes) -> None:
    """Reads a pickle's operations without carrying them out, and refuses what would take memory out of proportion."""
    try:
        for count, (operation, argument, position) in enumerate(pickletools.genops(contents)):
            if count == _MOST_OPERATIONS:
                raise RefusedPickle(f"the pickle has more than {_MOST_OPERATIONS} operations; {_ADMITTED}")
            if operation.name.endswith("PUT") and isinstance(argument, int) and argument > _MOST_OPERATIONS:
                raise RefusedPickle(f"the pickle asks for {argument} places in memory at byte {position}; {_ADMITTED}")
            if operation.name.startswith("EXT"):
                raise RefusedPickle(f"the pickle uses an extension code at byte {position}; {_ADMITTED}")
    except RefusedPickle:
        raise
    except Exception as error:  # likewise
        raise RefusedPickle(f"the file is no pickle, or cut off: {error}") from error


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) not in _STAND_INS:
            raise RefusedPickle(f"the pickle calls for {f'{module}.{name}'!r}; {_ADMITTED}")
        return _STAND_INS[module, name]


class _StandIn:
    """What a pickle gets for a name: something to call, without state that it could change."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise RefusedPickle(f"the pickle sets attributes of a function; {_ADMITTED}")


class _Type:
    """An array's element type."""

    __slots__ = ("code", "order")

    def __init__(self, code: Any, *_: Any) -> None:
        if not (isinstance(code, str) and _TYPE.fullmatch(code)):
            raise RefusedPickle(f"the pickle has an array of type {str(code)[:20]!r}, expected numbers")
        self.code, self.order = code, "="

    def __setstate__(self, state: Any) -> None:
        if state[1] not in ("<", ">", "|", "=") or any(part is not None for part in state[2:5]):
            raise RefusedPickle("the pickle has an array of a compound type, expected numbers")
        self.order = state[1]


def _decode(contents: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    if not (isinstance(contents, bytes | bytearray) and isinstance(dtype, _Type) and isinstance(shape, tuple)):
        raise RefusedPickle("the pickle has an array that is not described by type, shape and bytes")
    numpy_type = np.dtype(dtype.order + dtype.code)
    if any(type(size) is not int or size < 0 for size in shape) or (
        math.prod(shape) * numpy_type.itemsize != len(contents)
    ):
        raise RefusedPickle(f"the pickle has an array of shape {shape} and type {numpy_type} in {len(contents)} bytes")
    return np.frombuffer(contents, numpy_type).reshape(shape, order="F" if order == "F" else "C")


def _empty(*_: Any) -> PickledArray:
    """Stands for ``_reconstruct(type, shape, code)``: all that counts comes with the state."""
    return PickledArray(np.empty(0))


def _from_buffer(contents: Any, dtype: Any, shape: Any, order: Any, *_: Any) -> PickledArray:
    return PickledArray(_decode(contents, dtype, shape, order))


def _scalar(dtype: Any, contents: Any) -> PickledArray:
    return _from_buffer(contents, dtype, (), "C")


def _jax_array(function: Any, arguments: Any, state: Any, _: Any) -> PickledArray:
    """Stands for JAX's reconstruction: a NumPy array in three pieces, and what JAX adds, which does not matter here."""
    array = _empty()
    array.__setstate__(state)
    return array


def _latin_bytes(text: Any, encoding: Any) -> bytes:
    """Stands for ``_codecs.encode``, by which the older protocols write bytes as text."""
    if encoding != "latin1":
        raise RefusedPickle(f"the pickle encodes text as {str(encoding)[:20]!r}, expected 'latin1'")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """Stands for the class ``bytes``, which the older protocols call for bytes of no length, and never with an argument."""
    return b""


def _not_callable(*_: Any) -> None:
    raise RefusedPickle(f"the pickle makes an array by its class; {_ADMITTED}")


# Each stands for a function of numpy or JAX; the paths are those of all versions. JAX before 0.3.11 pickled NumPy arrays.
_STAND_INS: dict[tuple[str, str], _StandIn] = {
    ("_codecs", "encode"): _StandIn(_latin_bytes),
    ("__builtin__", "bytes"): _StandIn(_no_bytes),
    ("numpy", "ndarray"): _StandIn(_not_callable),
    ("numpy", "dtype"): _StandIn(_Type),
    ("numpy.core.multiarray", "_reconstruct"): _StandIn(_empty),
    ("numpy._core.multiarray", "_reconstruct"): _StandIn(_empty),
    ("numpy.core.multiarray", "scalar"): _StandIn(_scalar),
    ("numpy._core.multiarray", "scalar"): _StandIn(_scalar),
    ("numpy.core.numeric", "_frombuffer"): _StandIn(_from_buffer),
    ("numpy._core.numeric", "_frombuffer"): _StandIn(_from_buffer),
    ("jax._src.device_array", "reconstruct_device_array"): _StandIn(_jax_array),
    ("jax.experimental.array", "_reconstruct_array"): _StandIn(_jax_array),
    ("jax._src.array", "_reconstruct_array"): _StandIn(_jax_array),
}
