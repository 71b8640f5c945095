"""How XLA is set to compile: how long whole inferences and gradients take to compile, and how fast they run, beside XLA's own settings."""

import time
from collections.abc import Callable
from functools import partial
from statistics import median

import jax
from timing import ratio, take_turns, write

from slds_core.fixed_point import coordinate_ascent, newton_cg
from slds_core.gradients import bicgstab, fisher_cg
from slds_core.models.random_slds import random_slds
from slds_core.models.slds import SLDS
from slds_core.objectives.notebook import notebook_objective

SIZES = [(100, 5, 4), (1000, 5, 4), (1000, 20, 10), (10_000, 5, 4)]
SETTINGS = {
    "own": {},
    "level_1": {"xla_backend_optimization_level": 1},
    "as_in_studies": {"xla_backend_optimization_level": 1, "xla_cpu_use_fusion_emitters": False},
}
PROBLEM = SLDS()
FUNCTIONS = {
    "coordinate_ascent": partial(coordinate_ascent, PROBLEM, max_sweeps=100, tolerance=1e-10),
    "newton_cg": partial(newton_cg, PROBLEM, max_sweeps=100, tolerance=1e-10),
    "fisher_cg": partial(fisher_cg, PROBLEM, notebook_objective),
    "bicgstab": partial(bicgstab, PROBLEM, notebook_objective),
}


def _run(program: Callable, arguments: tuple) -> None:
    jax.block_until_ready(program(*arguments))


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    rows = []
    for steps, latent, states in SIZES:
        arguments = random_slds(time=steps, latent=latent, states=states)
        for name, function in FUNCTIONS.items():
            seconds: dict[str, list[float]] = {setting: [] for setting in SETTINGS}
            calls = {}
            for _ in range(5):
                for setting, options in SETTINGS.items():
                    jax.clear_caches()
                    lowered = jax.jit(function).lower(*arguments)
                    start = time.perf_counter()
                    program = lowered.compile(compiler_options=options)
                    seconds[setting].append(time.perf_counter() - start)
                    calls[setting] = partial(_run, program, arguments)
            run = take_turns(calls, rounds=9)
            row = {
                "size": (steps, latent, states),
                "function": name,
                "compile_seconds": {setting: median(taken) for setting, taken in seconds.items()},
                "compile_ratio": {setting: ratio(taken, seconds["own"]) for setting, taken in seconds.items()},
                "run_ratio": {setting: ratio(taken, run["own"]) for setting, taken in run.items()},
            }
            rows.append(row)
            print(row, flush=True)
    write("compiler", rows)


if __name__ == "__main__":
    main()
