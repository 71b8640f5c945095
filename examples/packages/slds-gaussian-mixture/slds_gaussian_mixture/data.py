"""Random mixtures of a chosen difficulty, with points drawn from them."""

import numpy as np

from slds_gaussian_mixture.types import MixtureParameters, PerComponent, Prior, Recognition


def random_mixture(
    *,
    observations: int,
    latent: int,
    components: int,
    separation: float = 2.0,
    observation_precision: float = 2.0,
    seed: int = 0,
) -> tuple[MixtureParameters, PerComponent]:
    """Returns the parameters of a random mixture whose points are observed with noise, and totals to start from, in float64 NumPy.

    Args:
        observations, latent, components: sizes.
        separation: standard deviation of the components' means, in units of the spread within one: the less, the harder.
        observation_precision: of the recognition potentials.
        seed: of NumPy's generator, so that a problem is the same on every platform.
    """
    generator = np.random.default_rng(seed)
    means = separation * generator.standard_normal((components, latent))
    points = means[generator.integers(components, size=observations)]
    points = points + generator.standard_normal((observations, latent))
    observed = points + generator.standard_normal(points.shape) / np.sqrt(observation_precision)

    recognition = Recognition(
        quadratic=np.tile(-0.5 * observation_precision * np.eye(latent), (observations, 1, 1)),
        linear=observation_precision * observed,
    )
    prior = Prior(
        concentration=np.full(components, 1.0),
        center=0.1 * generator.standard_normal((components, latent)),
        strength=np.full(components, 0.1),
    )
    # points are shared out at random, near to the means that made them: another start may lead to another maximum
    logits = (
        means @ observed.T - 0.5 * np.sum(means**2, -1)[:, None] + generator.standard_normal((components, observations))
    )
    shares = np.exp(logits - logits.max(0))
    shares /= shares.sum(0)
    return MixtureParameters(recognition, prior, np.eye(latent)), PerComponent(shares.sum(1), shares @ observed)
