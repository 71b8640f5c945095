"""How far gradients are from another: vectors along the last axis in, one number for each out."""

from collections.abc import Callable

import numpy as np

_BLOCK = 2**17
"""Entries taken at once, 1 MiB of ``float64``: what a metric needs beside its arguments is a few times as large, and stays in the cache."""


def relative_l2(estimate: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Returns ``‖estimate - reference‖ / ‖reference‖``; zero where both vanish, infinity where the reference alone does."""
    difference, scale = _norm(estimate - reference), _norm(reference)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((scale == 0) & (difference == 0), 0.0, difference / scale)


def max_abs(estimate: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Returns the largest absolute difference; zero of empty vectors."""
    return np.max(np.abs(estimate - reference), axis=-1, initial=0.0)


def cosine(estimate: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Returns the cosine of the angle between two vectors; NaN where one vanishes."""
    scale = _norm(estimate) * _norm(reference)
    with np.errstate(invalid="ignore"):
        return _dot(estimate, reference) / scale


def abs_mean(estimate: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Returns the absolute value of the mean difference; zero of empty vectors."""
    difference = estimate - reference
    return np.abs(np.sum(difference, axis=-1)) / max(difference.shape[-1], 1)


def _dot(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.einsum("...i,...i->...", one, other)


def _norm(vector: np.ndarray) -> np.ndarray:
    return np.sqrt(_dot(vector, vector))  # several times as fast as numpy.linalg.norm along an axis


METRICS = {
    "relative_l2": (relative_l2, "‖estimate - reference‖ / ‖reference‖"),
    "max_abs": (max_abs, "largest absolute difference"),
    "cosine": (cosine, "cosine of the angle between estimate and reference"),
    "abs_mean": (abs_mean, "absolute mean difference, the notebook's measure: differences of both signs cancel"),
}
"""Each metric as it is called in a file, with its long name there."""


def by_estimator(
    metric: Callable[[np.ndarray, np.ndarray], np.ndarray], estimates: np.ndarray, reference: np.ndarray
) -> np.ndarray:
    """Returns a metric ``[estimator]`` of the estimates ``[estimator, entry]``, so many at once as take little memory."""
    rows = max(_BLOCK // max(reference.size, 1), 1)
    blocks = range(0, len(estimates), rows)
    return np.concatenate([metric(estimates[first : first + rows], reference) for first in blocks])
