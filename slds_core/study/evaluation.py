"""What a trained model is worth on what was held out, as variables of its file: predictions and errors in original units."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from slds_core.data import Series
from slds_core.evaluation.gaussian_hmm import HMMPrior, expectations, fit_hmm
from slds_core.evaluation.held_out import held_out_bound
from slds_core.evaluation.prediction import Prediction, Scores, from_hmm, from_interpolation, from_model, scores
from slds_core.evaluation.recovery import adjusted_rand_index
from slds_core.evaluation.split import Split
from slds_core.learning.batch import full_batch
from slds_core.learning.objective import Estimate

Variables = dict[str, tuple[Any, Any, str, str]]

GIVEN, IMPUTED, FORECAST = 1, 2, 3  # what an entry is asked as; zero where nothing is observed
_NO_BOUND: Any = Estimate(np.nan, np.nan)  # type: ignore[arg-type]
_ASKED = ("judged_sequence", "judged_time", "channel")


def evaluation(plugin: Any, split: Split, run: Any, progress: Any, keep: Path | None = None) -> Variables:
    """Returns the data, and what model and baselines make of what was held out of them.

    Args:
        plugin: the ``svae`` plugin, which knows the baselines to fit.
        split: what was learnt from, and what was held out.
        run, progress: the training run.
        keep: folder for files that the baselines' trainings go on from.
    """
    found = _data(split.training) | _recovered(split.training, run.marginals(progress))
    if not (split.unseen or split.horizon or split.hidden.any()):
        return found
    start = None if split.unseen else jnp.asarray(run.marginals(progress))
    methods = {"model": _of_model(progress.model, split, start)}
    for name in plugin.baselines:
        methods[name] = _BASELINES[name](plugin, split, keep)
    methods["interpolation"] = _NO_BOUND, from_interpolation(split)
    return found | _held_out(split, methods)


def _of_model(model: Any, split: Split, start: Any = None) -> tuple[Estimate, Prediction]:
    bound = held_out_bound(model, full_batch(split.judged)) if split.unseen else _NO_BOUND
    return bound, from_model(model, split, start)


def _of_lds(plugin: Any, split: Split, keep: Path | None) -> tuple[Estimate, Prediction]:
    """The same model with one state, trained likewise."""
    own = type(plugin)(**(plugin.model_dump() | {"states": 1, "judge": 0}))
    return _of_model(own.learn(split.training, keep, "lds")[1].model, split)


def _of_hmm(plugin: Any, split: Split, keep: Path | None) -> tuple[Estimate, Prediction]:
    """A hidden Markov model; its log-likelihood is exact, at the parameters' best values."""
    prior = HMMPrior(stickiness=plugin.stickiness)
    model = fit_hmm(full_batch(split.training), plugin.states, prior=prior, seed=plugin.seed)
    judged = full_batch(split.judged)
    if not split.unseen:
        return _NO_BOUND, from_hmm(model, split)
    likelihood = expectations(model, judged).log_likelihood / jnp.sum(judged.observed)
    return Estimate(likelihood, jnp.zeros_like(likelihood)), from_hmm(model, split)


_BASELINES: dict[str, Callable[[Any, Split, Path | None], tuple[Estimate, Prediction]]] = {
    "lds": _of_lds,
    "hmm": _of_hmm,
}


def _held_out(split: Split, methods: dict[str, tuple[Estimate, Prediction]]) -> Variables:
    """Returns each method's predictions and scores, in original units."""
    judged, scale = split.judged, split.judged.scaling.scale
    role = np.where(judged.observed, GIVEN, 0)
    role[split.hidden], role[split.ahead] = IMPUTED, FORECAST
    inside = (np.arange(role.shape[1]) < np.array(judged.lengths)[:, None])[:, :, None]
    predictions = [prediction for _, prediction in methods.values()]
    mean = [np.where(inside, judged.scaling.undo(own.mean), np.nan) for own in predictions]
    deviation = [np.where(inside, scale * np.sqrt(np.maximum(own.variance, 0)), np.nan) for own in predictions]
    found: Variables = {
        "training_method": ("method", list(methods), "what predicts", "1"),
        "training_held_out_value": (_ASKED, judged.original, "judged values, original units", "1"),
        "training_held_out_role": (
            _ASKED,
            role.astype("int8"),
            "1: given, 2: held out and imputed, 3: held out and forecast, 0: not observed",
            "1",
        ),
        "training_held_out_mean": (("method", *_ASKED), mean, "predicted mean, original units", "1"),
        "training_held_out_standard_deviation": (
            ("method", *_ASKED),
            deviation,
            "predicted standard deviation, noise included, original units",
            "1",
        ),
    }
    if split.unseen:
        bounds = [float(bound.value) for bound, _ in methods.values()]
        errors = [float(bound.standard_error) for bound, _ in methods.values()]
        words = "bound on the log-likelihood of the sequences held out, per observed entry, standardised; of 'hmm' the log-likelihood"
        found["training_held_out_bound"] = ("method", bounds, words, "nat")
        words = "its standard error, of the samples that a decoder with a network draws"
        found["training_held_out_bound_standard_error"] = ("method", errors, words, "nat")
    for task, asked in (("imputation", split.hidden), ("forecast", split.ahead)):
        if asked.any():
            found |= _scored(task, [scores(split, own, asked) for own in predictions], scale)
    if split.hidden.any():
        found |= _short(dict(zip(methods, (scores(split, own, split.hidden) for own in predictions), strict=True)))
    if judged.labels:
        labels = np.array([[*own, *[""] * (role.shape[1] - len(own))] for own in judged.labels])
        found["training_judged_step_label"] = (_ASKED[:2], labels, "name of each step of each judged sequence", "1")
    if judged.names:
        found["training_judged_name"] = ("judged_sequence", list(judged.names), "name of each judged sequence", "1")
    return found


def _scored(task: str, found: list[Scores], scale: np.ndarray) -> Variables:
    what = f"root mean square error of {task}"
    return {
        f"training_{task}_error": (
            ("method", "channel"),
            [scale * own.error for own in found],
            f"{what}, entries held out, original units",
            "1",
        ),
        f"training_{task}_scaled_error": (
            "method",
            [own.pooled for own in found],
            f"{what}, all entries held out, each divided by its channel's scale",
            "1",
        ),
        f"training_{task}_log_density": (
            "method",
            [own.log_density for own in found],
            f"mean log-density of {task}, entries held out, standardised",
            "nat",
        ),
    }


def _short(found: dict[str, Scores]) -> Variables:
    """Returns the figures that tables of trained models show."""
    model = found["model"]
    return {
        "training_held_out_error": (
            (),
            model.pooled,
            "root mean square error of imputation, entries held out, standardised",
            "1",
        ),
        "training_held_out_interpolation_error": (
            (),
            found["interpolation"].pooled,
            "the same of linear interpolation in time",
            "1",
        ),
        "training_held_out_log_density": (
            (),
            model.log_density,
            "mean predictive log-density of entries held out",
            "nat",
        ),
    }


def _data(series: Series) -> Variables:
    """Returns what was learnt from, in original units, with how it was standardised and what is known beside it."""
    several = ("sequence",) if len(series.lengths) > 1 else ()

    def shaped(array: np.ndarray) -> np.ndarray:
        return array if several else array[0]

    found: Variables = {
        "training_channel": ("channel", list(series.channels), "names of the channels", "1"),
        "training_channel_units": ("channel", list(series.units or [""] * len(series.channels)), "their units", "1"),
        "training_location": ("channel", series.scaling.location, "subtracted before learning, original units", "1"),
        "training_scale": ("channel", series.scaling.scale, "divided by before learning, original units", "1"),
        "training_data": (
            (*several, "time", "channel"),
            shaped(series.original),
            "what was learnt from, original units; NaN where missing or held out",
            "1",
        ),
    }
    if series.labels:
        padded = [[*own, *[""] * (series.values.shape[1] - len(own))] for own in series.labels]
        found["training_step_label"] = ((*several, "time"), shaped(np.array(padded)), "name of each step", "1")
    if several and series.names:
        found["training_sequence_name"] = ("sequence", list(series.names), "name of each sequence", "1")
    if series.intervals:
        columns = list(zip(*((i.sequence, i.start, i.stop, i.label) for i in series.intervals), strict=True))
        words = ("sequence of each labelled interval", "its first step", "the step after its last", "its label")
        for name, values, text in zip(("sequence", "start", "stop", "label"), columns, words, strict=True):
            found[f"training_interval_{name}"] = ("interval", list(values), text, "1")
    return found


def _recovered(series: Series, marginals: np.ndarray) -> Variables:
    """Returns how well the segmentation agrees with the data's own, where that is known."""
    if "state" not in series.truth:
        return {}
    truth = series.truth["state"]
    kept = np.arange(truth.shape[1]) < np.array(series.lengths)[:, None] - 1
    index = adjusted_rand_index(marginals.argmax(1), truth[kept]) if kept.any() else np.nan
    words = "adjusted Rand index of the most probable states and the data's own"
    return {"training_adjusted_rand_index": ((), index, words, "1")}
