"""Stage ``build_model``: a model plugin → ``model.nc``."""

from pathlib import Path
from typing import Any

import xarray as xr

from slds_core.fixed_point.interface import require_finite
from slds_core.study import registry, store
from slds_core.study.guard import failures_of
from slds_core.study.provenance import file_hash
from slds_core.study.stages.common import START, attributes, cast, sequence_variables, use_precision
from slds_core.study.trees import to_variables


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
    use_precision(precision)
    plugin = registry.make("models", settings["plugin"], settings["parameters"])
    with failures_of(settings["plugin"], type(plugin)):
        built = plugin.build()
    parameters, start = cast(built.parameters, precision), cast(built.start, precision)
    require_finite(f"model '{name}', parameters", parameters)
    require_finite(f"model '{name}', start", start)
    variables = to_variables(parameters, built.problem.parameter_fields())
    variables |= to_variables(start, built.problem.state_fields(), START)
    variables |= sequence_variables(built.problem)
    variables |= {name: store.variable(*described) for name, described in built.extra.items()}
    dataset = xr.Dataset(variables)
    origin = attributes("model", name, name, settings, precision, models=settings["plugin"])
    origin["input_files"] = {str(path): file_hash(path) for path in plugin.input_files()}
    store.write(dataset, output, "model", origin)
    sizes = ", ".join(
        f"{dimension} {size}" for dimension, size in dataset.sizes.items() if "next" not in str(dimension)
    )
    return f"{len(variables)} arrays in {precision} ({sizes})"
