"""Every contract can be broken: plugins with one defect each, and the contract that tells."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pydantic import Field, field_validator

from slds_core.fixed_point import Field as ArrayField
from slds_core.fixed_point import InferenceStatus, coordinate_ascent
from slds_core.gradients import GradientStatus, fisher_cg, one_step, richardson, unrolled
from slds_core.objectives.generic import linear
from slds_core.plugins import BuiltModel, Declined, GradientPlugin, InferencePlugin, ModelPlugin, ObjectivePlugin
from slds_core.testing import (
    BoltzmannMachine,
    boltzmann,
    check_gradient,
    check_inference,
    check_model,
    check_objective,
    tiny_slds,
)


def with_status(found, status):
    return eqx.tree_at(lambda f: f.info.status, found, status)


def with_gradient(found, change):
    return eqx.tree_at(lambda f: f.gradient, found, jax.tree.map(change, found.gradient))


class Gradient(GradientPlugin):
    """Fisher CG, to be spoilt."""

    def estimate(self, problem, objective, parameters, state):
        return fisher_cg(problem, objective, parameters, state)


class OneStepSolves(Gradient):
    """Calls the one-step gradient solved."""

    def estimate(self, *point):
        return with_status(one_step(*point), GradientStatus.solved)


class Downhill(Gradient):
    """Has the wrong sign, and says that it is approximate."""

    def estimate(self, *point):
        return with_gradient(one_step(*point), jnp.negative)


class Narrow(Gradient):
    """Computes its value in float32 whatever it is given."""

    def estimate(self, *point):
        found = super().estimate(*point)
        return eqx.tree_at(lambda f: f.value, found, found.value.astype(jnp.float32))


class OneGroup(Gradient):
    """Forgets all parameters but the first."""

    def estimate(self, *point):
        found = super().estimate(*point)
        return eqx.tree_at(lambda f: f.gradient, found, jax.tree.leaves(found.gradient)[0])


class Misdeclared(Gradient):
    """Says that it yields something else than it does."""

    yields: ClassVar = "directions"


class Branches(Gradient):
    """Looks at a number where JAX has none yet."""

    def estimate(self, *point):
        found = super().estimate(*point)
        return found if found.value > 0 else with_gradient(found, jnp.negative)


class Twofold(Gradient):
    """Is something else without ``jit``."""

    def estimate(self, *point):
        found = super().estimate(*point)
        factor = 1 if isinstance(found.value, jax.core.Tracer) else 2
        return with_gradient(found, lambda leaf: factor * leaf)


class Callback(Gradient):
    """Calls Python, in a way that no batch can."""

    def estimate(self, *point):
        found = super().estimate(*point)
        shape = jax.ShapeDtypeStruct((), found.value.dtype)
        return eqx.tree_at(lambda f: f.value, found, jax.pure_callback(np.asarray, shape, found.value))


class Batched(Gradient):
    """Mixes the problems of a batch."""

    def estimate(self, *point):
        found = super().estimate(*point)

        @jax.custom_batching.custom_vmap
        def mixed(value):
            return value

        @mixed.def_vmap
        def _(size, batched, value):
            return jnp.full_like(value, jnp.mean(value)), True

        return eqx.tree_at(lambda f: f.value, found, mixed(found.value))


class DeafToNaN(Gradient):
    """Clears NaN away."""

    def estimate(self, *point):
        found = with_gradient(super().estimate(*point), jnp.nan_to_num)
        return with_status(found, GradientStatus.approximate)


class AnyState(Gradient):
    """Takes any state for a fixed point."""

    def estimate(self, *point):
        return fisher_cg(*point, forward_tolerance=1e9)


class AlwaysSolved(Gradient):
    """Does not say that its products ran out."""

    max_products: int = Field(1000, ge=1, description="most products")

    def estimate(self, *point):
        found = richardson(*point, max_products=self.max_products)
        return with_status(
            found,
            GradientStatus.where(
                found.info.status == GradientStatus.product_limit, GradientStatus.solved, found.info.status
            ),
        )


class Terse(Gradient):
    """Leaves a parameter unexplained."""

    scale: float = 1.0


class Greedy(Gradient):
    """Wants more sweeps than anybody gives it."""

    max_sweeps: int = Field(400, ge=1, description="most sweeps")

    def estimate(self, *point):
        if self.max_sweeps < 100:
            raise ValueError(f"max_sweeps: expected 100 or more, found {self.max_sweeps}")
        return super().estimate(*point)


class Drifts(Gradient):
    """Is another plugin each time that it is stored."""

    scale: float = Field(1.0, description="a scale")

    @field_validator("scale")
    @classmethod
    def _double(cls, value):
        return 2 * value


class Lenient(Gradient):
    """Takes whatever it is told."""

    model_config: ClassVar = {"extra": "ignore"}


@pytest.mark.parametrize(
    ("plugin", "contract", "found"),
    [
        (
            OneStepSolves(),
            "right or honest on a Boltzmann machine in float64",
            "expected an error of the gradient of at most",
        ),
        (Downhill(), "right or honest", "points uphill"),
        (Narrow(), "right or honest", "expected float64, found float32"),
        (OneGroup(), "right or honest", "gradient: expected the structure"),
        (Misdeclared(), "right or honest", "expected yields = 'gradient', found 'directions'"),
        (Branches(), "right or honest", "expected an answer, found TracerBoolConversionError"),
        (Twofold(), "the same without jit", "a relative difference of"),
        (Callback(), "batch-safe", "expected an answer, found NotImplementedError|found ValueError"),
        (Batched(), "batch-safe", "relative difference"),
        (DeafToNaN(), "non-finite parameters", "expected the status 'nonfinite', found 'approximate'"),
        (AnyState(), "an unconverged state is not 'solved'", "found 'solved'"),
        (AlwaysSolved(), "honest when starved", "expected an error of the gradient of at most"),
        (Terse(), "documented", "a description of the parameter 'scale'"),
        (Drifts(scale=1.0), "parameters round trip", "from model_dump"),
        (Lenient(), "refuses unknown parameters", "found it accepted"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, GradientPlugin) else "",
)
def test_gradients(plugin, contract, found):
    with pytest.raises(AssertionError, match=rf"breaks the contract '{contract}[^']*.*({found})"):
        check_gradient(plugin)


def test_a_contract_is_named_once_with_the_plugin():
    with pytest.raises(
        AssertionError, match=r"^Downhill\(\) breaks the contract 'right or honest on a Boltzmann machine in"
    ):
        check_gradient(Downhill())


def test_a_plugin_of_another_kind():
    with pytest.raises(AssertionError, match="expected an instance of InferencePlugin, found one of Downhill"):
        check_inference(Downhill())  # pyright: ignore


@pytest.mark.slow
def test_who_refuses_to_starve_has_not_been_honest():
    refused = "it refused all 16 limits up to 16: nothing ran out"
    assert check_gradient(Greedy(), boltzmann()).declined["honest when starved"] == refused


def test_declining_is_no_failure():
    class Declines(Gradient):
        """Wants nothing."""

        def estimate(self, *point):
            raise Declined("not today")

    assert set(check_gradient(Declines()).declined.values()) == {"not today"}


class Inference(InferencePlugin):
    """Coordinate ascent, to be spoilt."""

    def infer(self, problem, parameters, state):
        return coordinate_ascent(problem, parameters, state, max_sweeps=100, tolerance=1e-10)


class EarlyConverged(Inference):
    """Takes one sweep for all."""

    def infer(self, *point):
        found = coordinate_ascent(*point, max_sweeps=1)
        return eqx.tree_at(lambda f: f.status, found, InferenceStatus.converged)


class Lazy(Inference):
    """Takes one sweep for all, and says so."""

    def infer(self, *point):
        return coordinate_ascent(*point, max_sweeps=1)


class Miscounts(Inference):
    """Has one iteration more in its books than it took."""

    def infer(self, *point):
        found = super().infer(*point)
        return eqx.tree_at(lambda f: f.iterations, found, found.iterations + 1)


class Falls(Inference):
    """Ends at the foot of the bound."""

    def infer(self, problem, parameters, state):
        found = coordinate_ascent(problem, parameters, state, max_sweeps=30)
        foot = -jnp.sign(found.state)
        posterior = problem.with_state(found.posterior, foot)
        return eqx.tree_at(lambda f: (f.state, f.posterior), found, (foot, posterior))


class IgnoresNaN(Inference):
    """Says that it ran out of sweeps where it met NaN."""

    def infer(self, *point):
        found = super().infer(*point)
        lost = found.status == InferenceStatus.nonfinite
        status = InferenceStatus.where(lost, InferenceStatus.sweep_limit, found.status)
        return eqx.tree_at(lambda f: f.status, found, status)


class NeverShort(Inference):
    """Calls itself converged when its sweeps run out."""

    max_sweeps: int = Field(200, ge=1, description="most sweeps")

    def infer(self, *point):
        found = coordinate_ascent(*point, max_sweeps=self.max_sweeps, tolerance=1e-13)
        short = found.status == InferenceStatus.sweep_limit
        status = InferenceStatus.where(short, InferenceStatus.converged, found.status)
        return eqx.tree_at(lambda f: f.status, found, status)


@pytest.mark.parametrize(
    ("plugin", "contract", "found"),
    [
        (
            EarlyConverged(),
            "reaches the fixed point of a Boltzmann machine",
            "status 'converged': expected a change of at most",
        ),
        (Lazy(), "converges on a Boltzmann machine", "expected the status 'converged' on an easy problem"),
        (Miscounts(), "trace as long as its iterations", "numbers and then NaN"),
        (Falls(), "the bound does not end below its start", "expected a bound of at least"),
        (IgnoresNaN(), "non-finite parameters", "expected the status 'nonfinite', found 'sweep_limit'"),
        (NeverShort(), "honest when starved", "expected another status than 'converged'"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, InferencePlugin) else "",
)
def test_inference(plugin, contract, found):
    with pytest.raises(AssertionError, match=rf"breaks the contract '{contract}[^']*.*{found}"):
        check_inference(plugin)


class Machine(ModelPlugin):
    """A Boltzmann machine, to be spoilt."""

    def build(self):
        return BuiltModel(self.problem(), *boltzmann().instances[0])

    def problem(self):
        return BoltzmannMachine()


class HasNaN(Machine):
    """Holds a NaN."""

    def build(self):
        built = super().build()
        return built._replace(start=np.full_like(built.start, np.nan))


class Unseeded(Machine):
    """Draws its start anew each time."""

    def build(self):
        built = super().build()
        return built._replace(start=np.random.default_rng().uniform(-0.9, 0.9, built.start.shape))


class WrongFields(Machine):
    """Describes its state by a dimension too many."""

    def problem(self):
        class Machine(BoltzmannMachine):
            def state_fields(self):
                return ArrayField(("visible", "other"), "means")

        return Machine()


class WrongSize(Machine):
    """Calls both layers by one name, though they differ in size."""

    def problem(self):
        class Machine(BoltzmannMachine):
            def parameter_fields(self):
                fields = super().parameter_fields()
                return eqx.tree_at(lambda f: f.hidden_bias, fields, ArrayField(("visible",), "bias"))

        return Machine()


class FallingBound(Machine):
    """Has the sign of its bound wrong."""

    def problem(self):
        class Machine(BoltzmannMachine):
            def elbo(self, posterior):
                return -posterior.bound

        return Machine()


class OtherState(Machine):
    """Has a state in its posterior that is not its sweep's."""

    def problem(self):
        class Machine(BoltzmannMachine):
            def sweep(self, parameters, state):
                return 0.5 * super().sweep(parameters, state)

        return Machine()


class OtherMessage(Machine):
    """Responds by half the message that it computes with."""

    def problem(self):
        class Machine(BoltzmannMachine):
            def response(self, parameters, state):
                return 0.5 * super().response(parameters, state)

        return Machine()


class Asymmetric(Machine):
    """Reports its state's entries in another order: a derivative of no log-partition."""

    def problem(self):
        class Machine(BoltzmannMachine):
            def elbo(self, posterior):
                return jnp.zeros_like(posterior.bound)

            def second_block(self, parameters, message):
                second = super().second_block(parameters, message)
                return second._replace(statistics=jnp.roll(second.statistics, 1))

        return Machine()


class Negative(Machine):
    """Has a negative response: symmetric, but no covariance."""

    def problem(self):
        class Machine(BoltzmannMachine):
            def elbo(self, posterior):
                return jnp.zeros_like(posterior.bound)

            def message(self, parameters, statistics):
                return -super().message(parameters, statistics)

        return Machine()


class Forgets(Machine):
    """Is built with other numbers once it is read by a study."""

    scale: float = Field(1.0, description="of the start", exclude=True)

    def build(self):
        built = super().build()
        return built._replace(start=self.scale * built.start)


@pytest.mark.parametrize(
    ("plugin", "contract", "found"),
    [
        (HasNaN(), "builds", "expected finite numbers, found NaN"),
        (Unseeded(), "builds", "the same arrays each time"),
        (WrongFields(), "described as it is", "expected 1 dimensions of different names"),
        (WrongSize(), "described as it is", "expected 4 along 'visible' as elsewhere, found 3"),
        (FallingBound(), "sweeps raise the bound, in both precisions", "found it lowered by"),
        (OtherState(), "sweeps raise the bound, in both precisions", "beside state"),
        (OtherMessage(), "halves of a sweep, and posterior, belong together", "beside the posterior's message"),
        (Asymmetric(), "Fisher factors symmetric and positive semidefinite", "F, of the second: expected a symmetric"),
        (
            Negative(),
            "Fisher factors symmetric and positive semidefinite",
            "S, of the first block: .* the eigenvalue -",
        ),
        (Forgets(scale=2.0), "parameters round trip", "expected an equal plugin"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, ModelPlugin) else "",
)
def test_models(plugin, contract, found):
    with pytest.raises(AssertionError, match=rf"breaks the contract '{contract}'.*{found}"):
        check_model(plugin)


def test_a_sound_model_keeps_them():
    assert not check_model(Machine()).declined


class Linear(ObjectivePlugin):
    """A linear functional, to be spoilt."""

    def objective(self, problem):
        return linear(problem, 0)


class Vector(Linear):
    """Is no scalar."""

    def objective(self, problem):
        return lambda parameters, posterior: jnp.ones(2) * super(Vector, self).objective(problem)(parameters, posterior)


class Infinite(Linear):
    """Takes the logarithm of zero."""

    def objective(self, problem):
        value = super().objective(problem)
        return lambda parameters, posterior: jnp.log(0 * value(parameters, posterior))


class Stopped(Linear):
    """Hides half of itself from derivatives."""

    def objective(self, problem):
        value = super().objective(problem)

        def half(*point):
            found = value(*point)
            return 0.5 * found + 0.5 * jax.lax.stop_gradient(found)

        return half


class Random(Linear):
    """Draws its weights anew each time."""

    def objective(self, problem):
        return linear(problem, int(np.random.default_rng().integers(1 << 30)))


class Host(Linear):
    """Computes in NumPy."""

    def objective(self, problem):
        value = super().objective(problem)
        return lambda parameters, posterior: jnp.asarray(np.asarray(value(parameters, posterior)))


@pytest.mark.parametrize(
    ("plugin", "found"),
    [
        (Vector(), "expected an answer, found TypeError"),
        (Infinite(), "expected a finite value"),
        (Stopped(), "expected the slope"),
        (Random(), r"objective\(\) once more"),
        (Host(), "expected an answer, found TracerArrayConversionError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, ObjectivePlugin) else "",
)
def test_objectives(plugin, found):
    with pytest.raises(
        AssertionError, match=f"a differentiable scalar of a Boltzmann machine, compiled and batched'.*{found}"
    ):
        check_objective(plugin)


def test_an_objective_that_declines_all_is_not_checked():
    class Nothing(ObjectivePlugin):
        """Has a meaning for nothing."""

        def objective(self, problem):
            raise Declined("nothing")

    with pytest.raises(AssertionError, match="expected a model that it has a meaning for, found all declined: nothing"):
        check_objective(Nothing())


@pytest.mark.parametrize("case", [boltzmann, tiny_slds])
def test_what_is_called_true_is_what_differences_say(case):
    """The truth that estimators are judged by, against central differences of the converged map."""
    from slds_core.testing.cases import cast
    from slds_core.testing.truth import truths

    problem, objective = case().problem, case().objective
    for instance, truth in zip(case().instances, truths(case()), strict=True):
        with jax.enable_x64(True):
            parameters, start = cast(tuple(instance), "float64")
            converged = jax.jit(lambda p, x: unrolled(problem, objective, p, x, sweeps=400).value)
            assert converged(parameters, start) == pytest.approx(truth.value, rel=1e-12)
            slope = sum(np.sum(leaf**2) for leaf in jax.tree.leaves(truth.gradient)) ** 0.5
            step = 1e-5 / slope
            ends = [
                float(converged(jax.tree.map(lambda x, g, h=h: x + h * g, parameters, truth.gradient), start))
                for h in (step, -step)
            ]
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(slope, rel=1e-6)
        assert 0.1 < truth.rate < 0.95
