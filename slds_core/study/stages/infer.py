"""Stage ``infer``: a model and an inference plugin → ``inference/{setting}.nc``."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from slds_core.fixed_point import FixedPoint, Inference, InferenceStatus
from slds_core.fixed_point.progress import RESIDUAL
from slds_core.fixed_point.status import name_of
from slds_core.plugins import Declined, InferencePlugin
from slds_core.study import registry, store
from slds_core.study.errors import StudyError
from slds_core.study.guard import failures_of
from slds_core.study.programs import Bound, with_numbers, without_numbers
from slds_core.study.returned import require_inference
from slds_core.study.stages.common import (
    STATE,
    attributes,
    cost_variables,
    declined,
    read_model,
    sequence_variables,
    sources,
)
from slds_core.study.timing import Measurement, measure
from slds_core.study.trees import finite, to_variables


def infer(model: Path, name: str, settings: dict[str, Any], output: Path) -> str:
    """Runs inference and writes posterior, state, status, trace and cost.

    Args:
        model: the model's file.
        name: what the study calls this setting.
        settings: ``plugin`` and its ``parameters``.
        output: the file to write.

    Returns:
        A sentence on how inference ended. Want of convergence is recorded, not raised; so is a plugin's declining.

    Raises:
        StudyError: the plugin or a file cannot be used, or the plugin's trace does not fit its iterations.
    """
    stored = read_model(model)
    plugin = registry.make("inference", settings["plugin"], settings["parameters"])

    fixed, numbers = without_numbers(plugin)
    origin = attributes(
        "inference", stored.name, name, settings, stored.precision, sources(stored), inference=settings["plugin"]
    )
    try:
        with failures_of(settings["plugin"], type(plugin)):
            cost = measure(Bound(_infer, (fixed, stored.problem)), numbers, stored.parameters, stored.start)
            dataset, summary = _described(stored.problem, settings["plugin"], plugin, cost)
    except Declined as reason:
        dataset, summary = declined(reason), f"skipped: {reason}"
    store.write(dataset, output, "inference", origin)
    return summary


def _described(problem: FixedPoint, reference: str, plugin: Any, cost: Measurement) -> tuple[xr.Dataset, str]:
    """Returns an inference as a dataset, and a sentence on how it ended.

    Raises:
        StudyError: its trace does not fit its iterations.
    """
    inference: Inference = cost.result
    iterations, sweeps = int(inference.iterations), int(inference.sweeps)
    room = inference.trace.residual.maximum.size
    if not 1 <= iterations <= room:
        raise StudyError(
            f"plugin '{reference}': expected 1 to {room} iterations, as its trace has room for, found {iterations}"
        )
    told = inference.status if finite(inference.state) else InferenceStatus.nonfinite
    status = name_of(told)
    statistics = problem.statistics(inference.posterior)
    dataset = xr.Dataset(
        to_variables(statistics, problem.statistics_fields(), "posterior")
        | to_variables(inference.state, problem.state_fields(), STATE)
        | {
            "iterations": store.variable((), iterations, "iterations taken, rejected trials included"),
            "sweeps": store.variable((), sweeps, "sweeps and Jacobian products taken, each counted as one"),
        }
        | _trace_variables(inference, iterations, cost.run_seconds[0])
        | _sequence_variables(problem, inference, iterations, _state_tolerance(plugin))
        | cost_variables(cost),
        attrs={"status": status, "status_message": InferenceStatus[told]},
    )
    residual = float(inference.trace.residual.maximum[iterations - 1])
    return dataset, f"{status} after {sweeps} sweeps and products, last change {residual:.1e}"


def _infer(plugin: Any, problem: FixedPoint, numbers: dict[str, Any], parameters: Any, state: Any) -> Inference:
    found = with_numbers(plugin, numbers).infer(problem, parameters, state)
    return require_inference(found, problem, parameters, state)


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


def _sequence_variables(
    problem: FixedPoint, inference: Inference, iterations: int, tolerance: float | None
) -> dict[str, xr.Variable]:
    """Returns what is known of each sequence alone; nothing where the model is one sequence."""
    trace = inference.trace
    if trace.by_sequence is None:
        return {}
    largest = np.asarray(trace.by_sequence.maximum[:iterations])
    named: dict[str, tuple[Any, str, str]] = {
        f"sequence_{name}": (values, f"{name} of each sequence alone", "nat")
        for name, values in problem.by_sequence(inference.posterior).items()
    }
    if tolerance is not None:
        met = largest < tolerance
        sweeps = np.where(met.any(0), np.asarray(trace.sweeps)[met.argmax(0)], np.nan)
        text = "sweeps and products until the largest change in this sequence fell below the tolerance; NaN if never"
        named["sequence_sweeps"] = (sweeps, text, "1")
    text = "largest absolute change of each sequence's state in each iteration's sweep"
    series = {"trace_sequence_residual_max": store.variable(("iteration", "sequence"), largest, text)}
    return sequence_variables(problem, **named) | series


def _state_tolerance(plugin: InferencePlugin) -> float | None:
    """Returns the change of the state at which a plugin stops, if that is what it goes by."""
    by_residual = getattr(plugin, "criterion", RESIDUAL) == RESIDUAL
    return getattr(plugin, "tolerance", None) if by_residual else None
