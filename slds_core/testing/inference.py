"""Contracts of an inference setting."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from slds_core.fixed_point import Inference, InferenceStatus, fixed_point_residual
from slds_core.fixed_point.status import SUCCESSES, name_of
from slds_core.plugins import Declined, InferencePlugin
from slds_core.testing.boltzmann import boltzmann
from slds_core.testing.cases import Case, cast, contraction
from slds_core.testing.outcome import Outcome, require
from slds_core.testing.parameters import BUDGETS, check_parameters, starved
from slds_core.testing.programs import (
    PRECISIONS,
    broken,
    require_close,
    require_precision,
    require_shapes,
    stack,
)

_UNSAID = 1e-8  # residual asked of a plugin without a parameter `tolerance`
_ROUNDING = 1e3  # units of rounding at which a residual counts as none, and a fall of the bound too


def check_inference(plugin: InferencePlugin, *cases: Case) -> Outcome:
    """Checks that inference converges on an easy problem, never says so falsely, keeps its books, and can be compiled and batched.

    Args:
        plugin: the inference setting, with the parameters to check it with.
        cases: problems to check it on; by default a Boltzmann machine, and a contraction that is no mean field, which it may decline.

    Returns:
        The contracts kept and those declined.

    Raises:
        AssertionError: a contract is broken; says which, what was expected and what was found.
    """
    outcome = Outcome(plugin)
    check_parameters(plugin, InferencePlugin, outcome)
    for case in cases or (boltzmann(),):
        _check_on(plugin, case, outcome)
    if not cases:
        with outcome.contract("right on a model that is no mean field, or declines"):
            _Trial(plugin, contraction()).check_end("float64")
    return outcome


def _check_on(plugin: InferencePlugin, case: Case, outcome: Outcome) -> None:
    trial = _Trial(plugin, case)
    for precision in PRECISIONS:
        with outcome.contract(f"reaches the fixed point of {case.name} in {precision}, or says that it did not"):
            trial.check_end(precision)
    if any(case.name in contract for contract in outcome.declined):
        return
    with outcome.contract("trace as long as its iterations"):
        trial.check_trace()
    with outcome.contract("the bound does not end below its start"):
        trial.check_bound()
    with outcome.contract(f"converges on {case.name}"):
        trial.check_converges()
    with outcome.contract("the same without jit"):
        trial.check_eager()
    with outcome.contract("batch-safe"):
        trial.check_batch()
    with outcome.contract("non-finite parameters give the status 'nonfinite'"):
        trial.check_nonfinite()
    with outcome.contract("honest when starved"):
        trial.check_starved()


class _Trial:
    """One inference setting on one case, compiled once a precision."""

    def __init__(self, plugin: InferencePlugin, case: Case):
        self.plugin, self.case = plugin, case
        self.program = jax.jit(self.function(plugin))
        self.residual = jax.jit(lambda p, x: fixed_point_residual(case.problem, p, x).maximum)

    def function(self, plugin: InferencePlugin) -> Callable[..., Any]:
        return lambda p, x: plugin.infer(self.case.problem, p, x)

    def point(self, number: int, precision: str) -> tuple[Any, Any]:
        return cast(tuple(self.case.instances[number]), precision)

    def check_end(self, precision: str) -> None:
        with jax.enable_x64(precision == "float64"):
            for number in (0, 1):
                parameters, start = self.point(number, precision)
                found = self.program(parameters, start)
                require(isinstance(found, Inference), f"expected an Inference, found {type(found).__name__}")
                require(isinstance(found.status, InferenceStatus), "expected an InferenceStatus, found another status")
                require_precision(found, precision, "inference")
                require_shapes(found.state, start, "state")
                self.judge(found, parameters, precision)

    def check_converges(self) -> None:
        if self.plugin.model_dump().get("tolerance", _UNSAID) == 0:
            raise Declined("its tolerance is 0: it takes all its sweeps, whatever they change")
        with jax.enable_x64(True):
            status = name_of(self.program(*self.point(0, "float64")).status)
            require(status in SUCCESSES, f"expected the status 'converged' on an easy problem, found '{status}'")

    def judge(self, found: Inference, parameters: Any, precision: str) -> None:
        """Requires a state that is said to be converged to stand still in one more sweep."""
        status = name_of(found.status)
        if status not in SUCCESSES:
            return
        allowed = self.allowed(precision)
        moved = float(self.residual(parameters, found.state))
        require(
            moved <= allowed,
            f"status '{status}': expected a change of at most {allowed:.1e} in one more sweep, found {moved:.1e}",
        )

    def allowed(self, precision: str) -> float:
        """Returns the residual that the plugin's own tolerance promises; a relative change of the bound goes with its square."""
        settings = self.plugin.model_dump()
        promised = float(settings.get("tolerance", _UNSAID))
        if settings.get("criterion", "residual") != "residual":
            promised = promised**0.5
        return 10 * promised + _ROUNDING * float(jnp.finfo(precision).eps)

    def check_trace(self) -> None:
        with jax.enable_x64(True):
            found = self.program(*self.point(0, "float64"))
            iterations = int(found.iterations)
            trace = found.trace
            require("elbo" in trace.monitors, f"expected the monitor 'elbo' in the trace, found {list(trace.monitors)}")
            series = {"residual.mean": trace.residual.mean, "residual.maximum": trace.residual.maximum}
            for name, values in (series | trace.monitors | {"sweeps": trace.sweeps}).items():
                finite = np.isfinite(np.asarray(values))
                taken = int(np.sum(finite))
                require(
                    taken == iterations and np.all(finite[:iterations]),
                    f"trace of {name}: expected {iterations} numbers and then NaN, found {taken} numbers",
                )
            spent = np.asarray(trace.sweeps)[:iterations]
            total = int(found.sweeps)
            require(np.all(np.diff(spent) >= 0), "trace of sweeps: expected numbers that never fall, found a fall")
            require(
                spent[-1] <= total and total >= iterations,
                f"expected at least one sweep an iteration and a total not below the trace, found {total} sweeps in {iterations} "
                f"iterations and {spent[-1]:.0f} at the trace's end",
            )
            followed = self.case.problem.state(found.posterior)
            require_close(found.state, followed, "float64", "state that follows from the posterior")

    def check_bound(self) -> None:
        problem = self.case.problem
        bound = jax.jit(lambda p, x: problem.elbo(problem.posterior(p, x)))
        with jax.enable_x64(True):
            for number in (0, 1):
                parameters, start = self.point(number, "float64")
                before = float(bound(parameters, start))
                after = float(bound(parameters, self.program(parameters, start).state))
                lowest = before - _ROUNDING * float(jnp.finfo("float64").eps) * (1 + abs(before))
                require(after >= lowest, f"expected a bound of at least {before!r} nats, found {after!r}")

    def check_eager(self) -> None:
        with jax.enable_x64(True):
            point = self.point(0, "float64")
            _require_same(self.function(self.plugin)(*point), self.program(*point), "without jit")

    def check_batch(self) -> None:
        with jax.enable_x64(True):
            points = tuple(self.point(number, "float64") for number in (0, 1))
            together = jax.jit(jax.vmap(self.function(self.plugin)))(*stack(points))
            for number, point in enumerate(points):
                one = jax.tree.map(lambda leaf, number=number: leaf[number], together)
                _require_same(one, self.program(*point), f"problem {number} of a batch")

    def check_nonfinite(self) -> None:
        with jax.enable_x64(True):
            parameters, start = self.point(0, "float64")
            for name, damaged in broken(parameters):
                status = name_of(self.program(damaged, start).status)
                require(status == "nonfinite", f"NaN in {name}: expected the status 'nonfinite', found '{status}'")

    def check_starved(self) -> None:
        variants = starved(self.plugin)
        if not variants:
            raise Declined("it has no limit 'max_…' that could be reached")
        with jax.enable_x64(True):
            parameters, start = self.point(0, "float64")
            for variant in variants:
                try:
                    found = jax.jit(self.function(variant))(parameters, start)
                except (ValueError, Declined):  # not one iteration: refused where the user can still act
                    continue
                status = name_of(found.status)
                moved = float(self.residual(parameters, found.state))
                floor = _ROUNDING * float(jnp.finfo("float64").eps)
                require(
                    status not in SUCCESSES or moved <= floor,
                    f"{variant!r}: expected another status than '{status}' where one more sweep changes the state by {moved:.1e}",
                )
                return
            raise Declined(f"it refused all {len(variants)} limits up to {BUDGETS[-1]}: nothing ran out")


def _require_same(found: Inference, wanted: Inference, what: str) -> None:
    require_close(found.state, wanted.state, "float64", what)
    names = name_of(found.status), name_of(wanted.status)
    require(names[0] == names[1], f"{what}: expected the status '{names[1]}', found '{names[0]}'")
