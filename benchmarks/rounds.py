"""Two hundred ragged sequences inferred to 1e-10: all until the last has converged, and in rounds; with compilation and without."""

import sys
import time
from typing import Any

import jax
import numpy as np
from ragged import spread
from timing import write

from slds_core.fixed_point import coordinate_ascent
from slds_core.models.random_slds import random_sequences
from slds_core.models.slds import SLDSSequences, infer_in_rounds

TOLERANCE = 1e-10
EVERY = 5  # of the thousand


def row(name: str, lengths: tuple[int, ...]) -> dict[str, Any]:
    problem = SLDSSequences(lengths)
    potentials, start = random_sequences(lengths=list(lengths), latent=5, states=4)
    ascend = jax.jit(lambda p, s: coordinate_ascent(problem, p, s, max_sweeps=1500, tolerance=TOLERANCE).sweeps)
    calls = {
        "together": lambda: int(ascend(potentials, start)),
        "in rounds": lambda: infer_in_rounds(problem, potentials, start, tolerance=TOLERANCE),
    }
    seconds: dict[str, list[float]] = {key: [] for key in calls}
    results: dict[str, Any] = {}
    for _ in range(3):  # the first with compilation
        for key, call in calls.items():
            begin = time.perf_counter()
            results[key] = call()
            seconds[key].append(time.perf_counter() - begin)
    sweeps = results["in rounds"].sweeps
    found = {
        "lengths": name,
        "steps": sum(lengths),
        "sweeps_together": results["together"],
        "sweeps_in_rounds": {"median": float(np.median(sweeps)), "most": int(sweeps.max())},
        "steps_swept_less": results["together"] * sum(lengths) / float(sweeps @ np.array(lengths)),
        "converged": float(results["in rounds"].converged.mean()),
        "seconds": seconds,
        "together_over_in_rounds": min(seconds["together"][1:]) / min(seconds["in rounds"][1:]),
        "with_compilation": seconds["together"][0] / seconds["in rounds"][0],
    }
    print(found, flush=True)
    return found


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    write("rounds", [row(name, lengths[::EVERY]) for name, lengths in spread().items()])


if __name__ == "__main__":
    sys.exit(main())
