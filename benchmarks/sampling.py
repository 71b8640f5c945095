"""Draws of one whole path from each chain, filtering included: our back ends beside dynamax's samplers."""

import sys
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import peers
from timing import compiled, ratio, summary, take_turns, write

from slds_core.chains import gaussian, hmm
from slds_core.chains.hmm import HMMPotentials

SIZES = [(100, 5, 4), (1000, 5, 4), (10_000, 5, 4), (1000, 20, 10)]


def row(chain: str, size: tuple, functions: dict[str, Any]) -> dict[str, Any]:
    """Returns compile seconds and microseconds a step of each, and how many times longer each takes than ``native``."""
    key = jax.random.key(0)
    calls, compile_seconds = {}, {}
    for name, (function, argument) in functions.items():
        calls[name], compile_seconds[name] = compiled(function, key, argument)
    seconds = take_turns(calls)
    found = {
        "chain": chain,
        "size": size,
        "microseconds_a_step": {name: summary(values, size[0]) for name, values in seconds.items()},
        "compile_seconds": compile_seconds,
        "times_native": {name: ratio(values, seconds["native"]) for name, values in seconds.items()},
    }
    print(found, flush=True)
    return found


def gaussian_row(size: tuple[int, int, int]) -> dict[str, Any]:
    time, latent, _ = size
    potentials, theirs = peers.linear_gaussian(time, latent, jnp.zeros(()).dtype)
    own = {name: (partial(gaussian.sample, backend=name), potentials) for name in ("native", "scan")}
    return row("gaussian", size, own | {"dynamax": (peers.dynamax_path, theirs)})


def hmm_row(size: tuple[int, int, int]) -> dict[str, Any]:
    time, _, state = size
    generator = np.random.default_rng(1)
    initial, transition = generator.dirichlet(np.ones(state)), generator.dirichlet(np.ones(state), state)
    unary = jnp.asarray(generator.standard_normal((time, state)) * 3)
    potentials = HMMPotentials(jnp.log(initial), jnp.log(transition), unary)
    theirs = jnp.asarray(initial), jnp.asarray(transition), unary
    own = {name: (partial(hmm.sample, backend=name), potentials) for name in ("native", "scan")}
    return row("hmm", size, own | {"dynamax": (peers.dynamax_states, theirs)})


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    write("sampling", [found for size in SIZES for found in (gaussian_row(size), hmm_row(size))])


if __name__ == "__main__":
    sys.exit(main())
