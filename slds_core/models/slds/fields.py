"""How the arrays of an SLDS are named, described and stored."""

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax

from slds_core.chains.gaussian import GaussianStatistics
from slds_core.fixed_point.interface import Field
from slds_core.models.slds.potentials import (
    DiscretePotentials,
    DynamicsPotentials,
    InitialPotentials,
    RecognitionPotentials,
    SLDSPotentials,
)

_LATENT = ("latent",)
_SQUARE = ("latent", "latent_next")


def _field(dimensions: tuple[str, ...], long_name: str) -> Any:
    """A field where the class asks for an array: descriptions share the arrays' structure."""
    return Field(dimensions, long_name)


PARAMETERS = SLDSPotentials(
    recognition=RecognitionPotentials(
        quadratic=_field(("time", *_SQUARE), "recognition potential of z zᵀ, -½ R_t"),
        linear=_field(("time", *_LATENT), "recognition potential of z, r_t"),
    ),
    dynamics=DynamicsPotentials(
        linear_current=_field(("state", *_LATENT), "dynamics potential of z_t, -E[Aᵀ Λ b]"),
        quadratic_current=_field(("state", *_SQUARE), "dynamics potential of z_t z_tᵀ, -½ E[Aᵀ Λ A]"),
        cross=_field(("state", *_SQUARE), "dynamics potential of z_t z_{t+1}ᵀ, E[Aᵀ Λ]"),
        quadratic_next=_field(("state", *_SQUARE), "dynamics potential of z_{t+1} z_{t+1}ᵀ, -½ E[Λ]"),
        linear_next=_field(("state", *_LATENT), "dynamics potential of z_{t+1}, E[Λ b]"),
        constant=Field(("state",), "dynamics potential, constant, -½ E[bᵀ Λ b] + ½ E[log |Λ|]", "nat"),  # pyright: ignore
    ),
    initial=InitialPotentials(
        precision=_field(_SQUARE, "expected precision of the first step"),
        linear=_field(_LATENT, "expected precision times mean of the first step"),
        normalizer=Field((), "expected log-normaliser of the first step", "nat"),  # pyright: ignore
    ),
    discrete=DiscretePotentials(
        initial=Field(("state",), "expected log initial probabilities", "nat"),  # pyright: ignore
        transition=Field(("state", "state_next"), "expected log transition probabilities", "nat"),  # pyright: ignore
    ),
)

MARGINALS: Any = Field(("transition", "state"), "probability of each discrete state at each transition")

GAUSSIAN = GaussianStatistics(
    second_moment=_field(("time", *_SQUARE), "expected z_t z_tᵀ"),
    cross_moment=_field(("transition", *_SQUARE), "expected z_t z_{t+1}ᵀ"),
    mean=_field(("time", *_LATENT), "expected z_t"),
)

PADDED = eqx.tree_at(
    lambda fields: fields.recognition,
    PARAMETERS,
    jax.tree.map(
        lambda field: replace(
            field, dimensions=("sequence", *field.dimensions), long_name=f"{field.long_name}, padded"
        ),
        PARAMETERS.recognition,
    ),
)

_PACKED = {"time": "packed_time", "transition": "packed_transition"}


def packed(fields: Any) -> Any:
    """Returns the fields of arrays in which sequences lie end to end."""

    def rename(field: Field) -> Field:
        dimensions = tuple(_PACKED.get(name, name) for name in field.dimensions)
        return replace(field, dimensions=dimensions, long_name=f"{field.long_name}, sequence after sequence")

    return jax.tree.map(rename, fields)


PACKED = eqx.tree_at(lambda fields: fields.recognition, PARAMETERS, packed(PARAMETERS.recognition))
