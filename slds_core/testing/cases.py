"""Problems that plugins are checked on: a model, an objective, and two sets of values of the same shapes."""

from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from slds_core.fixed_point.interface import Field, FixedPoint
from slds_core.gradients.result import Objective
from slds_core.objectives.generic import linear


class Instance(NamedTuple):
    """Values of a problem's parameters, and a state to start from that is far from the fixed point."""

    parameters: Any
    start: Any


@dataclass(frozen=True, eq=False)
class Case:
    """A problem with a single fixed point near its starts, small enough for dense linear algebra."""

    name: str
    problem: FixedPoint
    objective: Objective
    instances: tuple[Instance, Instance]


def rounded(array: Any) -> Any:
    """Returns values that float32 holds exactly, so that a problem is the same in both precisions."""
    return np.asarray(array, np.float32).astype(np.float64)


def cast(tree: Any, precision: str) -> Any:
    """Returns a tree's arrays as JAX arrays of a precision, which must be in force."""
    return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf), precision), tree)


class _Contraction(FixedPoint[Any, Any, Any]):
    """``x = tanh(A x + b)`` with ``‖A‖ < 1`` and not symmetric: a fixed point, but no mean field."""

    def posterior(self, parameters: Any, state: Any) -> Any:
        new = jnp.tanh(parameters["matrix"] @ state + parameters["offset"])
        # steps of a contraction shrink, so this never falls, as a bound must not
        return {"state": new, "bound": -jnp.sum((new - state) ** 2)}

    def state(self, posterior: Any) -> Any:
        return posterior["state"]

    def elbo(self, posterior: Any) -> Any:
        return posterior["bound"]

    def statistics(self, posterior: Any) -> Any:
        return posterior["state"]

    def parameter_fields(self) -> Any:
        return {"matrix": Field(("row", "column"), "A"), "offset": Field(("row",), "b")}

    def state_fields(self) -> Any:
        return Field(("row",), "x")

    def statistics_fields(self) -> Any:
        return self.state_fields()


@cache
def contraction() -> Case:
    """Returns two contractions that are no mean field: no Fisher structure, and no bound to speak of."""

    def instance(seed: int) -> Instance:
        generator = np.random.default_rng(seed)
        matrix = generator.standard_normal((4, 4))
        matrix *= 0.6 / np.linalg.norm(matrix, 2)
        parameters = {"matrix": rounded(matrix), "offset": rounded(0.3 * generator.standard_normal(4))}
        return Instance(parameters, rounded(generator.uniform(-1, 1, 4)))

    problem = _Contraction()
    return Case("a contraction that is no mean field", problem, linear(problem, 0), (instance(0), instance(1)))


@cache
def tiny_slds() -> Case:
    """Returns two SLDS of six steps, one latent dimension and two states."""
    from slds_core.models.random_slds import random_slds
    from slds_core.models.slds import SLDS

    problem = SLDS()
    made = [Instance(*random_slds(time=6, latent=1, states=2, spread=0.3, seed=seed)) for seed in (1, 3)]
    first, second = (Instance(*jax.tree.map(rounded, tuple(instance))) for instance in made)
    return Case("a tiny SLDS", problem, linear(problem, 0), (first, second))
