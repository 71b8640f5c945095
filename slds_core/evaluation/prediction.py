"""What each method makes of entries that it was not given: mean and variance of all entries, imputed or forecast."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Key

from slds_core.chains.packing import Lengths, unpack
from slds_core.data import Series
from slds_core.evaluation.forecast import draw_paths, forecast_sequences, system
from slds_core.evaluation.gaussian_hmm import GaussianHMM, predict
from slds_core.evaluation.held_out import infer
from slds_core.evaluation.split import Split
from slds_core.learning.batch import full_batch
from slds_core.learning.training import SVAE
from slds_core.models.slds.model import SLDSPosterior

_PATHS = 1000  # draws of each path ahead, where a decoder has a network


class Prediction(NamedTuple):
    """Moments of the judged entries, in the units that the series are stored in; of padding, anything."""

    mean: Float[np.ndarray, "sequence time channel"]
    variance: Float[np.ndarray, "sequence time channel"]  # NaN where a method has none


class Scores(NamedTuple):
    """How far off a prediction is, over the entries asked for; NaN where there are none."""

    error: Float[np.ndarray, " channel"]  # root mean square, by channel
    pooled: float  # the same of all channels together
    log_density: float  # mean, of the Gaussian with the predicted moments (nats per entry)


def from_model(model: SVAE, split: Split, start: Float[Array, "packed state"] | None = None) -> Prediction:
    """Returns the model's: imputations from the posterior of all steps that are given, forecasts from its last.

    Args:
        model: as training left it.
        split: what is given, and what is asked for.
        start: where inference of the judged sequences starts, as for ``infer``.

    A decoder with a network predicts from draws, always the same ones.
    """
    key = jax.random.key(0)
    given = split.given
    _, inference = infer(model, full_batch(given), start)
    moments = _of_known_steps(model, inference.posterior, key)
    known = [np.asarray(unpack(given.lengths, array)) for array in moments]
    if not split.horizon:
        return Prediction(*known)
    later = _of_steps_ahead(model, inference.posterior, given.lengths, split.horizon, key)
    return Prediction(*(_joined(own, np.asarray(next_), split) for own, next_ in zip(known, later, strict=True)))


@eqx.filter_jit
def _of_known_steps(model: SVAE, posterior: SLDSPosterior, key: Key[Array, ""]) -> tuple[Array, Array]:
    return model.decoder.predict(posterior.gaussian, key)


@eqx.filter_jit
def _of_steps_ahead(
    model: SVAE, posterior: SLDSPosterior, lengths: Lengths, horizon: int, key: Key[Array, ""]
) -> tuple[Array, Array]:
    ahead = system(model.factors), posterior, lengths, horizon
    if model.decoder.sampled:  # a mixture's moments do not tell what a network makes of it
        paths = jnp.swapaxes(draw_paths(*ahead, jax.random.split(key, _PATHS)), 1, 2)
        return jax.vmap(lambda own: lax.map(model.decoder.moments, own))(paths)
    return jax.vmap(lambda own: model.decoder.predict(own.statistics))(forecast_sequences(*ahead))


def from_hmm(model: GaussianHMM, split: Split) -> Prediction:
    """Returns a hidden Markov model's, exactly: steps ahead are missing ones to it."""
    return Prediction(*map(np.asarray, predict(model, full_batch(_given_in_place(split)))))


def from_interpolation(split: Split) -> Prediction:
    """Returns linear interpolation in time, and the last value that is given beyond it."""
    given = _given_in_place(split)
    mean = np.stack([interpolate(v, o) for v, o in zip(given.values, given.observed, strict=True)])
    return Prediction(mean, np.full(mean.shape, np.nan))


def scores(split: Split, prediction: Prediction, asked: Bool[np.ndarray, "sequence time channel"]) -> Scores:
    """Returns how far off a prediction is on the entries asked for."""
    gap = np.where(asked, split.judged.values - prediction.mean, 0.0)
    count = asked.sum((0, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.sqrt((gap**2).sum((0, 1)) / count)
        pooled = np.sqrt((gap**2).sum() / count.sum())
        density = -0.5 * (np.log(2 * np.pi * prediction.variance) + gap**2 / prediction.variance)
        log_density = np.where(asked, density, 0.0).sum() / count.sum()
    return Scores(error, float(pooled), float(log_density))


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


def _given_in_place(split: Split) -> Series:
    """Returns the judged series with what is asked for hidden, steps ahead included."""
    return split.judged.hide(split.hidden | split.ahead)


def _joined(known: np.ndarray, later: np.ndarray, split: Split) -> np.ndarray:
    """Returns each sequence's known steps and those ahead one after the other, padded as the judged series are."""
    joined = np.zeros(split.judged.values.shape)
    for row, own, after, length in zip(joined, known, later, split.given.lengths, strict=True):
        row[:length], row[length : length + split.horizon] = own[:length], after
    return joined
