"""A million steps: inference to 1e-10 by Newton-CG and one gradient, time a step beside that of ten thousand steps, and peak memory.

Each length runs in a process of its own, so that its peak memory is its own.
"""

import json
import resource
import subprocess
import sys
import time
from typing import Any

LENGTHS = (10_000, 1_000_000)


def measure(steps: int) -> dict[str, Any]:
    import jax

    jax.config.update("jax_enable_x64", True)
    from sweeps import value

    from slds_core.fixed_point import newton_cg
    from slds_core.gradients import fisher_cg
    from slds_core.models.random_slds import random_slds
    from slds_core.models.slds import SLDS

    problem = SLDS("native")
    # well observed: whatever place leaves a saddle last decides for all, and among a million one is always slow
    potentials, start = random_slds(time=steps, latent=5, states=4, observation_precision=10.0)
    infer = jax.jit(lambda p, s: newton_cg(problem, p, s, max_sweeps=1000, tolerance=1e-10))
    differentiate = jax.jit(lambda p, s: fisher_cg(problem, value, p, s, tolerance=1e-8))
    infer, differentiate = infer.lower(potentials, start).compile(), differentiate.lower(potentials, start).compile()
    begin = time.perf_counter()
    inference = jax.block_until_ready(infer(potentials, start))
    middle = time.perf_counter()
    state, sweeps = inference.state, int(inference.sweeps)
    residual = float(inference.trace.residual.maximum[int(inference.iterations) - 1])
    del inference
    gradient = jax.block_until_ready(differentiate(potentials, state))
    end = time.perf_counter()
    return {
        "steps": steps,
        "sweeps_and_products": sweeps,
        "residual": residual,
        "products": int(gradient.info.products),
        "adjoint_residual": float(gradient.info.residual),
        "microseconds_a_step_and_sweep": 1e6 * (middle - begin) / steps / sweeps,
        "microseconds_a_step_and_product": 1e6 * (end - middle) / steps / int(gradient.info.products),
        "seconds": {"inference": middle - begin, "gradient": end - middle},
        "peak_gibibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def main() -> None:
    from timing import write

    rows = []
    for steps in LENGTHS:
        done = subprocess.run([sys.executable, __file__, str(steps)], capture_output=True, text=True, check=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(rows[-1], flush=True)
    write("million", rows)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(int(sys.argv[1]))))
    else:
        main()
