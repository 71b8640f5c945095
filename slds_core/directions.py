"""Seeded random directions in parameter space, from NumPy alone: whoever knows the seed can make them again."""

import numpy as np


def random_directions(shapes: list[tuple[int, ...]], *, count: int, seed: int) -> list[np.ndarray]:
    """Returns, for each parameter group, ``count`` directions of unit length, standard normal before that.

    Args:
        shapes: of the groups, in their order; the shape decides what is drawn, so they must be the same each time.
        count, seed: how many, and which.
    """
    generator = np.random.default_rng(seed)
    drawn = [generator.standard_normal((count, *shape)) for shape in shapes]
    axes = [tuple(range(1, array.ndim)) for array in drawn]
    return [
        array / np.sqrt(np.sum(array**2, axis=axis, keepdims=True)) for array, axis in zip(drawn, axes, strict=True)
    ]
