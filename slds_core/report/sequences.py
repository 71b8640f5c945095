"""The table of a model of many sequences: one row a sequence, for each inference setting."""

import math
from dataclasses import dataclass

import xarray as xr

from slds_core.report.load import ModelResults


@dataclass(frozen=True)
class SequenceRow:
    """One sequence at one inference setting."""

    setting: str
    sequence: int
    length: int
    sweeps: int | None  # until it met the tolerance
    residual_mean: float | None
    residual_max: float | None
    elbo: float | None


def sequence_rows(results: ModelResults) -> list[SequenceRow]:
    """Returns a row for each inference setting and sequence; none for a model of one sequence."""
    rows = []
    for setting, inference in results.inference.items():
        if "length" not in inference:
            continue
        residual = results.residual.get(setting)
        for sequence, length in enumerate(inference["length"].values):
            sweeps = _value(inference, "sequence_sweeps", sequence)
            rows.append(
                SequenceRow(
                    setting=setting,
                    sequence=sequence,
                    length=int(length),
                    sweeps=None if sweeps is None else int(sweeps),
                    residual_mean=_value(residual, "sequence_residual_mean", sequence),
                    residual_max=_value(residual, "sequence_residual_max", sequence),
                    elbo=_value(inference, "sequence_elbo", sequence),
                )
            )
    return rows


def _value(dataset: xr.Dataset | None, name: str, sequence: int) -> float | None:
    number = float(dataset[name][sequence]) if dataset is not None and name in dataset else math.nan
    return None if math.isnan(number) else number
