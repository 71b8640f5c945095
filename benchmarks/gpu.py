"""Chains, sweeps and gradients on a GPU, parallel in time and step by step, alone and in batches; dynamax there, our kernels on the CPU.

Arrays stay where they are computed on: no transfer is measured.
"""

import sys
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import peers
from chains import fisher, smooth
from sweeps import PRODUCTS, programs
from timing import compiled, ratio, summary, take_turns, write

from slds_core.chains import gaussian, hmm, native
from slds_core.chains.hmm import HMMPotentials
from slds_core.fixed_point import coordinate_ascent
from slds_core.models.random_slds import random_slds
from slds_core.models.slds import SLDS

ROUNDS, LEAST = 5, 0.01


class Case(NamedTuple):
    """One chain or a batch of equal ones; and whether dynamax, which compiles for 10 to 20 s, takes part."""

    time: int
    latent: int
    states: int
    batch: int = 1
    dynamax: bool = True
    wide: bool = True


CHAINS = [
    Case(100, 5, 4, batch=1024),
    Case(100, 5, 4, batch=64, dynamax=False),
    Case(1000, 5, 4, batch=1024, dynamax=False),
    Case(100, 5, 4, dynamax=False),
    Case(1000, 5, 4),
    Case(10_000, 5, 4),
    Case(100_000, 5, 4, dynamax=False),
    Case(1000, 10, 10, dynamax=False),
    Case(1000, 5, 4, dynamax=False, wide=False),
    Case(1_000_000, 5, 4, dynamax=False, wide=False),
    Case(100, 5, 4, batch=1024, dynamax=False, wide=False),
    Case(1_000_000, 5, 4),
    Case(1000, 20, 10),
]
SWEPT = [(100, 1), (1000, 1), (10_000, 1), (100_000, 1), (1_000_000, 1), (100, 64), (100, 1024)]
AUDITED = [1000, 10_000]


def measure(label: dict[str, Any], steps: int, functions: dict[str, Any]) -> dict[str, Any]:
    """Returns a row: compile seconds and microseconds a step of each, and how many times longer each takes than ``associative``."""
    calls, compile_seconds = {}, {}
    for name, (function, arguments) in functions.items():
        calls[name], compile_seconds[name] = compiled(function, *arguments)
    assert_agree({name: call() for name, call in calls.items()})
    seconds = take_turns(calls, rounds=ROUNDS, least=LEAST)
    base = next(iter(seconds.values()))
    times = {name: ratio(values, base) for name, values in seconds.items()}
    shown = (f"{name} {compile_seconds[name]:.2g} s {times[name]:.3g};" for name in seconds)
    print(*label.values(), f"{1e3 * min(base):.3g} ms; compilation, times that:", *shown, flush=True)
    return label | {
        "microseconds_a_step": {name: summary(values, steps) for name, values in seconds.items()},
        "compile_seconds": compile_seconds,
        "times_associative": times,
    }


def assert_agree(results: dict[str, Any]) -> None:
    """Asserts that all who compute the same found the same; dynamax adds a little to each diagonal."""
    found: dict[str, np.ndarray] = {}
    for name, result in results.items():
        array = np.asarray(compared(result))
        of_kind = found.setdefault(name.partition(": ")[2] or name.partition("with ")[2], array)
        np.testing.assert_allclose(array, of_kind, rtol=1e-3, atol=1e-3)


def compared(result: Any) -> jax.Array:
    """Returns the means or marginals of a posterior; of anything else its first array."""
    for name in ("smoothed_means", "smoothed_probs"):
        if hasattr(result, name):
            return getattr(result, name)
    if isinstance(result, gaussian.GaussianPosterior):
        return result.statistics.mean
    return result.statistics.marginals if isinstance(result, hmm.HMMPosterior) else jax.tree.leaves(result)[0]


def gaussian_row(case: Case, cpu: jax.Device | None) -> dict[str, Any]:
    potentials, theirs = peers.linear_gaussian(case.time, case.latent, jnp.zeros(()).dtype)
    map_over, dynamax = lambda f: f, peers.dynamax_parallel
    if case.batch > 1:
        parameters, data = theirs
        potentials, theirs = jax.tree.map(lambda x: jnp.stack([x] * case.batch), (potentials, data))
        map_over, dynamax = jax.vmap, jax.vmap(lambda data: peers.dynamax_parallel((parameters, data)))
    functions = ours(gaussian, map_over, potentials, case, cpu)
    if case.dynamax:
        functions["dynamax, parallel"] = dynamax, (theirs,)
    return measure(describe("gaussian", case), case.time * case.batch, functions)


def hmm_row(case: Case, cpu: jax.Device | None) -> dict[str, Any]:
    generator = np.random.default_rng(1)
    ones = np.ones(case.states)
    initial, transition = generator.dirichlet(ones), generator.dirichlet(ones, case.states)
    unary = 3 * generator.standard_normal((case.time, case.states))
    potentials = HMMPotentials(*(jnp.asarray(x, float) for x in (np.log(initial), np.log(transition), unary)))
    theirs = tuple(jnp.asarray(x, float) for x in (initial, transition, unary))
    map_over, dynamax = lambda f: f, peers.dynamax_parallel_hmm
    if case.batch > 1:
        potentials, theirs = jax.tree.map(lambda x: jnp.stack([x] * case.batch), (potentials, theirs))
        map_over, dynamax = jax.vmap, jax.vmap(dynamax)
    functions = ours(hmm, map_over, potentials, case, cpu)
    if case.dynamax and case.time <= 1000:  # XLA of JAX 0.11.2 ends the process where it compiles theirs for 10 000
        functions["dynamax, parallel"] = dynamax, (theirs,)
    return measure(describe("hmm", case), case.time * case.batch, functions)


def ours(of: Any, map_over: Any, potentials: Any, case: Case, cpu: jax.Device | None) -> dict[str, Any]:
    """Returns our ways to smooth, and a Fisher product parallel in time."""
    found = {
        "associative": (map_over(partial(smooth, of, "associative")), (potentials,)),
        "associative, with a Fisher product": (map_over(partial(fisher, of, "associative")), (potentials,)),
    }
    if case.time <= 10_000:
        found["scan"] = map_over(partial(smooth, of, "scan")), (potentials,)
    if cpu:
        found["native, CPU"] = map_over(partial(smooth, of, "native")), (jax.device_put(potentials, cpu),)
    return found


def sweep_row(time: int, batch: int, cpu: jax.Device | None) -> dict[str, Any]:
    """A sweep and a product with its Jacobian; long series repeat one of ten thousand steps."""
    parameters, state = random_slds(time=min(time, 10_000), latent=5, states=4)
    repeated = lambda x, length: jnp.concatenate([x] * -(-time // x.shape[0]))[:length]
    recognition = jax.tree.map(lambda x: repeated(x, time), parameters.recognition)
    parameters = eqx.tree_at(lambda p: p.recognition, parameters, recognition)
    state = repeated(jnp.concatenate([state, state[-1:]]), time - 1)
    map_over = lambda f: f
    if batch > 1:
        parameters, state = jax.tree.map(lambda x: jnp.stack([x] * batch), (parameters, state))
        map_over = jax.vmap
    functions = {}
    for name, backend, device in (("associative", "associative", jax.devices()[0]), ("native, CPU", "native", cpu)):
        if device:
            arguments = jax.device_put((parameters, state), device)
            for what in ("sweep", "linearisation", "products"):
                functions[f"{name}: {what}"] = map_over(programs(SLDS(backend))[what]), arguments
    row = measure({"chain": "slds", "size": (time, 5, 4, batch), "precision": "float64"}, time * batch, functions)
    medians = {name: values["median"] for name, values in row["microseconds_a_step"].items()}
    for name in ("associative", "native, CPU"):
        if f"{name}: sweep" in medians:
            one = (medians[f"{name}: products"] - medians[f"{name}: linearisation"]) / (PRODUCTS - 1)
            row[f"product_in_sweeps, {name}"] = one / medians[f"{name}: sweep"]
    return row


def gradient_row(time: int, cpu: jax.Device) -> dict[str, Any]:
    """A whole gradient by conjugate gradients to 1e-8 at one fixed point, found on the CPU."""
    parameters, state = jax.device_put(random_slds(time=time, latent=5, states=4), cpu)
    ascend = jax.jit(lambda p, s: coordinate_ascent(SLDS("native"), p, s, max_sweeps=5000, tolerance=1e-11))
    state = ascend(parameters, state).state
    functions = {
        f"{name}: gradient": (programs(SLDS(backend))["gradient"], jax.device_put((parameters, state), device))
        for name, backend, device in (("associative", "associative", jax.devices()[0]), ("native, CPU", "native", cpu))
    }
    return measure({"chain": "slds", "size": (time, 5, 4, 1), "precision": "float64"}, time, functions)


def describe(chain: str, case: Case) -> dict[str, Any]:
    size = case.time, case.latent, case.states, case.batch
    return {"chain": chain, "size": size, "precision": "float64" if case.wide else "float32"}


def main() -> str | None:
    if jax.default_backend() == "cpu":
        return "gpu.py: JAX finds no GPU here"
    cpu = None if native.why_not() else jax.devices("cpu")[0]
    print(jax.devices(), "" if cpu else native.why_not())
    rows = []
    jax.config.update("jax_enable_x64", True)
    for time, batch in SWEPT:
        rows.append(sweep_row(time, batch, cpu))
        write("gpu", rows)
    for time in AUDITED if cpu else ():
        rows.append(gradient_row(time, cpu))
        write("gpu", rows)
    for case in CHAINS:
        jax.config.update("jax_enable_x64", case.wide)
        rows.append(gaussian_row(case, cpu))
        if case.wide:
            rows.append(hmm_row(case, cpu))
        write("gpu", rows)
    return None


if __name__ == "__main__":
    sys.exit(main())
