"""Limits on sweeps and products, and tolerances, which may be plain numbers or traced: another traced limit never compiles anew."""

import math
import operator
from typing import Any

import jax.numpy as jnp
from jax.core import Tracer


def require_at_least(name: str, value: Any, least: int) -> None:
    """Refuses a limit that is too low. A traced one cannot be looked at: where it is below ``least``, the loop takes no step.

    Raises:
        ValueError: names the limit, what was expected, and the value found.
    """
    if not isinstance(value, Tracer) and value < least:
        raise ValueError(f"{name}: expected at least {least}, found {value}")


def require_count(name: str, value: Any, least: int) -> None:
    """Refuses a limit that is too low, or no whole number. Of a traced one only the type can be looked at.

    Raises:
        ValueError: names the limit, what was expected, and the value found.
    """
    if isinstance(value, Tracer):
        if not jnp.issubdtype(value.dtype, jnp.integer):
            raise ValueError(f"{name}: expected a whole number, found one of type {value.dtype}")
        return
    try:
        operator.index(value)
    except TypeError as error:
        raise ValueError(f"{name}: expected a whole number, found {value!r}") from error
    require_at_least(name, value, least)


def require_size(name: str, value: Any, least: int) -> None:
    """Refuses what no array can have as a length: a number that is traced, too low, or no whole one.

    Raises:
        TypeError: it is traced.
        ValueError: names the size, what was expected, and the value found.
    """
    require_plain(name, value)
    require_count(name, value, least)


def require_plain(name: str, value: Any) -> None:
    """Refuses a traced number where a program depends on its value.

    Raises:
        TypeError: names it.
    """
    if isinstance(value, Tracer):
        raise TypeError(f"{name}: expected a plain number, found a traced one")


def require_positive(name: str, value: Any) -> None:
    """Refuses what is no finite number above zero. A traced one cannot be looked at.

    Raises:
        ValueError: names it, and the value found.
    """
    if not isinstance(value, Tracer) and not 0 < value < math.inf:
        raise ValueError(f"{name}: expected a number above 0, found {value}")


def require_tolerance(name: str, value: Any) -> None:
    """Refuses a tolerance that is negative or NaN. A traced one cannot be looked at: nothing meets it.

    Raises:
        ValueError: names the tolerance, what was expected, and the value found.
    """
    if not isinstance(value, Tracer) and not value >= 0:
        raise ValueError(f"{name}: expected at least 0, found {value}")


def trace_length(max_sweeps: Any, capacity: int | None) -> int:
    """Returns how many iterations a trace has room for: ``capacity``, or the limit itself where that is a plain number.

    Raises:
        TypeError: the capacity is traced.
        ValueError: the limit is below 1, above the capacity or no whole number, or it is traced and no capacity is given.
    """
    require_count("max_sweeps", max_sweeps, 1)
    traced = isinstance(max_sweeps, Tracer)
    if capacity is None:
        if traced:
            raise ValueError("capacity: needed where max_sweeps is traced, since arrays have fixed lengths")
        return operator.index(max_sweeps)
    require_size("capacity", capacity, 1)
    if not traced and max_sweeps > capacity:
        raise ValueError(f"max_sweeps: expected at most capacity = {capacity}, found {max_sweeps}")
    return operator.index(capacity)
