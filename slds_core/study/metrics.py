"""How far one gradient is from another: vectors in, one number out."""

import numpy as np


def relative_l2(estimate: np.ndarray, reference: np.ndarray) -> float:
    """Returns ``‖estimate - reference‖ / ‖reference‖``; zero where both vanish."""
    difference, scale = np.linalg.norm(estimate - reference), np.linalg.norm(reference)
    return float(difference / scale) if scale > 0 else (0.0 if difference == 0 else float("inf"))


def max_abs(estimate: np.ndarray, reference: np.ndarray) -> float:
    """Returns the largest absolute difference."""
    return float(np.max(np.abs(estimate - reference), initial=0.0))


def cosine(estimate: np.ndarray, reference: np.ndarray) -> float:
    """Returns the cosine of the angle between two vectors; NaN where one vanishes."""
    scale = np.linalg.norm(estimate) * np.linalg.norm(reference)
    return float(np.vdot(estimate, reference) / scale) if scale > 0 else float("nan")


def abs_mean(estimate: np.ndarray, reference: np.ndarray) -> float:
    """Returns the absolute value of the mean difference."""
    return float(abs(np.mean(estimate - reference))) if estimate.size else 0.0


METRICS = {
    "relative_l2": (relative_l2, "‖estimate - reference‖ / ‖reference‖"),
    "max_abs": (max_abs, "largest absolute difference"),
    "cosine": (cosine, "cosine of the angle between estimate and reference"),
    "abs_mean": (abs_mean, "absolute mean difference, the notebook's measure: differences of both signs cancel"),
}
"""Each metric as it is called in a file, with its long name there."""
