"""Stages ``build_model`` and ``fit``: a model plugin → ``model.nc``, by building or by learning it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import xarray as xr

from slds_core.fixed_point.interface import require_finite
from slds_core.plugins import BuiltModel, LearntModel
from slds_core.study import registry, store
from slds_core.study.errors import StudyError
from slds_core.study.guard import failures_of
from slds_core.study.provenance import file_hash
from slds_core.study.stages.common import (
    START,
    attributes,
    cast,
    require_problem,
    sequence_variables,
    use_precision,
)
from slds_core.study.trees import require_like, to_variables


def build_model(name: str, settings: dict[str, Any], precision: str, output: Path) -> str:
    """Builds a model and writes it.

    Args:
        name: what the study calls it.
        settings: ``plugin`` and its ``parameters``.
        precision: of all arrays, ``"float32"`` or ``"float64"``.
        output: the file to write.

    Returns:
        A sentence on what was built.

    Raises:
        StudyError: the plugin or the file cannot be used.
        ValueError: an array holds NaN or infinity.
    """
    return _write(name, settings, precision, output, lambda plugin: plugin.build())


def fit(name: str, settings: dict[str, Any], precision: str, output: Path, keep: Path | None = None) -> str:
    """Learns a model and writes it: a checkpoint of a training.

    Args:
        name, settings, precision, output: as for ``build_model``; the plugin must be one that learns.
        keep: folder for files to go on from; none are read or written if ``None``.

    Returns:
        A sentence on what was learnt.

    Raises:
        StudyError: the plugin learns nothing, it or the file cannot be used, or training met a value that is not finite.
    """
    if not issubclass(registry.plugin_class("models", settings["plugin"]), LearntModel):
        raise StudyError(f"plugin '{settings['plugin']}' learns nothing; expected one that does, or 'slds build-model'")
    return _write(name, settings, precision, output, lambda plugin: plugin.fit(keep))


def _write(name: str, settings: dict[str, Any], precision: str, output: Path, make: Callable[[Any], BuiltModel]) -> str:
    use_precision(precision)
    plugin = registry.make("models", settings["plugin"], settings["parameters"])
    with failures_of(settings["plugin"], type(plugin)):
        built = make(plugin)
        _require_built(built)
        parameters, start = cast(built.parameters, precision), cast(built.start, precision)
        variables = to_variables(parameters, built.problem.parameter_fields())
        variables |= to_variables(start, built.problem.state_fields(), START)
        variables |= sequence_variables(built.problem)
        variables |= {name: store.variable(*described) for name, described in built.extra.items()}
        dataset = xr.Dataset(variables)  # which sees to it that arrays agree about their dimensions
        # but some dimensions are the start's alone, such as the number of transitions
        files = plugin.input_files()
        require_like("start", start, jax.eval_shape(built.problem.sweep, parameters, start))
    require_finite(f"model '{name}', parameters", parameters)
    require_finite(f"model '{name}', start", start)
    origin = attributes("model", name, name, settings, precision, {}, models=settings["plugin"])
    origin["input_files"] = {str(path): file_hash(path) for path in files}
    store.write(dataset, output, "model", origin)
    sizes = ", ".join(
        f"{dimension} {size}" for dimension, size in dataset.sizes.items() if "next" not in str(dimension)
    )
    return f"{len(variables)} arrays in {precision} ({sizes})"


def _require_built(built: Any) -> None:
    """Refuses what is no built model.

    Raises:
        TypeError: names what was found.
    """
    if not isinstance(built, BuiltModel):
        raise TypeError(f"expected a BuiltModel, found {type(built).__name__}")
    require_problem("problem of the BuiltModel", built.problem)
