"""Contracts of a gradient estimator."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from slds_core.directions import random_directions
from slds_core.fixed_point.interface import MeanField
from slds_core.fixed_point.status import name_of
from slds_core.gradients import DirectionalDerivatives, Gradient, GradientStatus, certify
from slds_core.plugins import Declined, GradientPlugin
from slds_core.testing.boltzmann import boltzmann
from slds_core.testing.cases import Case, cast, contraction
from slds_core.testing.outcome import Outcome, require
from slds_core.testing.parameters import BUDGETS, check_parameters, starved
from slds_core.testing.programs import (
    PRECISIONS,
    broken,
    flat,
    require_close,
    require_precision,
    require_shapes,
    stack,
)
from slds_core.testing.truth import Truth, truths

# Relative error of a gradient that says it is solved, to whatever tolerance; and what a tolerance may grow to in the gradient.
_EXACT = {"float64": 1e-8, "float32": 1e-3}
_GRACE = 100
_ROUNDING = 1e3  # units of rounding that no certificate has to cover
_BY_DESIGN = ("approximate", "exact_derivative", "fell_back")


def check_gradient(plugin: GradientPlugin, *cases: Case) -> Outcome:
    """Checks that an estimator is right or says that it is not, and that JAX can compile and batch it.

    Args:
        plugin: the estimator, with the parameters to check it with.
        cases: problems to check it on; by default a Boltzmann machine, and a contraction that is no mean field, which it may decline.

    Returns:
        The contracts kept and those declined.

    Raises:
        AssertionError: a contract is broken; says which, what was expected and what was found.
    """
    outcome = Outcome(plugin)
    check_parameters(plugin, GradientPlugin, outcome)
    for case in cases or (boltzmann(),):
        _check_on(plugin, case, outcome)
    if not cases:
        with outcome.contract("right on a model that is no mean field, or declines"):
            _Trial(plugin, contraction()).check_truth("float64")
    return outcome


def _check_on(plugin: GradientPlugin, case: Case, outcome: Outcome) -> None:
    trial = _Trial(plugin, case)
    for precision in PRECISIONS:
        with outcome.contract(f"right or honest on {case.name} in {precision}"):
            trial.check_truth(precision)
    if any(case.name in contract for contract in outcome.declined):
        return
    with outcome.contract("the same without jit"):
        trial.check_eager()
    with outcome.contract("batch-safe"):
        trial.check_batch()
    with outcome.contract("non-finite parameters give the status 'nonfinite'"):
        trial.check_nonfinite()
    with outcome.contract("an unconverged state is not 'solved'"):
        trial.check_unconverged()
    with outcome.contract("honest when starved"):
        trial.check_starved()


class _Trial:
    """One estimator on one case, compiled once a precision."""

    def __init__(self, plugin: GradientPlugin, case: Case):
        self.plugin, self.case = plugin, case
        self.program = jax.jit(self.function(plugin))
        self.certify = jax.jit(lambda p, x, adjoint: certify(case.problem, case.objective, p, x, adjoint).bound)

    def function(self, plugin: GradientPlugin) -> Callable[..., Any]:
        return lambda p, x: plugin.estimate(self.case.problem, self.case.objective, p, x)

    def point(self, number: int, precision: str) -> tuple[Any, Any, Truth]:
        """Returns an instance's parameters, the state that the plugin asks for, and the truth."""
        parameters, start = self.case.instances[number]
        truth = truths(self.case)[number]
        state = start if self.plugin.start == "initial" else truth.state
        return *cast((parameters, state), precision), truth

    def check_truth(self, precision: str) -> None:
        with jax.enable_x64(precision == "float64"):
            for number in (0, 1):
                parameters, state, truth = self.point(number, precision)
                found = self.program(parameters, state)
                _require_form(found, parameters, precision)
                yields = "gradient" if isinstance(found, Gradient) else "directions"
                require(self.plugin.yields == yields, f"expected yields = '{yields}', found '{self.plugin.yields}'")
                if precision == "float64" and isinstance(found, Gradient):
                    status = name_of(found.info.status)
                    require(
                        status in ("solved", *_BY_DESIGN),
                        f"expected the status 'solved' on an easy problem, or that of an approximation by design, found '{status}'",
                    )
                self.judge(found, parameters, state, truth, precision)

    def judge(self, found: Any, parameters: Any, state: Any, truth: Truth, precision: str) -> None:
        """Requires what claims to be right to be so, and what is an approximation to point uphill."""
        if isinstance(found, DirectionalDerivatives):
            return self.judge_directions(found, truth, precision)
        status = name_of(found.info.status)
        gradient, wanted = flat(found.gradient), flat(truth.gradient)
        if status == "solved":
            error = float(np.linalg.norm(gradient - wanted))
            bound = self.bound(found, parameters, state, truth, precision)
            require(
                error <= bound,
                f"status 'solved': expected an error of the gradient of at most {bound:.1e}, found {error:.1e}",
            )
            wrong = abs(float(found.value) - truth.value)
            allowed = _EXACT[precision] * (1 + abs(truth.value))
            require(
                wrong <= allowed,
                f"expected the value {truth.value!r} within {allowed:.1e}, found {float(found.value)!r}",
            )
        elif status in _BY_DESIGN:
            require(
                np.all(np.isfinite(gradient)), f"status '{status}': expected a finite gradient, found NaN or infinity"
            )
            uphill = float(gradient @ wanted)
            require(
                uphill > 0,
                f"status '{status}': expected an approximation that points uphill, found a product with the true gradient of "
                f"{uphill:.1e}",
            )

    def bound(self, found: Gradient, parameters: Any, state: Any, truth: Truth, precision: str) -> float:
        """Returns the largest error that a gradient may have that says it is solved: by the plugin's tolerance, and by its certificate."""
        scale = float(np.linalg.norm(flat(truth.gradient)))
        rounding = _ROUNDING * float(jnp.finfo(precision).eps) * scale
        tolerance = float(self.plugin.model_dump().get("tolerance", 0.0))
        promised = max(_EXACT[precision], _GRACE * tolerance / (1 - truth.rate)) * scale
        certificate = float(found.info.certificate)
        mean_field = isinstance(self.case.problem, MeanField)
        if mean_field and jax.tree.structure(found.adjoint) == jax.tree.structure(state):
            certificate = float(self.certify(parameters, state, found.adjoint))
        return float(np.fmin(promised, certificate)) + rounding  # NaN is no certificate

    def judge_directions(self, found: DirectionalDerivatives, truth: Truth, precision: str) -> None:
        leaves = jax.tree.leaves(truth.gradient)
        settings = self.plugin.model_dump()
        count, seed = found.derivative.shape[1], settings.get("seed", 0)
        drawn = random_directions([leaf.shape for leaf in leaves], count=count, seed=seed)
        wanted = np.array([[np.vdot(leaf, d) for d in group] for leaf, group in zip(leaves, drawn, strict=True)])
        error = np.abs(np.asarray(found.derivative, np.float64) - wanted)
        # the estimate of the error is an estimate: thrice it
        allowed = 3 * np.asarray(found.error, np.float64) + _ROUNDING * float(jnp.finfo(precision).eps)
        unconverged = float(found.forward_residual) > _ROUNDING * float(jnp.finfo(precision).eps)
        require(
            unconverged or np.all(error <= allowed),
            f"expected derivatives within thrice their own error, found {np.max(error / allowed):.1f} times that",
        )

    def check_eager(self) -> None:
        with jax.enable_x64(True):
            parameters, state, _ = self.point(0, "float64")
            eager = self.function(self.plugin)(parameters, state)
            _require_same(eager, self.program(parameters, state), "float64", "without jit")

    def check_batch(self) -> None:
        with jax.enable_x64(True):
            points = [self.point(number, "float64")[:2] for number in (0, 1)]
            together = jax.jit(jax.vmap(self.function(self.plugin)))(*stack(tuple(points)))
            for number, point in enumerate(points):
                one = jax.tree.map(lambda leaf, number=number: leaf[number], together)
                _require_same(one, self.program(*point), "float64", f"problem {number} of a batch")

    def check_nonfinite(self) -> None:
        with jax.enable_x64(True):
            parameters, state, _ = self.point(0, "float64")
            for name, damaged in broken(parameters):
                found = self.program(damaged, state)
                if isinstance(found, DirectionalDerivatives):
                    require(not np.all(np.isfinite(found.derivative)), f"NaN in {name}: expected NaN, found numbers")
                else:
                    status = name_of(found.info.status)
                    require(status == "nonfinite", f"NaN in {name}: expected the status 'nonfinite', found '{status}'")

    def check_unconverged(self) -> None:
        if self.plugin.start == "initial":
            raise Declined("it starts where inference starts: no state is unconverged to it")
        with jax.enable_x64(True):
            parameters, start = cast(tuple(self.case.instances[0]), "float64")
            found = self.program(parameters, start)
            if isinstance(found, DirectionalDerivatives):  # converges anew
                return self.judge_directions(found, truths(self.case)[0], "float64")
            status = name_of(found.info.status)
            require(
                status != "solved", "expected another status than 'solved' far from the fixed point, found 'solved'"
            )

    def check_starved(self) -> None:
        variants = starved(self.plugin)
        if not variants:
            raise Declined("it has no limit 'max_…' that could be reached")
        with jax.enable_x64(True):
            parameters, state, truth = self.point(0, "float64")
            for variant in variants:
                try:
                    found = jax.jit(self.function(variant))(parameters, state)
                except (ValueError, Declined):  # not one iteration: refused where the user can still act
                    continue
                return self.judge(found, parameters, state, truth, "float64")
            raise Declined(f"it refused all {len(variants)} limits up to {BUDGETS[-1]}: nothing ran out")


def _require_form(found: Any, parameters: Any, precision: str) -> None:
    require(
        isinstance(found, Gradient | DirectionalDerivatives),
        f"expected a Gradient or DirectionalDerivatives, found {type(found).__name__}",
    )
    require(found.value.shape == (), f"expected a scalar value, found shape {found.value.shape}")
    require_precision(found, precision, "result")
    if isinstance(found, Gradient):
        require(isinstance(found.info.status, GradientStatus), "expected a GradientStatus, found another status")
        require_shapes(found.gradient, parameters, "gradient")
        products = int(found.info.products)
        require(products >= 0, f"expected the number of products, found {products}")


def _require_same(found: Any, wanted: Any, precision: str, what: str) -> None:
    if isinstance(wanted, DirectionalDerivatives):
        return require_close((found.value, found.derivative), (wanted.value, wanted.derivative), precision, what)
    require_close((found.value, found.gradient), (wanted.value, wanted.gradient), precision, what)
    names = name_of(found.info.status), name_of(wanted.info.status)
    require(names[0] == names[1], f"{what}: expected the status '{names[1]}', found '{names[0]}'")
