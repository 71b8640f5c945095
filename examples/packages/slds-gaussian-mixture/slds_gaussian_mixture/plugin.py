"""The plugin: its parameters, and no mathematics before they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from slds_core.plugins import BuiltModel, ModelPlugin

if TYPE_CHECKING:
    from slds_gaussian_mixture.model import Mixture


class GaussianMixture(ModelPlugin):
    """A random Bayesian mixture of Gaussians, its points seen through recognition potentials."""

    observations: int = Field(60, ge=1, description="points")
    latent: int = Field(2, ge=1, description="dimension of a point")
    components: int = Field(3, ge=1, description="components")
    separation: float = Field(
        2.0, gt=0, description="standard deviation of the components' means, in units of the spread within one"
    )
    observation_precision: float = Field(2.0, gt=0, description="precision of the recognition potentials")
    seed: int = Field(0, ge=0, description="seed of parameters, points and start")

    def build(self) -> BuiltModel:
        from slds_gaussian_mixture.data import random_mixture

        return BuiltModel(self.problem(), *random_mixture(**self.model_dump()))

    def problem(self) -> Mixture:
        from slds_gaussian_mixture.model import Mixture

        return Mixture()
