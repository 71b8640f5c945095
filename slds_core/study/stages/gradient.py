"""Stage ``gradient``: a model, an estimator and an objective → ``gradient/{setting}.nc``."""

import statistics
from pathlib import Path
from typing import Any

import xarray as xr

from slds_core.fixed_point.status import name_of
from slds_core.gradients import Gradient, GradientStatus
from slds_core.study import registry, store
from slds_core.study.errors import StudyError
from slds_core.study.stages.common import attributes, cost_variables, read_model, read_state
from slds_core.study.timing import measure
from slds_core.study.trees import to_variables

PREFIX = "gradient"
_REPEATS = 9


def gradient(
    model: Path, inference: Path | None, name: str, settings: dict[str, Any], objective: dict[str, Any], output: Path
) -> str:
    """Differentiates the objective and writes value, gradient, status and cost.

    Args:
        model: the model's file.
        inference: of the inference to differentiate at; ``None`` for estimators that start where inference does.
        name: what the study calls this setting.
        settings, objective: ``plugin`` and its ``parameters`` of each.
        output: the file to write.

    Returns:
        A sentence on how the estimator ended. Its failure is recorded, not raised.

    Raises:
        StudyError: a plugin or a file cannot be used, or the inference is missing.
    """
    stored = read_model(model)
    plugin = registry.make("gradients", settings["plugin"], settings["parameters"])
    function = registry.make("objectives", objective["plugin"], objective["parameters"]).objective(stored.problem)
    if plugin.start == "initial":
        state = stored.start
    elif inference is None:
        raise StudyError(f"'{settings['plugin']}' differentiates at a fixed point: give the file of an inference")
    else:
        state = read_state(inference, stored.problem)
        settings = settings | {"at": inference.stem}

    def estimate(parameters, state):
        return plugin.estimate(stored.problem, function, parameters, state)

    cost = measure(estimate, stored.parameters, state, repeats=_REPEATS)
    found: Gradient = cost.result
    status = name_of(found.info.status)
    dataset = xr.Dataset(
        {"value": store.variable((), found.value, "objective")}
        | to_variables(found.gradient, stored.problem.parameter_fields(), PREFIX)
        | {
            "products": store.variable((), found.info.products, "products with the sweep's Jacobian"),
            "residual": store.variable((), found.info.residual, "true relative residual of the adjoint system"),
        }
        | cost_variables(cost),
        attrs={"status": status, "status_message": GradientStatus[found.info.status]},
    )
    settings = settings | {"objective": objective}
    store.write(dataset, output, "gradient", attributes("gradient", stored.name, name, settings, stored.precision))
    seconds = statistics.median(cost.run_seconds)
    return (
        f"{status}, {int(found.info.products)} products, {seconds:.3g} s a run, {cost.compile_seconds:.2f} s to compile"
    )
