"""Draws from a known switching linear dynamical system: the truth that recovery is measured against."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from slds_core.data.series import Series, series

_RADIUS = 0.97  # of the rotations: they forget their past slowly, but do


class SyntheticSLDS(NamedTuple):
    """The system itself."""

    matrix: Float[np.ndarray, "state latent latent"]  # A_k
    offset: Float[np.ndarray, "state latent"]  # b_k
    transition: Float[np.ndarray, "state state_next"]  # probabilities
    loading: Float[np.ndarray, "channel latent"]  # C


def synthetic_system(*, latent: int, states: int, channels: int, stickiness: float, seed: int) -> SyntheticSLDS:
    """Returns a system whose states rotate around centres of their own, each at another speed.

    Args:
        latent, states, channels: sizes.
        stickiness: probability of staying in a state.
        seed: of NumPy's generator.
    """
    generator = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(generator.standard_normal((latent, latent)))
    matrix = np.zeros((states, latent, latent))
    for state in range(states):
        angle = np.pi / 3 * (state / max(states - 1, 1) - 0.5)  # from -30 to 30 degrees a step
        turn = np.eye(latent)
        for plane in range(0, latent - 1, 2):
            turn[plane : plane + 2, plane : plane + 2] = [
                [np.cos(angle), -np.sin(angle)],
                [np.sin(angle), np.cos(angle)],
            ]
        matrix[state] = _RADIUS * basis @ turn @ basis.T
    centre = 2 * generator.standard_normal((states, latent))
    offset = centre - np.einsum("kij,kj->ki", matrix, centre)
    leave = (1 - stickiness) / max(states - 1, 1)
    transition = np.where(np.eye(states, dtype=bool), stickiness if states > 1 else 1.0, leave)
    return SyntheticSLDS(matrix, offset, transition, generator.standard_normal((channels, latent)))


def synthetic_slds(
    *,
    lengths: Sequence[int],
    latent: int = 2,
    states: int = 3,
    channels: int = 5,
    stickiness: float = 0.95,
    process_noise: float = 0.1,
    observation_noise: float = 0.2,
    missing: float = 0.0,
    seed: int = 0,
    standardise: bool = False,
) -> Series:
    """Returns observations of the system's paths; the truth is each transition's ``state``, -1 in padding, and the ``path``, zero there.

    Args:
        lengths: time steps of each sequence.
        latent, states, channels, stickiness: as for ``synthetic_system``, which has the same seed.
        process_noise, observation_noise: standard deviations.
        missing: share of the entries that are dropped at random.
        seed: each sequence has a generator of its own, so that it is the same whatever the others are.
        standardise: as for ``series``.

    Raises:
        ValueError: there is no sequence, or one without steps.
    """
    if not lengths or min(lengths) < 1:
        raise ValueError(f"lengths: expected at least one sequence, of at least one step each, found {list(lengths)}")
    system = synthetic_system(latent=latent, states=states, channels=channels, stickiness=stickiness, seed=seed)
    paths = np.zeros((len(lengths), max(lengths), latent))
    observations, state = [], np.full((len(lengths), max(max(lengths) - 1, 0)), -1)
    for number, length in enumerate(lengths):
        generator = np.random.default_rng([seed, number])
        path = np.zeros((length, latent))
        path[0] = generator.standard_normal(latent)
        current = generator.integers(states)
        for step in range(length - 1):
            state[number, step] = current
            mean = system.matrix[current] @ path[step] + system.offset[current]
            path[step + 1] = mean + process_noise * generator.standard_normal(latent)
            current = generator.choice(states, p=system.transition[current])
        paths[number, :length] = path
        seen = path @ system.loading.T + observation_noise * generator.standard_normal((length, channels))
        seen[generator.random(seen.shape) < missing] = np.nan
        observations.append(seen)
    names = [f"channel_{number}" for number in range(channels)]
    return series(observations, names, standardise=standardise, truth={"state": state, "path": paths})
