"""How many sweeps each forward solver needs, over the contraction rate: random problems, the same starts, all to the same residual.

``python benchmarks/solvers.py`` writes ``benchmarks/results/solvers.csv`` and ``docs/images/solvers.svg``; counts, not times, so that they
are the same on a busy machine. What stands in docs/performance.md is ``python benchmarks/solvers.py --table`` on that file.
"""

import argparse
import csv
import functools
import itertools
import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from slds_core.fixed_point import anderson, coordinate_ascent, newton_cg, sweep_spectrum
from slds_core.models.random_slds import random_slds
from slds_core.models.slds import SLDS

ROOT = Path(__file__).parent.parent
RESULTS, FIGURE = ROOT / "benchmarks" / "results" / "solvers.csv", ROOT / "docs" / "images" / "solvers.svg"

RATES = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
SEEDS = range(8)
SIZES = {"time": 50, "latent": 3, "states": 3}
SPREADS = np.geomspace(0.02, 1.5, 40)
PATHS = ((0.5, 1.0), (0.9, 1.0), (0.5, 0.1), (0.9, 0.1), (0.5, 10.0))  # stickiness, observation precision
TOLERANCE = 1e-10
LIMIT, SEARCH_LIMIT = 50_000, 2_000

PROBLEM = SLDS()
SOLVERS: dict[str, Callable] = {"coordinate_ascent": coordinate_ascent, "anderson": anderson, "newton_cg": newton_cg}


@dataclass(frozen=True)
class Run:
    """One solver on one problem."""

    target: float  # of the contraction rate
    rate: float  # as measured at the fixed point that coordinate ascent finds
    seed: int
    spread: float
    stickiness: float
    observation_precision: float
    solver: str
    sweeps: int  # and products, each counted as one
    converged: bool
    distance: float  # of the state from coordinate ascent's, largest entry: another fixed point where it is large
    bound: float  # the bound reached, less coordinate ascent's (nats)


@functools.cache
def compiled(name: str) -> Callable:
    """Returns a solver's program, one for all problems."""
    solver = SOLVERS[name]

    def run(potentials, start, limit):
        found = solver(PROBLEM, potentials, start, max_sweeps=limit, capacity=LIMIT, tolerance=TOLERANCE)
        return (
            found.state,
            found.sweeps,
            found.trace.residual.maximum[found.iterations - 1],
            PROBLEM.elbo(found.posterior),
        )

    return jax.jit(run)


@functools.cache
def compiled_rate() -> Callable:
    """Returns the program for the leading eigenvalue of a sweep's Jacobian (Lanczos)."""
    return jax.jit(lambda potentials, state: sweep_spectrum(PROBLEM, potentials, state).eigenvalues[0])


class Point(NamedTuple):
    """A fixed point on a branch: the same one, followed as the states of the model are drawn apart."""

    recipe: dict[str, float]
    potentials: Any
    state: Any
    rate: float


def follow(recipe: dict[str, float], spread: float, state: Any) -> Point:
    """Returns the fixed point that Newton's method finds from a neighbouring problem's; its rate is NaN where it finds none."""
    recipe = recipe | {"spread": spread}
    potentials, _ = random_slds(**SIZES, **recipe)
    found, _, residual, _ = compiled("newton_cg")(potentials, state, SEARCH_LIMIT)
    rate = float(compiled_rate()(potentials, found)) if residual < 1e-9 else float("nan")
    return Point(recipe, potentials, found, rate)


@functools.cache
def branch(seed: int, stickiness: float, precision: float) -> list[Point]:
    """Returns fixed points along a path of problems, each found from the one before."""
    recipe = {"seed": seed, "stickiness": stickiness, "observation_precision": precision}
    _, state = random_slds(**SIZES, **recipe)
    points = []
    for spread in SPREADS:
        points.append(follow(recipe, float(spread), state))
        state = points[-1].state
    return points


def problems(target: float, seed: int) -> Iterator[Point]:
    """Yields one seed's fixed points of contraction rate ``target``: between two points of a branch, or before it ends in a fold.

    A branch of maxima ends where its rate reaches 1. So whatever the target, a problem of that rate lies before each fold.
    """
    near = 0.02 * min(target, 1 - target)
    for stickiness, precision in PATHS:
        points = branch(seed, stickiness, precision)
        for low, high in itertools.pairwise(points):
            if not low.rate < target or not (beyond(low, high) or high.rate >= target):
                continue
            first, last = low.recipe["spread"], high.recipe["spread"]
            for _ in range(50):
                middle = follow(low.recipe, (first + last) / 2, low.state)
                if not beyond(low, middle) and abs(middle.rate - target) <= near:
                    yield middle
                    break
                if beyond(low, middle) or middle.rate > target:
                    last = middle.recipe["spread"]
                else:
                    low, first = middle, middle.recipe["spread"]


def beyond(one: Point, other: Point) -> bool:
    """Returns whether two neighbours are fixed points of two branches."""
    return not np.isfinite(other.rate) or bool(np.abs(np.asarray(one.state - other.state)).max() > 0.3)


def runs(target: float, seed: int) -> list[Run]:
    """Returns all solvers' runs on one seed's first problem where coordinate ascent returns to the fixed point of that rate.

    All start half-way between it and the random start of ``random_slds``, as the warm starts of training do.
    """
    for point in problems(target, seed):
        _, elsewhere = random_slds(**SIZES, **point.recipe)
        start = (point.state + elsewhere) / 2
        ends = {name: compiled(name)(point.potentials, start, LIMIT) for name in SOLVERS}
        reached, _, _, lowest = ends["coordinate_ascent"]
        rate = float(compiled_rate()(point.potentials, reached))
        if abs(rate - target) > 0.1 * min(target, 1 - target):
            continue  # another fixed point
        return [
            Run(
                target,
                rate,
                solver=name,
                sweeps=int(sweeps),
                converged=bool(residual < TOLERANCE),
                distance=float(np.abs(np.asarray(state) - np.asarray(reached)).max()),
                bound=float(bound - lowest),
                **point.recipe,
            )
            for name, (state, sweeps, residual, bound) in ends.items()
        ]
    return []


def write(found: list[Run], path: Path) -> None:
    """Writes the runs as a table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(Run)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {key: f"{v:.6g}" if isinstance(v, float) else v for key, v in asdict(run).items()} for run in found
        )


def read(path: Path) -> list[Run]:
    """Returns the runs in a table."""
    types = {field.name: field.type for field in fields(Run)}
    with open(path, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    convert = {float: float, int: int, str: str, bool: "True".__eq__}
    return [Run(**{key: convert[types[key]](value) for key, value in row.items()}) for row in rows]


def summary(found: list[Run]) -> dict[tuple[float, str], tuple[int, float, int, int]]:
    """Returns count, median, least and most sweeps by target and solver."""
    groups: dict[tuple[float, str], list[int]] = {}
    for run in found:
        groups.setdefault((run.target, run.solver), []).append(run.sweeps)
    return {key: (len(s), statistics.median(s), min(s), max(s)) for key, s in groups.items()}


def table(found: list[Run]) -> str:
    """Returns the summary in Markdown."""
    numbers, names = summary(found), list(SOLVERS)
    lines = ["| λ | problems | " + " | ".join(names) + " |", "|---|---|" + "---|" * len(names)]
    for target in sorted({run.target for run in found}):
        cells = []
        for name in names:
            _, median, least, most = numbers[target, name]
            cells.append(f"{median:.0f} ({least}–{most})")
        lines.append(f"| {target} | {numbers[target, names[0]][0]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(found: list[Run], path: Path) -> None:
    """Draws every run over 1 - λ, and each solver's medians."""
    import matplotlib.pyplot as plt

    numbers = summary(found)
    plt.style.use(ROOT / "slds_core" / "report" / "slds.mplstyle")
    plt.rcParams["svg.hashsalt"] = "slds"
    figure, axes = plt.subplots(figsize=(6.4, 4))
    for name, marker in zip(SOLVERS, "os^", strict=True):
        own = [run for run in found if run.solver == name]
        (line,) = axes.plot([1 - run.rate for run in own], [run.sweeps for run in own], marker, ms=3, alpha=0.5)
        targets = sorted({run.target for run in own})
        medians = [numbers[target, name][1] for target in targets]
        axes.plot([1 - target for target in targets], medians, color=line.get_color(), label=name)
    axes.set(xscale="log", yscale="log", xlabel="1 − λ", ylabel=f"sweeps and products to {TOLERANCE:g}")
    axes.invert_xaxis()
    axes.legend()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Runs the benchmark, or shows the table of what is there."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--table", action="store_true", help="only show the table of the results that are there")
    if options.parse_args().table:
        print(table(read(RESULTS)))
        return
    jax.config.update("jax_enable_x64", True)
    found = []
    for target in RATES:
        for seed in SEEDS:
            found += runs(target, seed)
            own = {run.solver: run.sweeps for run in found if (run.target, run.seed) == (target, seed)}
            print(target, seed, own, flush=True)
        write(found, RESULTS)
    draw(found, FIGURE)
    print(table(found))


if __name__ == "__main__":
    main()
