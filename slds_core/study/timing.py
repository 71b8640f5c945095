"""Compile time, run time and memory of one jitted function, apart from each other."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax

from slds_core.study.programs import compiled

_BUDGET = 1.0  # seconds of timed calls after which no further one is begun


@dataclass(frozen=True)
class Measurement:
    """One function's cost, and its result."""

    result: Any
    compile_seconds: float  # tracing, lowering and compiling
    cache_hit: bool  # whether the compiled program came from this process's memory or from JAX's persistent cache
    run_seconds: list[float]  # of each repetition after the first
    temporary_bytes: int  # of the compiled program, from XLA's own analysis; deterministic


def measure(function: Callable, *arguments: Any, repeats: int = 1) -> Measurement:
    """Returns a function's result and cost.

    Args:
        function: pure, of arrays.
        arguments: what to call it with.
        repeats: most timed calls; one untimed call goes before them. None is begun after a second, but for the first.
    """
    with _cache_hits() as hits:
        start = time.perf_counter()
        program, known = compiled(function, *arguments)
        compile_seconds = time.perf_counter() - start
    result = jax.block_until_ready(program(*arguments))
    runs: list[float] = []
    began = time.perf_counter()
    while not runs or (len(runs) < repeats and time.perf_counter() - began < _BUDGET):
        start = time.perf_counter()
        jax.block_until_ready(program(*arguments))
        runs.append(time.perf_counter() - start)
    return Measurement(result, compile_seconds, known or bool(hits), runs, program.temporary_bytes)


@contextlib.contextmanager
def _cache_hits() -> Iterator[list[str]]:
    hits: list[str] = []

    def listen(event: str, **_: Any) -> None:
        if event == "/jax/compilation_cache/cache_hits":
            hits.append(event)

    jax.monitoring.register_event_listener(listen)
    try:
        yield hits
    finally:
        jax.monitoring.unregister_event_listener(listen)
