"""An SLDS: a sweep, a product with its Jacobian, a whole gradient by conjugate gradients; what each costs to run and to compile."""

import sys
from typing import Any

import jax
import jax.numpy as jnp
from timing import compiled, ratio, summary, take_turns, write

from slds_core.fixed_point import coordinate_ascent
from slds_core.fixed_point.interface import FixedPoint
from slds_core.gradients import fisher_cg
from slds_core.models.random_slds import random_slds
from slds_core.models.slds import SLDS

SIZES = [(100, 5, 4), (1000, 5, 4), (10_000, 5, 4), (1000, 10, 10), (1000, 20, 10)]
PRODUCTS = 20  # in one program, so that the linearisation is paid once
SWEEPS = 10  # in one program, as a solver has them


def value(parameters: Any, posterior: Any) -> Any:
    return jnp.sum(posterior.discrete.marginals[:, 0] ** 2) + jnp.sum(posterior.gaussian.mean**2)


def programs(problem: FixedPoint) -> dict[str, Any]:
    def products(potentials, state):
        _, pull = jax.vjp(lambda state: problem.sweep(potentials, state), state)
        return jax.lax.fori_loop(0, PRODUCTS, lambda _, direction: pull(direction)[0], state)

    def sweeps(potentials, state):
        return jax.lax.fori_loop(0, SWEEPS, lambda _, state: problem.sweep(potentials, state), state)

    return {
        "sweep": problem.sweep,
        "sweeps": sweeps,
        "products": products,
        "linearisation": lambda potentials, state: jax.vjp(lambda s: problem.sweep(potentials, s), state)[1](state),
        "gradient": lambda potentials, state: fisher_cg(problem, value, potentials, state, tolerance=1e-8),
    }


def row(size: tuple[int, int, int]) -> dict[str, Any]:
    time, latent, states = size
    potentials, start = random_slds(time=time, latent=latent, states=states)
    problem = SLDS("native")
    ascend = jax.jit(lambda p, s: coordinate_ascent(problem, p, s, max_sweeps=5000, tolerance=1e-11))
    inference = ascend(potentials, start)
    calls, compile_seconds = {}, {}
    for backend in ("native", "scan"):
        for name, program in programs(SLDS(backend)).items():
            label = f"{backend}, {name}"
            calls[label], compile_seconds[label] = compiled(program, potentials, inference.state)
    gradient = calls["native, gradient"]()
    seconds = take_turns(calls, rounds=9)
    products = int(gradient.info.products)
    one = [
        (many - once) / (PRODUCTS - 1)
        for many, once in zip(seconds["native, products"], seconds["native, linearisation"], strict=True)
    ]
    found = {
        "size": size,
        "sweeps_to_1e-11": int(inference.sweeps),
        "products": products,
        "adjoint_residual": float(gradient.info.residual),
        "microseconds_a_step": {
            name: summary(values, time * SWEEPS if name.endswith("sweeps") else time)
            for name, values in seconds.items()
        },
        "compile_seconds": compile_seconds,
        "scan_over_native": {
            name: ratio(seconds[f"scan, {name}"], seconds[f"native, {name}"]) for name in programs(SLDS("scan"))
        },
        "product_in_sweeps": ratio(one, seconds["native, sweep"]),
        "gradient_in_sweeps": ratio(seconds["native, gradient"], seconds["native, sweep"]),
        "gradient_in_sweeps_allowed": 2 + products,
        "temporary_bytes_a_step": temporary(programs(SLDS("native"))["gradient"], potentials, inference.state) / time,
    }
    print(found, flush=True)
    return found


def temporary(program: Any, *arguments: Any) -> int:
    """Returns the temporary memory of a compiled program (bytes)."""
    return jax.jit(program).lower(*arguments).compile().memory_analysis().temp_size_in_bytes


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    write("sweeps", [row(size) for size in SIZES])


if __name__ == "__main__":
    sys.exit(main())
