"""How an iteration ended: failure is data."""

import equinox as eqx
import numpy as np


class InferenceStatus(eqx.Enumeration):
    """Why inference stopped. The message says what happened and what to try."""

    converged = "The stopping criterion was met."
    sweep_limit = "The sweep limit was reached first: raise `max_sweeps`, or accept the residual as it stands."
    precision_floor = (
        "The residual stopped falling at the level of rounding: more sweeps will not help, a wider precision may."
    )
    diverged = "The bound fell by more than rounding: a defect of the model, whose sweeps must not lower it."
    nonfinite = "Non-finite values: check the potentials for NaN and the total precision for positive definiteness."


SUCCESSES = ("converged", "precision_floor")
"""Names of the statuses at which the state is a fixed point, as far as its precision goes."""


def name_of(status: eqx.Enumeration) -> str:
    """Returns an enumeration item's name, outside of ``jit``.

    Raises:
        ValueError: it is a batch of them.
    """
    names = names_of(status)
    if names.shape:
        raise ValueError(f"status: expected one, found a batch of shape {names.shape}; names_of returns their names")
    return str(names)


def names_of(status: eqx.Enumeration) -> np.ndarray:
    """Returns the name of each item of a batch, as ``vmap`` yields it, outside of ``jit``.

    Raises:
        ValueError: an item is none of its enumeration's, or has no value at all.
    """
    enumeration = status._enumeration  # equinox offers the message by index, but no way back to the name
    names = list(enumeration._name_to_item)
    found = np.stack([np.asarray(status == getattr(enumeration, name)) for name in names])
    if not np.all(np.any(found, axis=0)):
        raise ValueError(f"status: expected items of {', '.join(names)}, found something else")
    return np.asarray(np.array(names)[np.argmax(found, axis=0)])
