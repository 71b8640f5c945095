"""Stage ``gradient``: a model, an estimator and an objective → ``gradient/{setting}.nc``."""

import math
import statistics
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

from slds_core.fixed_point import FixedPoint, MeanField, sweep_spectrum
from slds_core.fixed_point.status import name_of
from slds_core.gradients import (
    DirectionalDerivatives,
    Gradient,
    GradientStatus,
    Objective,
    by_sequence,
    certify,
)
from slds_core.plugins import Declined, ObjectivePlugin
from slds_core.study import registry, store
from slds_core.study.errors import StudyError
from slds_core.study.guard import failures_of
from slds_core.study.programs import Bound, compiled, with_numbers, without_numbers
from slds_core.study.returned import require_estimate, scalar
from slds_core.study.stages.common import (
    StoredModel,
    attributes,
    cost_variables,
    declined,
    read_model,
    read_state,
    sequence_variables,
    sources,
)
from slds_core.study.timing import measure
from slds_core.study.trees import finite, named_fields, require_like, to_variables
from slds_core.trees import size

PREFIX = "gradient"
_SEQUENCE = "sequence"
_REPEATS = 5


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
        A sentence on how the estimator ended. Its failure is recorded, not raised; so is declining.

    Raises:
        StudyError: a plugin or a file cannot be used, or the inference is missing.
    """
    stored = read_model(model)
    plugin = registry.make("gradients", settings["plugin"], settings["parameters"])
    goal = registry.make("objectives", objective["plugin"], objective["parameters"])
    if plugin.start == "fixed_point":
        if inference is None:
            raise StudyError(f"'{settings['plugin']}' differentiates at a fixed point: give the file of an inference")
        settings = settings | {"at": inference.stem}
    settings = settings | {"objective": objective}
    origin = attributes(
        "gradient",
        stored.name,
        name,
        settings,
        stored.precision,
        sources(stored, inference if plugin.start == "fixed_point" else None),
        gradients=settings["plugin"],
        objectives=objective["plugin"],
    )
    try:
        function = _objective(objective["plugin"], goal, stored.problem)
        dataset, summary = _estimated(stored, settings["plugin"], plugin, function, inference)
    except Declined as reason:
        dataset, summary = declined(reason), f"skipped: {reason}"
    store.write(dataset, output, "gradient", origin)
    return summary


def _estimated(
    stored: StoredModel, reference: str, plugin: Any, function: Objective, inference: Path | None
) -> tuple[xr.Dataset, str]:
    state = stored.start
    if plugin.start == "fixed_point" and inference is not None:
        state = read_state(inference, stored)

    fixed, numbers = without_numbers(plugin)
    with failures_of(reference, type(plugin)):
        estimate = Bound(_estimate, (fixed, stored.problem, function))
        cost = measure(estimate, numbers, stored.parameters, state, repeats=_REPEATS)
        found, separate = cost.result
        fields = stored.problem.parameter_fields()
        if isinstance(found, DirectionalDerivatives):
            variables, status, message, summary = _directional(found, list(named_fields(fields)))
        else:
            variables, status, message, summary = _full(found, fields)
    if isinstance(found, Gradient):
        with stored.failures():
            variables |= _certificate(stored, function, state, found)
        with failures_of(reference, type(plugin)):
            variables |= _prediction(plugin, stored, state, variables)
        variables |= _sequence_variables(stored.problem, separate)
    dataset = xr.Dataset(
        {"value": store.variable((), found.value, "objective")} | variables | cost_variables(cost),
        attrs={"status": status, "status_message": message},
    )
    seconds = statistics.median(cost.run_seconds)
    return dataset, f"{summary}, {seconds:.3g} s a run, {cost.compile_seconds:.2f} s to compile"


def _objective(reference: str, goal: Any, problem: FixedPoint) -> Objective:
    """Returns the objective, the same one each time where that can be told: programs of a new one are compiled anew."""
    try:
        hash(goal)
    except TypeError:  # a plugin with a list among its parameters
        return _guarded.__wrapped__(reference, goal, problem)
    return _guarded(reference, goal, problem)


@lru_cache(maxsize=16)
def _guarded(reference: str, goal: ObjectivePlugin, problem: FixedPoint) -> Objective:
    """Returns the objective, whose failures are told as its own: whoever differentiates it has no part in them."""
    with failures_of(reference, type(goal)):
        function = goal.objective(problem)

    def objective(parameters: Any, posterior: Any) -> Any:
        with failures_of(reference, type(goal)):
            value = function(parameters, posterior)
            require_like("value of the objective", value, scalar())
        return value

    return objective


def _estimate(
    plugin: Any, problem: FixedPoint, function: Objective, numbers: dict[str, Any], parameters: Any, state: Any
) -> tuple[Gradient | DirectionalDerivatives, Any]:
    def estimate(parameters, state):
        found = with_numbers(plugin, numbers).estimate(problem, function, parameters, state)
        return require_estimate(found, parameters, state)

    return by_sequence(problem, estimate)(parameters, state)


def _full(found: Gradient, fields: Any) -> tuple[dict[str, xr.Variable], str, str, str]:
    info = found.info
    variables = to_variables(found.gradient, fields, PREFIX) | {
        "products": store.variable((), np.int64(info.products), "products with the sweep's Jacobian, checks included"),
        "residual": store.variable((), info.residual, "true relative residual of the adjoint system"),
        "forward_residual": store.variable((), info.forward_residual, "largest change of the state in one more sweep"),
    }
    told = info.status if finite((found.value, found.gradient)) else GradientStatus.nonfinite
    status = name_of(told)
    return variables, status, GradientStatus[told], f"{status}, {int(info.products)} products"


def _directional(found: DirectionalDerivatives, groups: list[str]) -> tuple[dict[str, xr.Variable], str, str, str]:
    dimensions = ("group", "direction")
    finite = bool(np.all(np.isfinite(found.derivative)))
    status = "witness" if finite else "nonfinite"
    message = "Central differences of the converged map." if finite else GradientStatus[GradientStatus.nonfinite]
    variables = {
        "group": store.variable("group", np.array(groups, dtype=object), "parameter group"),
        "directional_derivative": store.variable(
            dimensions, found.derivative, "derivative along seeded unit directions"
        ),
        "directional_error": store.variable(dimensions, found.error, "estimate of its error"),
        "products": store.variable((), np.int64(found.evaluations), "evaluations of the converged map"),
        "forward_residual": store.variable((), found.forward_residual, "largest change in the last sweep of any"),
    }
    return variables, status, message, f"{int(found.evaluations)} evaluations"


def _sequence_variables(problem: FixedPoint, separate: Any) -> dict[str, xr.Variable]:
    """Returns each sequence's part of the gradient of what the sequences share; nothing where the model is one sequence."""
    if separate is None:
        return {}
    variables = sequence_variables(problem)
    for (name, field), leaf in zip(
        named_fields(problem.parameter_fields(), f"{_SEQUENCE}_{PREFIX}").items(),
        jax.tree.leaves(separate),
        strict=True,
    ):
        if not field.of_each_sequence:
            dimensions = (_SEQUENCE, *field.dimensions)
            variables[name] = store.variable(dimensions, leaf, f"{field.long_name}, each sequence's part", field.units)
    return variables


def _certificate(stored: StoredModel, function: Objective, state: Any, found: Gradient) -> dict[str, xr.Variable]:
    """Returns the bound on the gradient's error, where there is an adjoint to judge. Its cost is apart from the estimator's."""
    if jax.tree.structure(found.adjoint) != jax.tree.structure(state):
        return {}
    arguments = stored.parameters, state, found.adjoint
    judge, _ = compiled(Bound(certify, (stored.problem, function)), *arguments)
    bound = judge(*arguments)
    described = {
        "certificate": (
            bound.bound,
            "bound on the Euclidean distance from the true gradient: 1.5 times the sum of its parts",
        ),
        "certificate_rate": (bound.rate, "contraction rate that it uses"),
        "certificate_adjoint": (bound.adjoint_part, "its part from the adjoint's residual"),
        "certificate_forward": (bound.forward_part, "its part from the distance to the fixed point"),
        "certificate_rounding": (bound.rounding_part, "its part from rounding"),
    }
    return {name: store.variable((), value, text) for name, (value, text) in described.items()}


def _prediction(
    plugin: Any, stored: StoredModel, state: Any, variables: dict[str, xr.Variable]
) -> dict[str, xr.Variable]:
    """Returns the products that theory predicts at the sweep's contraction rate, where the plugin knows a theory."""
    if plugin.predicted_products(0.5) is None:
        return {}
    problem, rate = stored.problem, math.nan
    if "certificate_rate" in variables:
        rate = float(variables["certificate_rate"].values)
    elif isinstance(problem, MeanField) and size(state):  # the adjoint is another system's, as that of both blocks is
        spectrum, _ = compiled(Bound(sweep_spectrum, (problem,)), stored.parameters, state)
        rate = float(spectrum(stored.parameters, state).eigenvalues[0])
    predicted = plugin.predicted_products(rate) if 0 < rate < 1 else None
    if predicted is None:
        return {}
    text = "products that theory predicts at the contraction rate, without those that check the result"
    return {"predicted_products": store.variable((), float(predicted), text)}
