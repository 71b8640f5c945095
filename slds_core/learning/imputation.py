"""How well entries that were held out are filled in, beside linear interpolation."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float


class Imputation(NamedTuple):
    """Errors on the entries held out, in standardised units."""

    error: float  # root mean square, of the model's mean
    interpolation_error: float  # root mean square, of linear interpolation in time
    log_density: float  # mean of the model's predictive log-density (nats an entry)


def hold_out(
    observed: Bool[np.ndarray, "sequence time channel"], share: float, seed: int
) -> Bool[np.ndarray, "sequence time channel"]:
    """Returns a random choice of about that share of the observed entries."""
    return observed & (np.random.default_rng(seed).random(observed.shape) < share)


def interpolate(
    values: Float[np.ndarray, "time channel"], observed: Bool[np.ndarray, "time channel"]
) -> Float[np.ndarray, "time channel"]:
    """Returns each channel interpolated linearly between what is observed of it, constant beyond; zero where nothing is."""
    steps = np.arange(len(values))
    filled = np.zeros(values.shape)
    for channel in np.flatnonzero(observed.any(0)):
        seen = observed[:, channel]
        filled[:, channel] = np.interp(steps, steps[seen], values[seen, channel])
    return filled


def imputation(
    values: Float[np.ndarray, "packed channel"],
    held_out: Bool[np.ndarray, "packed channel"],
    mean: Float[np.ndarray, "packed channel"],
    variance: Float[np.ndarray, "packed channel"],
    interpolated: Float[np.ndarray, "packed channel"],
) -> Imputation:
    """Returns the errors on the entries held out; NaN where there are none."""
    if not held_out.any():
        return Imputation(np.nan, np.nan, np.nan)
    truth, spread = values[held_out], variance[held_out]
    gap = truth - mean[held_out]
    return Imputation(
        float(np.sqrt(np.mean(gap**2))),
        float(np.sqrt(np.mean((truth - interpolated[held_out]) ** 2))),
        float(np.mean(-0.5 * (np.log(2 * np.pi * spread) + gap**2 / spread))),
    )
