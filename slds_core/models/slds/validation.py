"""Checks of an SLDS's potentials and start, for whoever gets them from a file. NumPy only: nothing is compiled."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from slds_core.models.slds import fields
from slds_core.models.slds.potentials import SLDSPotentials
from slds_core.models.slds.starts import uniform_start

TOLERANCE = 1e-5
"""How far rounding may take a matrix from symmetry, relative to its largest entry, or probabilities from a sum of one."""

_ROUNDING = 1e-14  # a pivot below this part of its diagonal entry is what rounding leaves of zero
_SYMMETRIC = (
    "recognition_quadratic",
    "dynamics_quadratic_current",
    "dynamics_quadratic_next",
    "initial_precision",
)
_LOG_PROBABILITIES = ("discrete_initial", "discrete_transition")
_START = "start"
_OF_DYNAMICS = (
    "Look at the signs of dynamics_quadratic_current and dynamics_quadratic_next, which are minus half a precision, "
    "and at dynamics_cross, which has z_t along its rows and z_t+1 along its columns"
)


class InvalidModel(ValueError):
    """Arrays that are not the potentials and start of an SLDS. ``variable`` names the wrong one, as files do."""

    def __init__(self, variable: str, complaint: str) -> None:
        super().__init__(f"{variable}{complaint}")
        self.variable = variable


def checked(potentials: SLDSPotentials, start: Any = None) -> tuple[SLDSPotentials, np.ndarray]:
    """Returns potentials and start as NumPy arrays in float64, after all checks.

    Args:
        potentials: real arrays of any kind and precision.
        start: probability of each state at each transition, from which the first sweep starts; uniform if left out.

    Raises:
        InvalidModel: names variable, index, value found and what was expected.
    """
    described, leaves = _named(fields.PARAMETERS), jax.tree.leaves(potentials)
    if len(leaves) != len(described):
        names = ", ".join(name for name, _ in described)
        raise InvalidModel("potentials", f": expected {len(described)} arrays ({names}), found {len(leaves)}")
    if start is not None:
        described, leaves = [*described, (_START, fields.MARGINALS)], [*leaves, start]
    arrays = {name: real(name, leaf) for (name, _), leaf in zip(described, leaves, strict=True)}
    check_shapes({name: (arrays[name].shape, field.dimensions) for name, field in described})
    for name, array in arrays.items():
        _check_finite(name, array)
    for name in _SYMMETRIC:
        _check_symmetric(name, arrays[name])
    for name in _LOG_PROBABILITIES:
        _check_log_probabilities(name, arrays[name])

    marginals = arrays.pop(_START, None)
    potentials = jax.tree.unflatten(jax.tree.structure(fields.PARAMETERS), list(arrays.values()))
    if marginals is None:
        marginals = uniform_start(potentials.time - 1, potentials.states)
    _check_marginals(_START, marginals)
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is no positive pivot
        _check_precision("initial_precision", np.asarray(potentials.initial.precision))
        for state, precision in enumerate(_joint_precisions(potentials.dynamics)):
            _check_precision(f"the dynamics of state {state}", precision, _OF_DYNAMICS)
        _check_definite(*first_sweep_precision(potentials, marginals))
    return potentials, marginals


def real(name: str, values: Any) -> np.ndarray:
    """Returns real numbers, integers included, in float64.

    Raises:
        InvalidModel: the values are of another type.
    """
    try:
        array = np.asarray(values)
    except ValueError as error:  # lists of unequal lengths
        raise InvalidModel(name, f": {error}") from error
    if array.dtype.kind not in "fiu" and array.dtype.name != "bfloat16":
        raise InvalidModel(name, f" holds values of type {array.dtype}, expected real floating-point numbers")
    return array.astype(np.float64)


def check_shapes(shapes: Mapping[str, tuple[tuple[int, ...], tuple[str, ...]]]) -> None:
    """Checks that arrays agree on the sizes of their dimensions.

    Args:
        shapes: by variable, the sizes found and the dimensions' names. Each size is learnt from the first array that has the
            dimension; ``x_next`` is another name for ``x``, a transition is one less than time, and ``"1"`` has size one.

    Raises:
        InvalidModel: names the variable, its dimension, and where the other size was found.
    """
    known: dict[str, tuple[int, str]] = {}
    for name, (shape, dimensions) in shapes.items():
        if len(shape) != len(dimensions) or not _ones(shape, dimensions):
            raise InvalidModel(name, f" has shape {shape}, expected ({', '.join(dimensions)})")
        for size, dimension in zip(shape, dimensions, strict=True):
            expected, why = _expected_size(name, size, dimension, known)
            if size != expected:
                raise InvalidModel(name, f" has shape {shape}: {size} along {dimension}, expected {expected}{why}")
            if not size and dimension != "transition":
                raise InvalidModel(name, f" has shape {shape}: nothing along {dimension}, expected at least 1")


def first_sweep_precision(potentials: SLDSPotentials, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the total precision of the Gaussian chain in the first sweep.

    Returns:
        Its blocks on the diagonal (time, latent, latent) and those to their right (transition, latent, latent).
    """
    dynamics = potentials.dynamics
    quadratic = np.array(potentials.recognition.quadratic)
    quadratic[0] -= 0.5 * potentials.initial.precision
    quadratic[:-1] += np.tensordot(start, dynamics.quadratic_current, axes=1)
    quadratic[1:] += np.tensordot(start, dynamics.quadratic_next, axes=1)
    return -(quadratic + quadratic.swapaxes(1, 2)), -np.tensordot(start, dynamics.cross, axes=1)


def _joint_precisions(dynamics: Any) -> np.ndarray:
    """Returns the precision of ``(z_t, z_t+1)`` in each state's dynamics (state, 2 latent, 2 latent): an expectation of
    ``[-A I]' Λ [-A I]``, which has no negative eigenvalue."""
    current, following = (-(q + q.swapaxes(1, 2)) for q in (dynamics.quadratic_current, dynamics.quadratic_next))
    upper = np.concatenate([current, -dynamics.cross], axis=2)
    lower = np.concatenate([-dynamics.cross.swapaxes(1, 2), following], axis=2)
    return np.concatenate([upper, lower], axis=1)


def _check_precision(name: str, matrix: np.ndarray, hint: str = "") -> None:
    """Checks that no eigenvalue is below zero by more than rounding; what overflows is for the chain's own check."""
    if not np.all(np.isfinite(matrix)):
        return
    eigenvalues = np.linalg.eigvalsh(matrix)
    if eigenvalues[0] < -TOLERANCE * np.max(np.abs(eigenvalues)):
        found = f"has the eigenvalue {eigenvalues[0]:.8g}, expected none below zero"
        raise InvalidModel(name, f": the joint precision of z_t and z_t+1 {found}. {hint}" if hint else f" {found}")


def _ones(shape: tuple[int, ...], dimensions: tuple[str, ...]) -> bool:
    return all(size == 1 for size, dimension in zip(shape, dimensions, strict=True) if dimension == "1")


def _expected_size(name: str, size: int, dimension: str, known: dict[str, tuple[int, str]]) -> tuple[int, str]:
    """Returns a dimension's size and why it must be so, and enters a new one into ``known``."""
    if dimension == "transition":
        time, source = known["time"]
        return time - 1, f": {source} has {time} time steps"
    expected, source = known.setdefault(dimension.removesuffix("_next"), (size, name))
    return expected, "" if source == name else f" as in {source}"


def _named(described: Any) -> list[tuple[str, Any]]:
    pairs = jax.tree_util.tree_leaves_with_path(described)
    return [(jax.tree_util.keystr(path, simple=True, separator="_"), field) for path, field in pairs]


def _check_finite(name: str, array: np.ndarray) -> None:
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        at = tuple(bad[0])
        hint = "; for what cannot happen write -1e4" if name in _LOG_PROBABILITIES and array[at] == -np.inf else ""
        raise InvalidModel(name, f"{_index(at)} is {array[at]}, expected a finite number{hint}")


def _check_symmetric(name: str, array: np.ndarray) -> None:
    difference = np.abs(array - array.swapaxes(-1, -2))
    largest = np.max(np.abs(array), axis=(-1, -2), keepdims=True)
    bad = np.argwhere(difference > TOLERANCE * largest)
    if len(bad):
        *batch, row, column = (int(i) for i in bad[0])
        at, mirrored = (*batch, row, column), (*batch, column, row)
        one, other = array[at] + 0.0, array[mirrored] + 0.0  # no negative zeros
        complaint = f"{_index(at)} is {one:.8g} and {_index(mirrored)} is {other:.8g}, expected a symmetric matrix"
        raise InvalidModel(name, complaint)


def _check_log_probabilities(name: str, array: np.ndarray) -> None:
    with np.errstate(over="ignore"):
        total = np.sum(np.exp(array), axis=-1)
    bad = np.argwhere(total > 1 + TOLERANCE)
    if len(bad):
        at = tuple(bad[0])
        raise InvalidModel(
            name,
            f"{_index(at)}: the exponentials add up to {total[at]:.8g}, expected at most 1: these are expected "
            "logarithms of probabilities, in nats",
        )


def _check_marginals(name: str, array: np.ndarray) -> None:
    bad = np.argwhere((array < 0) | (array > 1 + TOLERANCE))
    if len(bad):
        at = tuple(bad[0])
        raise InvalidModel(name, f"{_index(at)} is {array[at]:.8g}, expected a probability between 0 and 1")
    total = np.sum(array, axis=-1)
    bad = np.argwhere(np.abs(total - 1) > TOLERANCE)
    if len(bad):
        at = tuple(bad[0])
        raise InvalidModel(name, f"{_index(at)}: the row adds up to {total[at]:.8g}, expected 1")


def _check_definite(diagonal: np.ndarray, coupling: np.ndarray) -> None:
    found = _bad_pivot(diagonal, coupling)
    if found:
        step, index, value = found
        raise InvalidModel(
            "total precision",
            f" of the Gaussian chain in the first sweep is not positive definite: at time {step}, latent {index} the pivot "
            f"is {value:.8g}, expected a positive number. Look at the signs: quadratic potentials are minus half a "
            "precision, initial_precision is a precision; and at steps that neither data nor dynamics hold in place",
        )


def _bad_pivot(diagonal: np.ndarray, coupling: np.ndarray) -> tuple[int, int, float] | None:
    """Returns step, index and value of the first pivot that is not positive, eliminating forward in time."""
    remaining = diagonal[0]
    for step, block in enumerate(diagonal):
        smallest = _ROUNDING * np.abs(np.diagonal(block))
        try:
            root = np.linalg.cholesky(remaining)
        except np.linalg.LinAlgError:
            return step, *_first_pivot_below(remaining, smallest)
        if not np.all(np.diagonal(root) ** 2 > smallest):
            return step, *_first_pivot_below(remaining, smallest)
        if step < len(coupling):
            scaled = np.linalg.solve(root, coupling[step])
            remaining = diagonal[step + 1] - scaled.T @ scaled
    return None


def _first_pivot_below(matrix: np.ndarray, smallest: np.ndarray) -> tuple[int, float]:
    """Returns index and value of the first pivot that is not above ``smallest``, or of the last pivot."""
    matrix = matrix.copy()
    last = len(matrix) - 1
    for index in range(last):
        pivot = matrix[index, index]
        if not pivot > smallest[index]:
            return index, float(pivot)
        matrix -= np.outer(matrix[:, index], matrix[index]) / pivot
    return last, float(matrix[last, last])


def _index(index: Any) -> str:
    return f"[{', '.join(str(i) for i in index)}]" if len(index) else ""
