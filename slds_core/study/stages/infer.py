"""Stage ``infer``: a model and an inference plugin → ``inference/{setting}.nc``."""

from pathlib import Path
from typing import Any

import xarray as xr

from slds_core.fixed_point import Inference, InferenceStatus
from slds_core.fixed_point.status import name_of
from slds_core.study import registry, store
from slds_core.study.stages.common import STATE, attributes, cost_variables, read_model
from slds_core.study.timing import measure
from slds_core.study.trees import to_variables


def infer(model: Path, name: str, settings: dict[str, Any], output: Path) -> str:
    """Runs inference and writes posterior, state, status, trace and cost.

    Args:
        model: the model's file.
        name: what the study calls this setting.
        settings: ``plugin`` and its ``parameters``.
        output: the file to write.

    Returns:
        A sentence on how inference ended. Want of convergence is recorded, not raised.

    Raises:
        StudyError: the plugin or a file cannot be used.
    """
    stored = read_model(model)
    plugin = registry.make("inference", settings["plugin"], settings["parameters"])
    cost = measure(lambda *arguments: plugin.infer(stored.problem, *arguments), stored.parameters, stored.start)
    inference: Inference = cost.result
    iterations, sweeps, status = int(inference.iterations), int(inference.sweeps), name_of(inference.status)
    statistics = stored.problem.statistics(inference.posterior)
    dataset = xr.Dataset(
        to_variables(statistics, stored.problem.statistics_fields(), "posterior")
        | to_variables(inference.state, stored.problem.state_fields(), STATE)
        | {
            "iterations": store.variable((), iterations, "iterations taken, rejected trials included"),
            "sweeps": store.variable((), sweeps, "sweeps and Jacobian products taken, each counted as one"),
        }
        | _trace_variables(inference, iterations, cost.run_seconds[0])
        | cost_variables(cost),
        attrs={"status": status, "status_message": InferenceStatus[inference.status]},
    )
    store.write(dataset, output, "inference", attributes("inference", stored.name, name, settings, stored.precision))
    residual = float(inference.trace.residual.maximum[iterations - 1])
    return f"{status} after {sweeps} sweeps and products, last change {residual:.1e}"


def _trace_variables(inference: Inference, iterations: int, seconds: float) -> dict[str, xr.Variable]:
    trace = inference.trace
    spent = trace.sweeps / inference.sweeps
    named = {
        "trace_residual_mean": (
            trace.residual.mean,
            "mean absolute change of the state in each iteration's sweep",
            "1",
        ),
        "trace_residual_max": (
            trace.residual.maximum,
            "largest absolute change of the state in each iteration's sweep",
            "1",
        ),
        "trace_sweeps": (trace.sweeps, "sweeps and Jacobian products so far", "1"),
        "trace_seconds": (seconds * spent, "run time so far: the whole, shared out by sweeps and products", "s"),
    }
    named |= {f"trace_{key}": (values, f"{key} after each iteration", "nat") for key, values in trace.monitors.items()}
    return {
        key: store.variable("iteration", values[:iterations], text, units)
        for key, (values, text, units) in named.items()
    }
