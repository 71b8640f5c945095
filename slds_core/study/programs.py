"""Compiled programs, shared by all settings that differ in numbers alone: one compilation for a solver at twenty tolerances."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from slds_core.plugins import Plugin

_KEPT = 64  # a program takes megabytes

Chosen = TypeVar("Chosen", bound=Plugin)


@dataclass(frozen=True)
class Bound:
    """A function with its first arguments given, equal to another of the same function and arguments; ``partial`` is not."""

    function: Callable
    given: tuple[Any, ...]  # hashable, to be shared

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*self.given, *arguments)


@dataclass(frozen=True)
class Program:
    """A compiled function."""

    run: Callable
    temporary_bytes: int  # from XLA's own analysis, which takes it 5 ms; deterministic, and -1 where it has none

    def __call__(self, *arguments: Any) -> Any:
        return self.run(*arguments)


def without_numbers(plugin: Chosen) -> tuple[Chosen, dict[str, Any]]:
    """Returns a plugin without the parameters that it lets be traced, and these: what is compiled, and what it is given."""
    numbers = {name: getattr(plugin, name) for name in plugin.traced}
    return plugin.model_copy(update=dict.fromkeys(numbers)), numbers


def with_numbers(plugin: Chosen, numbers: dict[str, Any]) -> Chosen:
    """Returns the plugin with its numbers again, which may be traced by now."""
    return plugin.model_copy(update=numbers)


def compiled(function: Callable, *arguments: Any) -> tuple[Program, bool]:
    """Returns a function's program for arguments of these shapes and types, and whether this process had it.

    Args:
        function: pure. It is compiled anew unless an equal one was compiled before; lambdas and closures are equal to none.
        arguments: what it will be called with.
    """
    try:
        hash(function)
    except TypeError:  # a plugin with a list among its parameters
        return _compile.__wrapped__(function, *_signature(arguments)), False
    before = _compile.cache_info().misses
    program = _compile(function, *_signature(arguments))
    return program, _compile.cache_info().misses == before


def _signature(arguments: tuple[Any, ...]) -> tuple[Hashable, ...]:
    leaves, structure = jax.tree.flatten(arguments)
    types = tuple(jax.typeof(leaf) for leaf in leaves)
    # constants within follow the precision of the process
    return structure, tuple((kind.shape, kind.dtype, kind.weak_type) for kind in types), jnp.result_type(float)


@lru_cache(maxsize=_KEPT)
def _compile(function: Callable, structure: Any, types: tuple[Any, ...], _precision: bool) -> Program:
    leaves = [jax.ShapeDtypeStruct(shape, dtype, weak_type=weak) for shape, dtype, weak in types]
    program = jax.jit(function).lower(*jax.tree.unflatten(structure, leaves)).compile()
    memory = program.memory_analysis()
    return Program(program, int(memory.temp_size_in_bytes) if memory else -1)
