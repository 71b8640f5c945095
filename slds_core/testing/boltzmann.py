"""The smallest mean field with all of its structure: a Boltzmann machine on two layers of signs, which compiles in no time.

    log p(y, x) = yᵀ W x + aᵀ y + bᵀ x + const.,      y ∈ {-1, 1}ᴾ,   x ∈ {-1, 1}ᵠ

With ``q(y) q(x)``, ``E[y] = tanh(W E[x] + a)`` and ``E[x] = tanh(Wᵀ E[y] + b)``: derivatives of ``Σ log 2 cosh``. The message
``Wᵀ E[y]`` may be any vector.
"""

from functools import cache
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from slds_core.fixed_point.interface import Block, Field, MeanField
from slds_core.testing.cases import Case, Instance, rounded

_HIDDEN, _VISIBLE = 3, 4

Means = Float[Array, " visible"]


class Couplings(eqx.Module):
    """Parameters of the machine (nats)."""

    weight: Float[Array, "hidden visible"]  # W
    hidden_bias: Float[Array, " hidden"]  # a
    visible_bias: Float[Array, " visible"]  # b


class Layers(eqx.Module):
    """What one sweep computes."""

    hidden: Float[Array, " hidden"]  # E[y]
    message: Means  # Wᵀ E[y]
    visible: Means  # E[x]
    bound: Float[Array, ""]  # nats
    kl_notebook: Float[Array, ""]  # nats


class BoltzmannMachine(MeanField[Couplings, Means, Layers]):
    """Mean field between the two layers. The state is the visible layer's means."""

    def first_block(self, parameters: Couplings, state: Means) -> Block:
        field = parameters.weight @ state + parameters.hidden_bias
        return Block(jnp.sum(jnp.logaddexp(field, -field)), jnp.tanh(field))

    def message(self, parameters: Couplings, statistics: Any) -> Means:
        return parameters.weight.T @ statistics

    def second_block(self, parameters: Couplings, message: Means) -> Block:
        field = message + parameters.visible_bias
        return Block(jnp.sum(jnp.logaddexp(field, -field)), jnp.tanh(field))

    def second_state(self, statistics: Any) -> Means:
        return statistics

    def combine(self, parameters: Couplings, state: Means, first: Block, message: Means, second: Block) -> Layers:
        bound = first.log_partition + second.log_partition - jnp.vdot(message, state)
        # the original's own stopping rule, by which its estimators work here too
        kl_notebook = jnp.vdot(message, second.statistics - state) - bound
        return Layers(first.statistics, message, second.statistics, bound, kl_notebook)

    def parts(self, posterior: Layers) -> tuple[Any, Means]:
        return posterior.hidden, posterior.message

    def with_state(self, posterior: Layers, state: Means) -> Layers:
        return eqx.tree_at(lambda found: found.visible, posterior, state)

    def state(self, posterior: Layers) -> Means:
        return posterior.visible

    def elbo(self, posterior: Layers) -> Float[Array, ""]:
        return posterior.bound

    def monitors(self, posterior: Layers) -> dict[str, Float[Array, ""]]:
        return {"kl_notebook": posterior.kl_notebook}

    def statistics(self, posterior: Layers) -> Any:
        return {"hidden": posterior.hidden, "visible": posterior.visible}

    def parameter_fields(self) -> Any:
        described: Any = Field
        return Couplings(
            weight=described(("hidden", "visible"), "coupling of both layers", "nat"),
            hidden_bias=described(("hidden",), "bias of the hidden layer", "nat"),
            visible_bias=described(("visible",), "bias of the visible layer", "nat"),
        )

    def state_fields(self) -> Any:
        return Field(("visible",), "means of the visible layer")

    def statistics_fields(self) -> Any:
        return {"hidden": Field(("hidden",), "means of the hidden layer"), "visible": self.state_fields()}


@cache
def boltzmann() -> Case:
    """Returns two machines whose sweeps contract at rates of about a half, with an objective that reads all there is to read."""
    return Case("a Boltzmann machine", BoltzmannMachine(), _objective, (_instance(0), _instance(1)))


def _instance(seed: int) -> Instance:
    generator = np.random.default_rng(seed)
    weight = generator.standard_normal((_HIDDEN, _VISIBLE))
    weight /= np.linalg.norm(weight, 2)
    parameters = Couplings(
        weight=rounded(weight),
        hidden_bias=rounded(0.5 * generator.standard_normal(_HIDDEN)),
        visible_bias=rounded(0.5 * generator.standard_normal(_VISIBLE)),
    )
    return Instance(parameters, rounded(generator.uniform(-0.9, 0.9, _VISIBLE)))


def _objective(parameters: Couplings, posterior: Layers) -> Float[Array, ""]:
    statistics = jnp.concatenate([posterior.hidden, posterior.visible])
    ramp = jnp.arange(1, statistics.size + 1, dtype=statistics.dtype)
    return jnp.vdot(ramp, statistics) + jnp.sum(posterior.visible**2) + 0.5 * jnp.sum(parameters.weight**2)
