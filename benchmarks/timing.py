"""Times functions against each other in one process, taking turns."""

import json
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("jax", "jaxlib", "dynamax", "numpy", "scipy", "slds-core")


def compiled(function: Callable[..., Any], *arguments: Any) -> tuple[Callable[[], Any], float]:
    """Returns a call of the compiled function, and the seconds that tracing and compiling it took."""
    jax.clear_caches()
    start = time.perf_counter()
    program = jax.jit(function).lower(*arguments).compile()
    seconds = time.perf_counter() - start
    return lambda: jax.block_until_ready(program(*arguments)), seconds


def take_turns(calls: dict[str, Callable[[], Any]], *, rounds: int = 15, least: float = 0.02) -> dict[str, list[float]]:
    """Returns the seconds of one call of each, a number a round; a short call is repeated within a round to fill ``least`` seconds."""
    repeats = {}
    for name, call in calls.items():
        call()
        start = time.perf_counter()
        call()
        repeats[name] = max(1, round(least / (time.perf_counter() - start)))
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            for _ in range(repeats[name]):
                call()
            seconds[name].append((time.perf_counter() - start) / repeats[name])
    return seconds


def summary(seconds: list[float], steps: int = 1) -> dict[str, float]:
    """Returns median, quartiles and best of seconds, in microseconds a step."""
    scaled = [1e6 * value / steps for value in seconds]
    low, middle, high = statistics.quantiles(scaled, n=4)
    return {"median": middle, "lower_quartile": low, "upper_quartile": high, "best": min(scaled)}


def ratio(slower: list[float], faster: list[float]) -> float:
    """Returns the median over rounds of how many times longer one took than the other."""
    return statistics.median(a / b for a, b in zip(slower, faster, strict=True))


def write(name: str, rows: list[dict[str, Any]]) -> None:
    """Writes what was measured, with the machine and the versions that it was measured on."""
    RESULTS.mkdir(exist_ok=True)
    versions = {package: version(package) for package in _PACKAGES}
    device = jax.devices()[0]
    machine = f"{platform.machine()}, {_processor()}" + ("" if device.platform == "cpu" else f", {device.device_kind}")
    (RESULTS / f"{name}.json").write_text(
        json.dumps({"machine": machine, "versions": versions, "rows": rows}, indent=1) + "\n"
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} × {names[0]}" if names else platform.processor()
