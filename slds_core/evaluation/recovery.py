"""How well a known segmentation is found again, up to the names of its states."""

import numpy as np
from jaxtyping import Int


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
