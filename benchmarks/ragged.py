"""A thousand sequences of unequal lengths, beside as many steps in sequences of one length: a sweep, its linearisation, a gradient.

Recognition potentials, and the gradient with respect to them, are padded to the longest sequence ("ragged"), or lie end to end too.
"""

import sys
from functools import partial
from typing import Any

import equinox as eqx
import jax
import numpy as np
from sweeps import programs
from timing import compiled, ratio, summary, take_turns, write

from slds_core.chains.packing import Lengths, pack
from slds_core.fixed_point import coordinate_ascent
from slds_core.models.random_slds import random_sequences
from slds_core.models.slds import SLDSSequences

SEQUENCES, LONGEST = 1000, 500
SWEEPS = 100
STAGES = {"sweeps": 10, "linearisation": 1, "gradient": 1}  # in one call each


def spread() -> dict[str, Lengths]:
    """Returns lengths that are spread in three ways."""
    draw = np.random.default_rng(0)
    drawn = {
        "evenly": draw.uniform(10, LONGEST, SEQUENCES),
        "evenly in their logarithm": np.exp(draw.uniform(np.log(10), np.log(LONGEST), SEQUENCES)),
        "one long, all others short": np.where(
            np.arange(SEQUENCES) == SEQUENCES // 2, LONGEST, draw.uniform(50, 100, SEQUENCES)
        ),
    }
    return {name: tuple(int(length) for length in lengths) for name, lengths in drawn.items()}


def stages(problem: SLDSSequences) -> dict[str, Any]:
    """Returns the programs. Sweeps are many, as in inference: new memory for each call would be much of a single one's time."""

    def sweeps(potentials, start):
        return jax.lax.fori_loop(0, STAGES["sweeps"], lambda _, state: problem.sweep(potentials, state), start)

    return programs(problem) | {"sweeps": sweeps}


def row(name: str, lengths: Lengths) -> dict[str, Any]:
    steps = sum(lengths)
    even = (steps // SEQUENCES,) * SEQUENCES
    problems = {
        "ragged": SLDSSequences(lengths),
        "end to end": SLDSSequences(lengths, padded=False),
        "of one length": SLDSSequences(even),
    }
    calls, compile_seconds, products = {}, {}, {}
    for label, problem in problems.items():
        potentials, start = random_sequences(lengths=list(problem.lengths), latent=5, states=4)
        if not problem.padded:
            packed = jax.tree.map(partial(pack, problem.lengths), potentials.recognition)
            potentials = eqx.tree_at(lambda p: p.recognition, potentials, packed)
        # a gradient takes as many products as at the fixed point only near it
        ascend = jax.jit(
            lambda p, s, problem=problem: coordinate_ascent(problem, p, s, max_sweeps=SWEEPS, tolerance=0.0)
        )
        start = ascend(potentials, start).state
        for stage in STAGES:
            key, program = f"{label}, {stage}", stages(problem)[stage]
            calls[key], compile_seconds[key] = compiled(program, potentials, start)
        products[label] = int(calls[f"{label}, gradient"]().info.products)
    seconds = take_turns(calls, rounds=5)
    found = {
        "lengths": name,
        "steps": steps,
        "padded_to_the_longest": SEQUENCES * max(lengths) / steps,
        "microseconds_a_step": {
            key: summary(values, steps * STAGES[key.split(", ")[1]]) for key, values in seconds.items()
        },
        "compile_seconds": compile_seconds,
        "products": products,
        "over_one_length": {
            label: {stage: ratio(seconds[f"{label}, {stage}"], seconds[f"of one length, {stage}"]) for stage in STAGES}
            for label in ("ragged", "end to end")
        },
    }
    print(found, flush=True)
    return found


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    write("ragged", [row(name, lengths) for name, lengths in spread().items()])


if __name__ == "__main__":
    sys.exit(main())
