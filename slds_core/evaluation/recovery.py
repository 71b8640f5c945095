"""How well a known system is found again: up to the names of its states, and up to an affine change of the latent basis.

What is observed, ``C z + d``, is the same in each basis. So the change from the found basis to the true one is the one that observations
ask for, ``z = C⁺ (Ĉ ẑ + d̂ - d)``, and no path needs to be known to find it.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment


class Dynamics(NamedTuple):
    """What each state does, ``z ↦ A z + b``."""

    matrix: Float[np.ndarray, "state latent latent"]
    offset: Float[np.ndarray, "state latent"]


class Recovery(NamedTuple):
    """Measures of what was found beside the truth."""

    adjusted_rand_index: float  # of the segmentation: 1 if equal, about 0 by chance
    agreement: float  # share of the transitions whose matched state is the true one
    matrix_error: Float[np.ndarray, " state"]  # ‖Â - A‖ / ‖A‖, Frobenius, by true state
    step_error: (
        float  # error of the predicted steps over the true path, relative to the steps' own size; 1 if nothing moved
    )


def adjusted_rand_index(a: Int[np.ndarray, " item"], b: Int[np.ndarray, " item"]) -> float:
    """Returns how well two labellings agree, whatever the labels' names: 1 if they are the same, about 0 by chance.

    Returns:
        The index; 1 for fewer than two items, which no labelling tells apart.

    References:
        Hubert and Arabie (1985), "Comparing partitions", equation 5.
    """
    if len(a) < 2:
        return 1.0
    table = np.array([[np.sum((a == i) & (b == j)) for j in np.unique(b)] for i in np.unique(a)])

    def pairs(counts):
        return np.sum(counts * (counts - 1) / 2)

    rows, columns, together = pairs(table.sum(1)), pairs(table.sum(0)), pairs(table)
    chance = rows * columns / pairs(np.array([len(a)]))
    most = (rows + columns) / 2
    return 1.0 if most == chance else float((together - chance) / (most - chance))  # equal where both are one cluster


def matched_states(
    found: Int[np.ndarray, " transition"], true: Int[np.ndarray, " transition"], states: int
) -> Int[np.ndarray, " state"]:
    """Returns the true state of each found one, so that as many transitions as possible agree (Hungarian method)."""
    overlap = np.zeros((states, states), int)
    np.add.at(overlap, (found, true), 1)
    return linear_sum_assignment(overlap, maximize=True)[1]


def in_basis_of(
    loading: Float[np.ndarray, "channel latent"],
    offset: Float[np.ndarray, " channel"],
    found: Dynamics,
    found_loading: Float[np.ndarray, "channel latent"],
    found_offset: Float[np.ndarray, " channel"],
) -> Dynamics:
    """Returns the dynamics that were found in the basis of another loading.

    Raises:
        ValueError: the change of basis is singular: loadings of other dimensions, or a dimension that nothing is observed of.
    """
    inverse = np.linalg.pinv(loading)
    change, shift = inverse @ found_loading, inverse @ (found_offset - offset)
    if change.shape[0] != change.shape[1] or np.linalg.cond(change) > 1e12:
        raise ValueError(f"expected loadings of one rank and size, found {loading.shape} and {found_loading.shape}")
    matrix = change @ found.matrix @ np.linalg.inv(change)
    return Dynamics(matrix, found.offset @ change.T + shift - matrix @ shift)


def recovery(
    found_states: Int[np.ndarray, " transition"],
    found: Dynamics,
    true_states: Int[np.ndarray, " transition"],
    true: Dynamics,
    before: Float[np.ndarray, "transition latent"],
) -> Recovery:
    """Returns how well states and dynamics were found.

    Args:
        found_states, true_states: of each transition.
        found, true: dynamics in the true basis, as many states each.
        before: the true path at the step that each transition leaves.
    """
    names = matched_states(found_states, true_states, len(true.matrix))
    order = np.argsort(names)  # the found state of each true one
    matrix, offset = found.matrix[order], found.offset[order]
    gap = np.einsum("tij,tj->ti", matrix[true_states] - true.matrix[true_states], before)
    gap += (offset - true.offset)[true_states]
    step = np.einsum("tij,tj->ti", true.matrix[true_states], before) + true.offset[true_states] - before
    sizes = np.linalg.norm(true.matrix, axis=(1, 2))
    return Recovery(
        adjusted_rand_index(found_states, true_states),
        float(np.mean(names[found_states] == true_states)),
        np.linalg.norm(matrix - true.matrix, axis=(1, 2)) / sizes,
        float(np.sqrt(np.sum(gap**2) / np.sum(step**2))),
    )
