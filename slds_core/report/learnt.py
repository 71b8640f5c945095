"""What a trained model's file says of its data and of what was held out of them, as figures and tables need it."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from slds_core.report.load import ModelResults

GIVEN, IMPUTED, FORECAST = 1, 2, 3  # what an entry was asked as; as the stage writes it, which knows JAX
METHODS = {"model": "this model", "lds": "LDS", "hmm": "HMM", "interpolation": "interpolation"}
NOT_FINITE = "not finite"
TASKS = {IMPUTED: "imputation", FORECAST: "forecast"}


@dataclass(frozen=True)
class Learnt:
    """One sequence that was learnt from, in original units."""

    number: int
    name: str  # empty where it has none
    values: np.ndarray  # (T, channel), NaN where missing
    states: np.ndarray  # (T - 1, K), probability of each state
    labels: list[str]  # of the steps; empty where they have none
    intervals: list[tuple[int, int, str]]  # labelled: first step, step after the last, label


@dataclass(frozen=True)
class Judged:
    """One sequence of which something was held out, in original units."""

    number: int
    name: str
    values: np.ndarray  # (T, channel)
    role: np.ndarray  # (T, channel)
    mean: dict[str, np.ndarray]  # by method, (T, channel)
    deviation: dict[str, np.ndarray]
    labels: list[str]  # of the steps; empty where they have none


def channels(model: xr.Dataset) -> list[str]:
    """Returns the channels' names, with units where they are known."""
    names, units = (model[f"training_channel{end}"].values for end in ("", "_units"))
    return [f"{name} ({unit})" if unit else str(name) for name, unit in zip(names, units, strict=True)]


def methods(model: xr.Dataset) -> list[str]:
    """Returns what predicts, the model first."""
    return [str(name) for name in model["training_method"].values] if "training_method" in model else []


def held_out_bounds(model: xr.Dataset | None) -> dict[str, float]:
    """Returns the bound on the sequences held out by method, where it has one: not finite where it failed."""
    if model is None or "training_held_out_bound" not in model:
        return {}
    found = zip(methods(model), model["training_held_out_bound"].values, strict=True)
    return {name: float(value) for name, value in found if applicable(name, value)}


def applicable(method: str, value: float) -> bool:
    """Returns whether a method was to have a number: one that is not finite is its failure, but for interpolation, which is no density."""
    return bool(np.isfinite(value)) or method != "interpolation"


def learnt_sequences(results: ModelResults) -> list[Learnt]:
    """Returns the sequences that a model was learnt from, none for a model that was not learnt."""
    model = results.model
    if model is None or "training_data" not in model:
        return []
    several = "sequence" in model["training_data"].dims
    values = model["training_data"].values if several else model["training_data"].values[None]
    lengths = model["length"].values if "length" in model else np.array([values.shape[1]])
    names = model["training_sequence_name"].values if "training_sequence_name" in model else [""] * len(lengths)
    labels = _padded(model, "training_step_label", several)
    pieces = np.split(model["start"].values, np.cumsum(lengths - 1)[:-1])
    return [
        Learnt(
            number,
            str(names[number]),
            values[number, :length],
            pieces[number],
            [] if labels is None else [str(label) for label in labels[number, :length]],
            _intervals(model, number),
        )
        for number, length in enumerate(lengths)
    ]


def judged_sequences(results: ModelResults) -> list[Judged]:
    """Returns the sequences of which something was held out and predicted."""
    model = results.model
    if model is None or "training_held_out_mean" not in model:
        return []
    values, role = model["training_held_out_value"].values, model["training_held_out_role"].values
    mean, deviation = (
        dict(zip(methods(model), model[f"training_held_out_{name}"].values, strict=True))
        for name in ("mean", "standard_deviation")
    )
    labels = _padded(model, "training_judged_step_label", several=True)
    names = model["training_judged_name"].values if "training_judged_name" in model else [""] * len(values)
    found = []
    for number in range(len(values)):
        length = int(np.isfinite(mean["model"][number]).any(1).sum())  # padding is NaN
        cut = slice(0, length)
        found.append(
            Judged(
                number,
                str(names[number]),
                values[number, cut],
                role[number, cut],
                {name: own[number, cut] for name, own in mean.items()},
                {name: own[number, cut] for name, own in deviation.items()},
                [] if labels is None else [str(label) for label in labels[number, cut]],
            )
        )
    return found


def _padded(model: xr.Dataset, name: str, several: bool) -> np.ndarray | None:
    if name not in model:
        return None
    return model[name].values if several else model[name].values[None]


def _intervals(model: xr.Dataset, number: int) -> list[tuple[int, int, str]]:
    if "training_interval_label" not in model:
        return []
    columns = (model[f"training_interval_{name}"].values for name in ("sequence", "start", "stop", "label"))
    return [(int(a), int(b), str(label)) for own, a, b, label in zip(*columns, strict=True) if own == number]
