"""Smoothing and Fisher products of each chain: our back ends, dynamax, NumPy with LAPACK, and plain C++ as the limit."""

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

SIZES = [(100, 5, 4), (1000, 5, 4), (10_000, 5, 4), (1000, 10, 10), (1000, 20, 10)]
BATCH, BATCHED = 64, (100, 5, 4)


def fisher(of: Any, backend: str, potentials: Any) -> Any:
    """Returns one product with the Fisher matrix, the smoothing that it is linearised at included."""
    return jax.jvp(lambda p: of.smooth(p, backend=backend).statistics, (potentials,), (potentials,))


def smooth(of: Any, backend: str, potentials: Any) -> Any:
    return of.smooth(potentials, backend=backend)


def measure(chain: str, size: tuple, steps: int, functions: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    """Returns a row: compile seconds and microseconds a step of each, and how many times longer each takes than ``native``."""
    calls, compile_seconds = {}, {}
    for name, (function, argument) in functions.items():
        calls[name], compile_seconds[name] = compiled(function, argument)
    seconds = take_turns(calls | others)
    row = {
        "chain": chain,
        "size": size,
        "precision": "float64" if jax.config.jax_enable_x64 else "float32",
        "microseconds_a_step": {name: summary(values, steps) for name, values in seconds.items()},
        "compile_seconds": compile_seconds,
        "times_native": {name: ratio(values, seconds["native"]) for name, values in seconds.items()},
    }
    shown = (f"{name} {row['times_native'][name]:.3g}" for name in seconds)
    print(
        chain,
        size,
        row["precision"],
        f"native {summary(seconds['native'], steps)['median']:.3g} µs a step; times that:",
        *shown,
        flush=True,
    )
    return row


def gaussian_row(size: tuple[int, int, int], batch: int = 1) -> dict[str, Any]:
    time, latent, _ = size
    dtype = jnp.zeros(()).dtype
    potentials, theirs = peers.linear_gaussian(time, latent, dtype)
    others = {}
    map_over = lambda f: f
    if batch > 1:
        parameters, data = theirs
        potentials, data = jax.tree.map(lambda x: jnp.stack([x] * batch), (potentials, data))
        map_over, theirs = jax.vmap, data
        dynamax = jax.vmap(lambda data: peers.dynamax_smoother((parameters, data)))
    else:
        dynamax = peers.dynamax_smoother
        limit, loop = peers.plain_cpp(potentials), peers.lapack(potentials)
        wanted = gaussian.smooth(potentials).statistics.mean
        for found in (limit(), loop(), peers.dynamax_smoother(theirs).smoothed_means):
            np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)  # all compute the same
        others = {"plain C++": limit} | ({"NumPy and LAPACK": loop} if time <= 1000 else {})
    functions = {
        "native": (map_over(partial(smooth, gaussian, "native")), potentials),
        "scan": (map_over(partial(smooth, gaussian, "scan")), potentials),
        "dynamax": (dynamax, theirs),
        "native, with a Fisher product": (map_over(partial(fisher, gaussian, "native")), potentials),
        "scan, with a Fisher product": (map_over(partial(fisher, gaussian, "scan")), potentials),
    }
    return measure("gaussian", (*size, batch), time * batch, functions, others)


def hmm_row(size: tuple[int, int, int], batch: int = 1) -> dict[str, Any]:
    time, _, state = size
    generator = np.random.default_rng(1)
    initial, transition = generator.dirichlet(np.ones(state)), generator.dirichlet(np.ones(state), state)
    unary = generator.standard_normal((batch, time, state)) * 3
    theirs = jax.tree.map(jnp.asarray, (initial, transition, unary))
    ours = jax.tree.map(jnp.asarray, (np.log(initial), np.log(transition), unary))

    def mapped(function):
        return lambda arguments: jax.vmap(lambda unary: function((*arguments[:2], unary)))(arguments[2])

    def own(function, backend):
        return mapped(lambda arguments: function(hmm, backend, HMMPotentials(*arguments)))

    functions = {
        "native": (own(smooth, "native"), ours),
        "scan": (own(smooth, "scan"), ours),
        "dynamax": (mapped(peers.dynamax_hmm), theirs),
        "native, with a Fisher product": (own(fisher, "native"), ours),
        "scan, with a Fisher product": (own(fisher, "scan"), ours),
    }
    return measure("hmm", (*size, batch), time * batch, functions, {})


def main() -> None:
    rows = []
    for wide in (True, False):
        jax.config.update("jax_enable_x64", wide)
        for size in SIZES:
            rows += [gaussian_row(size), hmm_row(size)]
        rows += [gaussian_row(BATCHED, BATCH), hmm_row(BATCHED, BATCH)]
        write("chains", rows)


if __name__ == "__main__":
    sys.exit(main())
