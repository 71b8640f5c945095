"""A thousand sequences of unequal lengths, beside as many steps in sequences of one length: a sweep, its linearisation, a gradient.

Recognition potentials, and the gradient with respect to them, are padded to the longest sequence ("ragged"), or lie end to end too.
"""

import sys
from functools import partial
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array
from sweeps import SWEEPS, programs
from timing import compiled, ratio, summary, take_turns, write

from slds_core.chains.packing import Lengths, pack
from slds_core.fixed_point import InferenceStatus, newton_cg
from slds_core.gradients import GradientStatus
from slds_core.models.random_slds import random_sequences
from slds_core.models.slds import SLDSPotentials, SLDSSequences

SEQUENCES, LONGEST = 1000, 500
STAGES = {"sweeps": SWEEPS, "linearisation": 1, "gradient": 1}  # in one call each


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


def drawn(problem: SLDSSequences) -> tuple[SLDSPotentials, Array]:
    """Returns potentials, padded to the longest sequence, and a start."""
    # so vague that a thousand sequences hold some hard ones, and yet all have a fixed point
    return random_sequences(lengths=list(problem.lengths), latent=5, states=4, observation_precision=10.0)


def fixed_point(problem: SLDSSequences) -> Array:
    """Returns the state at which a gradient is taken; elsewhere it takes fewer products, or gives up."""
    infer = jax.jit(lambda potentials, start: newton_cg(problem, potentials, start, max_sweeps=3000, tolerance=1e-9))
    inference = infer(*drawn(problem))
    if inference.status != InferenceStatus.converged:
        raise RuntimeError(f"no fixed point: {InferenceStatus[inference.status]}")
    return inference.state


def row(name: str, lengths: Lengths) -> dict[str, Any]:
    steps = sum(lengths)
    even = (steps // SEQUENCES,) * SEQUENCES
    problems = {
        "ragged": SLDSSequences(lengths),
        "end to end": SLDSSequences(lengths, padded=False),
        "of one length": SLDSSequences(even),
    }
    calls, compile_seconds, products = {}, {}, {}
    states = {label: fixed_point(problems[label]) for label in ("ragged", "of one length")}
    states["end to end"] = states["ragged"]
    for label, problem in problems.items():
        potentials, state = drawn(problem)[0], states[label]
        if not problem.padded:
            packed = jax.tree.map(partial(pack, problem.lengths), potentials.recognition)
            potentials = eqx.tree_at(lambda p: p.recognition, potentials, packed)
        for stage in STAGES:
            key, program = f"{label}, {stage}", programs(problem)[stage]
            calls[key], compile_seconds[key] = compiled(program, potentials, state)
        info = calls[f"{label}, gradient"]().info
        products[label] = int(info.products)
        if info.status != GradientStatus.solved:
            raise RuntimeError(f"{label}: {GradientStatus[info.status]}")
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
    # another problem takes another number of products: a gradient's seconds by products and the two sweeps beside them
    for label, over in found["over_one_length"].items():
        over["gradient, a product"] = over["gradient"] * (2 + products["of one length"]) / (2 + products[label])
    print(found, flush=True)
    return found


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    write("ragged", [row(name, lengths) for name, lengths in spread().items()])


if __name__ == "__main__":
    sys.exit(main())
