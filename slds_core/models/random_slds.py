"""Random switching linear dynamical systems of a chosen difficulty, with observations to infer them from.

The observations come from a saturated version of the system, ``z' = 3 tanh((A_k z + b_k) / 3) + ε``, since a random ``A_k`` may be
unstable. The potentials are those of vague global factors around the unsaturated one: a problem of realistic difficulty, not a
model that is exact for its data.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from slds_core.expfam.mniw import MatrixNormalInverseWishart
from slds_core.expfam.niw import NormalInverseWishart
from slds_core.fixed_point.limits import require_count
from slds_core.models.slds.potentials import RecognitionPotentials, SLDSPotentials, expected_potentials


@dataclass(frozen=True)
class Recipe:
    """Sizes and difficulty of a random SLDS."""

    latent: int
    states: int
    observation_precision: float = 1.0
    stickiness: float = (
        0.5  # probability that a step's state is not drawn anew, from all of them; its weight in the prior's diagonal
    )
    spread: float = 0.2  # standard deviation of the states' [A_k b_k] around the common [0.9 I, 0]; the less, the harder to tell apart
    missing_start: int = 0  # a block of steps without observation
    missing_length: int = 0

    def __post_init__(self) -> None:
        for name, least in (("latent", 1), ("states", 1), ("missing_start", 0), ("missing_length", 0)):
            require_count(name, getattr(self, name), least)
        if not 0 <= self.spread < math.inf:
            raise ValueError(f"spread: expected a number of at least 0, found {self.spread}")
        if not 0 < self.observation_precision < math.inf:
            raise ValueError(f"observation_precision: expected a number above 0, found {self.observation_precision}")
        if not 0 <= self.stickiness <= 1:
            raise ValueError(f"stickiness: expected a probability, found {self.stickiness}")


def random_slds(*, time: int, seed: int = 0, **recipe: Any) -> tuple[SLDSPotentials, Float[Array, "transition state"]]:
    """Returns the potentials of a random SLDS observed with noise, and a random start, in float64 whatever JAX's setting.

    The global factors are about as vague as at the start of training, which is where the two blocks are coupled most strongly.

    Args:
        time: steps.
        seed: of NumPy's generator, so that a problem is the same on every platform and in every precision.
        recipe: the fields of ``Recipe``.

    Raises:
        ValueError: names the argument that is out of bounds, and the value found.
    """
    require_count("time", time, 1)
    chosen = Recipe(**recipe)
    generator = np.random.default_rng(seed)
    coefficients = _coefficients(chosen, generator)
    data = _draw(chosen, coefficients, time, generator)
    with jax.enable_x64(True):
        recognition = RecognitionPotentials(jnp.asarray(data.quadratic), jnp.asarray(data.linear))
        return _potentials(chosen, coefficients, recognition), jnp.asarray(data.start)


def random_sequences(
    *, lengths: Sequence[int], seed: int = 0, **recipe: Any
) -> tuple[SLDSPotentials, Float[Array, "packed state"]]:
    """Returns the potentials and the start of many sequences from the same global factors, as ``SLDSSequences`` takes them.

    Args:
        lengths: time steps of each.
        seed: as for ``random_slds``, which has the same global factors. Each sequence has a generator of its own, so that it is
            the same whatever the others are.
        recipe: the fields of ``Recipe``.

    Raises:
        ValueError: names the argument that is out of bounds, and the value found.
    """
    require_count("lengths", min(lengths, default=0), 1)
    chosen = Recipe(**recipe)
    coefficients = _coefficients(chosen, np.random.default_rng(seed))
    drawn = [
        _draw(chosen, coefficients, length, np.random.default_rng([seed, number]))
        for number, length in enumerate(lengths)
    ]

    def padded(arrays: list[np.ndarray]) -> Array:
        missing = [(0, max(lengths) - len(array)) for array in arrays]
        rest = [[(0, 0)] * (array.ndim - 1) for array in arrays]
        return jnp.stack([np.pad(a, [time, *more]) for a, time, more in zip(arrays, missing, rest, strict=True)])

    with jax.enable_x64(True):
        recognition = RecognitionPotentials(padded([d.quadratic for d in drawn]), padded([d.linear for d in drawn]))
        start = jnp.concatenate([jnp.asarray(d.start) for d in drawn])
        return _potentials(chosen, coefficients, recognition), start


class _Drawn(NamedTuple):
    quadratic: np.ndarray
    linear: np.ndarray
    start: np.ndarray


def _coefficients(recipe: Recipe, generator: np.random.Generator) -> np.ndarray:
    """Returns each state's ``[A_k b_k]``."""
    common = 0.9 * np.eye(recipe.latent, recipe.latent + 1)
    return common + recipe.spread * generator.standard_normal((recipe.states, *common.shape))


def _draw(recipe: Recipe, coefficients: np.ndarray, time: int, generator: np.random.Generator) -> _Drawn:
    """Returns one sequence's recognition potentials and where its inference starts."""
    latent, states = recipe.latent, recipe.states
    z = np.zeros((time, latent))
    z[0] = generator.standard_normal(latent)
    k = generator.integers(states)
    for t in range(time - 1):
        # saturated, since a random transition matrix may be unstable
        z[t + 1] = 3 * np.tanh(coefficients[k] @ np.append(z[t], 1.0) / 3) + generator.standard_normal(latent)
        if generator.random() > recipe.stickiness:
            k = generator.integers(states)

    precision = np.full(time, recipe.observation_precision)
    precision[recipe.missing_start : recipe.missing_start + recipe.missing_length] = 0.0
    observed = z + generator.standard_normal(z.shape) / np.sqrt(recipe.observation_precision)
    return _Drawn(
        quadratic=-0.5 * precision[:, None, None] * np.eye(latent),
        linear=precision[:, None] * observed,
        start=generator.dirichlet(np.ones(states), time - 1),
    )


def _potentials(recipe: Recipe, coefficients: np.ndarray, recognition: RecognitionPotentials) -> SLDSPotentials:
    """Returns the potentials that vague global factors around the coefficients give. In the precision that JAX is set to."""
    latent, states = recipe.latent, recipe.states
    degrees = latent + 2.0
    leave = (1 - recipe.stickiness) / max(states - 1, 1)
    concentration = 0.5 + 5.0 * states * np.where(np.eye(states, dtype=bool), recipe.stickiness, leave)
    first_step = NormalInverseWishart(
        scale=jnp.asarray(latent * np.eye(latent)),
        location=jnp.asarray(np.zeros(latent)),
        strength=jnp.asarray(20.0),
        degrees=jnp.asarray(degrees),
    )
    dynamics = MatrixNormalInverseWishart(
        scale=jnp.asarray(np.tile(latent * np.eye(latent), (states, 1, 1))),
        location=jnp.asarray(coefficients),
        strength=jnp.asarray(np.tile(20.0 * np.eye(latent + 1), (states, 1, 1))),
        degrees=jnp.asarray(np.full(states, degrees)),
    )
    given = _given_factors(first_step, dynamics, np.ones(states), concentration)
    return eqx.tree_at(lambda p: p.recognition, given, recognition, is_leaf=lambda leaf: leaf is None)


@jax.jit  # one compilation instead of eighty small ones, the same for any number of steps
def _given_factors(*factors: Any) -> SLDSPotentials:
    return expected_potentials(None, *factors)  # type: ignore[arg-type]
