"""The pickle that the seed notebook loads: ``(recog_potentials, pgm_potentials, gaus_natparam, cat_natparam)``.

The last two are results of inference, which the notebook leaves aside, as we do.
"""

from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from slds_core.models.slds import SLDSPotentials, fields
from slds_core.models.slds.starts import notebook_start, uniform_start
from slds_core.models.slds.validation import InvalidModel, check_shapes, checked
from slds_core.study.array_pickle import PickledArray, read_arrays
from slds_core.study.errors import StudyError
from slds_core.study.trees import named_fields

Start = Literal["notebook", "uniform"]
_STARTS = {"notebook": notebook_start, "uniform": uniform_start}

# In the order of our arrays: what the notebook calls each, and how many axes of size one it adds at the end.
_ARRAYS = (
    ("recog_potentials[0]", 0),
    ("recog_potentials[1]", 1),
    ("E_mniw_params[0]", 1),
    ("E_mniw_params[1]", 0),
    ("E_mniw_params[2]", 0),
    ("E_mniw_params[3]", 0),
    ("E_mniw_params[4]", 1),
    ("E_mniw_params[5]", 2),
    ("init[0]", 0),
    ("init[1]", 1),
    ("E_init_normalizer", 0),
    ("E_init_lps", 1),
    ("E_trans_lps", 0),
)


def read_notebook_pickle(path: Path, start: Start = "notebook") -> tuple[SLDSPotentials, np.ndarray]:
    """Returns the potentials in the file and a start, NumPy arrays in float64.

    Args:
        path: the pickle. It is read without running anything in it.
        start: ``"notebook"``, the draw that the notebook starts from, or ``"uniform"``.

    Raises:
        StudyError: names the file and what was refused, or the array, index, value found and what was expected.
    """
    if not path.is_file():
        raise StudyError(f"{path}: no such file; expected a pickle of the notebook's potentials")
    try:
        potentials = _potentials(read_arrays(path.read_bytes()))
        return checked(potentials, _STARTS[start](potentials.time - 1, potentials.states))
    except OSError as error:
        raise StudyError(f"{path}: cannot be read: {error}") from error
    except InvalidModel as error:
        raise StudyError(f"{path}: {error}{_origin(error.variable)}") from error
    except StudyError as error:
        raise StudyError(f"{path}: {error}") from error


def _potentials(pickled: Any) -> SLDSPotentials:
    values = {name: _values(name, found) for (name, _), found in zip(_ARRAYS, _leaves(pickled), strict=True)}
    dimensions = [field.dimensions for field in jax.tree.leaves(fields.PARAMETERS)]
    axes = {name: (*ours, *"1" * extra) for (name, extra), ours in zip(_ARRAYS, dimensions, strict=True)}
    check_shapes({name: (values[name].shape, axes[name]) for name in values})
    arrays = [array.reshape(array.shape[: len(ours)]) for array, ours in zip(values.values(), dimensions, strict=True)]
    return jax.tree.unflatten(jax.tree.structure(fields.PARAMETERS), arrays)


def _leaves(pickled: Any) -> list[Any]:
    """Returns the thirteen arrays in their order."""
    names = ("recog_potentials", "pgm_potentials", "gaus_natparam", "cat_natparam")
    recognition, graphical, _, _ = _parts("the pickle", pickled, names)
    names = ("E_mniw_params", "init", "E_init_normalizer", "E_init_lps", "E_trans_lps")
    dynamics, first_step, normalizer, initial, transition = _parts("pgm_potentials", graphical, names)
    return [
        *_parts("recog_potentials", recognition, ("-½ R", "r")),
        *_parts("E_mniw_params", dynamics, ("-AᵀΛb", "-½ AᵀΛA", "AᵀΛ", "-½ Λ", "Λb", "constant")),
        *_parts("init", first_step, ("J", "h")),
        normalizer,
        initial,
        transition,
    ]


def _parts(name: str, value: Any, parts: tuple[str, ...]) -> Any:
    if not isinstance(value, tuple | list) or len(value) != len(parts):
        raise StudyError(f"{name} is {_described(value)}, expected a tuple of {len(parts)} ({', '.join(parts)})")
    return value


def _values(name: str, value: Any) -> np.ndarray:
    if type(value) in (int, float):
        return np.asarray(value)
    if not isinstance(value, PickledArray):
        raise StudyError(f"{name} is {_described(value)}, expected an array")
    return value.values


def _described(value: Any) -> str:
    if isinstance(value, PickledArray):
        return f"an array of shape {value.values.shape}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return f"of type {type(value).__name__}"


def _origin(variable: str) -> str:
    """Returns the notebook's name of a variable of ours."""
    names = dict(zip(named_fields(fields.PARAMETERS), (name for name, _ in _ARRAYS), strict=True))
    return f" (the pickle's {names[variable]})" if variable in names else ""
