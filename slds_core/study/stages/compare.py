"""Stage ``compare``: all gradients of a model, each with each reference → ``comparison.nc``."""

from pathlib import Path

import numpy as np
import xarray as xr

from slds_core.study import store
from slds_core.study.errors import StudyError
from slds_core.study.provenance import provenance

_PREFIX = "gradient_"
ALL = "all"


def compare(gradients: list[Path], references: list[str], output: Path) -> str:
    """Compares each gradient with each reference, per parameter group and in total, and writes the comparison.

    Args:
        gradients: the files of the gradients.
        references: the settings to compare with; none means all.
        output: the file to write.

    Returns:
        A sentence on the largest difference.

    Raises:
        StudyError: a file cannot be used, a reference is not among them, or they do not belong together.
    """
    datasets = store.read_all(gradients, "gradient")
    references = references or list(datasets)
    missing = [name for name in references if name not in datasets]
    if missing:
        raise StudyError(
            f"references without a gradient file: {', '.join(missing)}; expected among: {', '.join(datasets)}"
        )
    vectors = {name: _vectors(dataset) for name, dataset in datasets.items()}
    first = next(iter(datasets.values()))
    groups = list(next(iter(vectors.values())))
    for name, dataset in datasets.items():
        if list(vectors[name]) != groups or dataset.attrs["model"] != first.attrs["model"]:
            raise StudyError(f"{store_path(dataset)}: belongs to another model than {store_path(first)}")

    def table(metric):
        return [[[metric(vectors[a][g], vectors[b][g]) for g in groups] for b in references] for a in datasets]

    dimensions = ("estimator", "reference", "group")
    dataset = xr.Dataset(
        {
            "relative_l2": store.variable(dimensions, table(relative_l2), "‖estimate - reference‖ / ‖reference‖"),
            "max_abs": store.variable(dimensions, table(max_abs), "largest absolute difference"),
            "cosine": store.variable(dimensions, table(cosine), "cosine of the angle between estimate and reference"),
            "abs_mean": store.variable(
                dimensions,
                table(abs_mean),
                "absolute mean difference, the notebook's measure: differences of both signs cancel",
            ),
        },
        coords={"estimator": list(datasets), "reference": references, "group": groups},
    )
    settings = {"references": references}
    origin = provenance("comparison", settings=settings, precision=first.attrs["precision"], backend="none")
    store.write(dataset, output, "comparison", {"model": first.attrs["model"], "setting": "comparison", **origin})
    return f"{len(datasets)} estimators against {len(references)} references in {len(groups) - 1} parameter groups"


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


def store_path(dataset: xr.Dataset) -> str:
    """Returns the file that a dataset came from."""
    return str(dataset.encoding.get("source", "a gradient file"))


def _vectors(dataset: xr.Dataset) -> dict[str, np.ndarray]:
    """Returns each parameter group's gradient as a vector, and all of them together."""
    names = [str(name) for name in dataset.data_vars if str(name).startswith(_PREFIX)]
    vectors = {name.removeprefix(_PREFIX): dataset[name].values.ravel().astype(np.float64) for name in names}
    return vectors | {ALL: np.concatenate(list(vectors.values()))}
