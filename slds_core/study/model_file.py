"""Model files by anyone's hand: a NetCDF file with the variables of an SLDS, with or without this project's attributes.

A file with the variable ``length`` holds many sequences; what its recognition potentials hold beyond a sequence's length is not read.
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

from slds_core.models.slds import SLDSPotentials, fields
from slds_core.models.slds.validation import InvalidModel, checked
from slds_core.study import store
from slds_core.study.errors import StudyError
from slds_core.study.registry import nearest
from slds_core.study.trees import named_fields

_START = "start"
_LENGTH = "length"


def read_model_file(path: Path) -> tuple[SLDSPotentials, np.ndarray]:
    """Returns the potentials and the start in a file, NumPy arrays in float64; those of ``SLDSSequences`` if it holds many.

    Args:
        path: a file that this project wrote, or any NetCDF file with its variables. Where ``start`` is missing, the start is
            uniform.

    Raises:
        StudyError: names the file, variable, index, value found and what was expected.
    """
    dataset = _open(path)
    try:
        if _LENGTH in dataset:
            return _read_sequences(dataset)
        described = named_fields(fields.PARAMETERS)
        _check_names(dataset, [*described, _START])
        arrays = [_values(dataset, name, field.dimensions) for name, field in described.items()]
        potentials = jax.tree.unflatten(jax.tree.structure(fields.PARAMETERS), arrays)
        start = _values(dataset, _START, fields.MARGINALS.dimensions) if _START in dataset else None
        return checked(potentials, start)
    except (InvalidModel, StudyError) as error:
        raise StudyError(f"{path}: {error}") from error


def read_lengths(path: Path) -> list[int] | None:
    """Returns the time steps of each sequence in a file; ``None`` where it holds one without saying so.

    Raises:
        StudyError: the file cannot be read, or its lengths are no lengths.
    """
    dataset = _open(path)
    try:
        return _lengths(dataset) if _LENGTH in dataset else None
    except StudyError as error:
        raise StudyError(f"{path}: {error}") from error


def _read_sequences(dataset: xr.Dataset) -> tuple[SLDSPotentials, np.ndarray]:
    """Returns potentials and start of many sequences, each checked as one SLDS would be."""
    lengths = _lengths(dataset)
    described = named_fields(fields.PADDED)
    _check_names(dataset, [*described, _START, _LENGTH])
    arrays = [_values(dataset, name, field.dimensions) for name, field in described.items()]
    longest = dataset.sizes["time"]
    if max(lengths) > longest:
        number = lengths.index(max(lengths))
        raise StudyError(f"{_LENGTH}[{number}] is {lengths[number]}, expected at most {longest}, the size of time")
    starts = _starts(dataset, lengths)

    def one(number: int, length: int) -> tuple[SLDSPotentials, np.ndarray]:
        own = [
            array[number, :length] if "sequence" in field.dimensions else array
            for array, field in zip(arrays, described.values(), strict=True)
        ]
        try:
            return checked(jax.tree.unflatten(jax.tree.structure(fields.PARAMETERS), own), starts[number])
        except InvalidModel as error:
            raise StudyError(f"sequence {number}: {error}") from error

    sequences = [one(number, length) for number, length in enumerate(lengths)]

    def padded(*own: np.ndarray) -> np.ndarray:
        out = np.zeros((len(own), max(lengths), *own[0].shape[1:]))
        for row, array in zip(out, own, strict=True):
            row[: len(array)] = array
        return out

    shared = sequences[0][0]
    recognition = jax.tree.map(padded, *(potentials.recognition for potentials, _ in sequences))
    potentials = SLDSPotentials(recognition, shared.dynamics, shared.initial, shared.discrete)
    return potentials, np.concatenate([start for _, start in sequences])


def _lengths(dataset: xr.Dataset) -> list[int]:
    values = _values(dataset, _LENGTH, ("sequence",))
    if values.dtype.kind not in "iu":
        raise StudyError(f"variable '{_LENGTH}' holds values of type {values.dtype}, expected whole numbers")
    if not values.size:
        raise StudyError(f"variable '{_LENGTH}' is empty, expected at least one sequence")
    for number, value in enumerate(values):
        if value < 1:
            raise StudyError(f"{_LENGTH}[{number}] is {value}, expected at least 1")
    return [int(value) for value in values]


def _starts(dataset: xr.Dataset, lengths: list[int]) -> Sequence[np.ndarray | None]:
    """Returns each sequence's start; the file has them end to end, or not at all."""
    if _START not in dataset:
        return [None for _ in lengths]
    start = _values(dataset, _START, fields.packed(fields.MARGINALS).dimensions)
    transitions = [length - 1 for length in lengths]
    if len(start) != sum(transitions):
        raise StudyError(
            f"{_START} has shape {start.shape}: {len(start)} along packed_transition, expected {sum(transitions)}: "
            f"one less than {_LENGTH} for each sequence, end to end"
        )
    return np.split(start, np.cumsum(transitions)[:-1])


def _open(path: Path) -> xr.Dataset:
    if not path.is_file():
        raise StudyError(f"{path}: no such file; expected a model file")
    # the library's warnings are about dimensions and encodings that the checks below refuse by name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = store.open_whole(path, decode_times=False)
    # a file of ours may be half-written, of another kind or version: the store knows
    return store.read(path, "model") if "slds_kind" in dataset.attrs else dataset


def _check_names(dataset: xr.Dataset, known: list[str]) -> None:
    """Refuses a variable of another name: a misspelt ``start`` would pass for none. Coordinates along one dimension are labels."""
    for name, variable in dataset.variables.items():
        label = name in dataset.coords and variable.ndim < 2
        if name not in known and not label and not str(name).startswith("training_"):
            raise StudyError(f"variable '{name}' is no part of a model{nearest(str(name), known)}")


def _values(dataset: xr.Dataset, name: str, dimensions: tuple[str, ...]) -> np.ndarray:
    expected = ", ".join(dimensions)
    if name not in dataset:
        raise StudyError(f"variable '{name}' is missing; expected it with dimensions ({expected})")
    variable = dataset[name]
    if variable.dims != dimensions:
        found = ", ".join(map(str, variable.dims))
        raise StudyError(f"variable '{name}' has dimensions ({found}), expected ({expected})")
    _check_no_times(name, variable.attrs)
    return variable.values


def _check_no_times(name: str, attributes: Mapping[str, Any]) -> None:
    """Refuses dates and durations, which NetCDF keeps as numbers with attributes that tell what they are."""
    for key, mark in (("units", " since "), ("dtype", "timedelta64")):
        if mark in str(attributes.get(key, "")):
            raise StudyError(f"variable '{name}' holds times ({key} '{attributes[key]}'), expected real numbers")
