"""How the arrays of a mixture are named, described and stored."""

from typing import Any

from slds_core.fixed_point import Field
from slds_gaussian_mixture.types import (
    Assignments,
    Components,
    MixtureParameters,
    MixtureStatistics,
    PerComponent,
    Prior,
    Recognition,
)

_SQUARE = ("latent", "latent_next")


def _field(dimensions: tuple[str, ...], long_name: str, units: str = "1") -> Any:
    """A field where the class asks for an array: descriptions share the arrays' structure."""
    return Field(dimensions, long_name, units)


PARAMETERS = MixtureParameters(
    recognition=Recognition(
        quadratic=_field(("observation", *_SQUARE), "recognition potential of x xᵀ, -½ R_n"),
        linear=_field(("observation", "latent"), "recognition potential of x, r_n"),
    ),
    prior=Prior(
        concentration=_field(("component",), "prior concentration of the components' probabilities"),
        center=_field(("component", "latent"), "prior means of the components' means"),
        strength=_field(("component",), "number of points that the prior means count for"),
    ),
    precision=_field(_SQUARE, "precision of the points within each component"),
)

TOTALS = PerComponent(
    number=_field(("component",), "expected number of points in each component"),
    vector=_field(("component", "latent"), "expected sum of the points in each component"),
)

STATISTICS = MixtureStatistics(
    assignments=Assignments(
        responsibility=_field(("observation", "component"), "probability of each component for each point"),
        mean=_field(("observation", "latent"), "expected point"),
        second_moment=_field(("observation", *_SQUARE), "expected x_n x_nᵀ"),
    ),
    components=Components(
        log_probability=_field(("component",), "expected log-probability of each component", "nat"),
        energy=_field(("component",), "expected -½ μᵀ Λ μ of each component", "nat"),
        center=_field(("component", "latent"), "expected mean of each component"),
    ),
    totals=TOTALS,
)
