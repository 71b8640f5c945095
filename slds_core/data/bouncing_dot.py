"""One-dimensional images of a dot that bounces to and fro at constant speed: the synthetic data of the SVAE papers."""

import numpy as np

from slds_core.data.series import Series, series


def bouncing_dot(
    *,
    sequences: int = 20,
    time: int = 50,
    pixels: int = 10,
    speed: float = 0.1,
    width: float = 0.2,
    noise: float = 0.06,
    seed: int = 0,
    standardise: bool = False,
) -> Series:
    """Returns noisy images; the truth ``position`` is the dot's, between -1 and 1.

    Args:
        sequences, time, pixels: how many of each.
        speed: of the dot per step, where the screen is two wide.
        width: standard deviation of the dot's Gaussian profile.
        noise: standard deviation of the noise on each pixel.
        seed: of starts, directions and noise; each sequence has a generator of its own.
        standardise: as for ``series``.

    Raises:
        ValueError: there is no sequence, step or pixel.

    References:
        Johnson et al. (2016), "Composing graphical models with neural networks", §6.
    """
    for name, value in (("sequences", sequences), ("time", time), ("pixels", pixels)):
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, found {value}")
    grid = np.linspace(-1, 1, pixels)
    images, positions = [], []
    for number in range(sequences):
        generator = np.random.default_rng([seed, number])
        phase = 4 * generator.random() + speed * np.arange(time)  # there and back again is four long
        position = np.abs(phase % 4 - 2) - 1
        clean = np.exp(-0.5 * ((position[:, None] - grid) / width) ** 2)
        images.append(clean + noise * generator.standard_normal(clean.shape))
        positions.append(position)
    channels = [f"pixel_{number}" for number in range(pixels)]
    return series(images, channels, standardise=standardise, truth={"position": np.stack(positions)})
