"""Stage ``residual``: a model and an inference → ``residual/{setting}.nc``: how far from the fixed point, and how fast."""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

from slds_core.fixed_point import FixedPoint, MeanField, Residual, Spectrum, sweep_spectrum
from slds_core.fixed_point.residual import change, change_by_sequence
from slds_core.gradients.linearisation import linearise
from slds_core.objectives.generic import elbo
from slds_core.plugins import Declined
from slds_core.study import store
from slds_core.study.programs import Bound, compiled
from slds_core.study.stages.common import attributes, declined, read_model, read_state, sequence_variables, sources
from slds_core.trees import norm, size

_SMALLEST_FOR_RATE = 1e3  # units of rounding below which a residual says nothing of the rate
_WINDOW = 20


def residual(model: Path, inference: Path, name: str, output: Path) -> str:
    """Measures how much one more sweep would change the state, and how sweeps contract there, and writes it.

    Args:
        model, inference: the files of the model and of the inference.
        name: what the study calls the inference setting.
        output: the file to write.

    Returns:
        A sentence on how far the state is from the fixed point.

    Raises:
        StudyError: a file cannot be used.
    """
    stored = read_model(model)
    problem, parameters = stored.problem, stored.parameters
    settings = {"inference": name}
    origin = attributes("residual", stored.name, name, settings, stored.precision, sources(stored, inference))
    try:
        state = read_state(inference, stored)
    except Declined as reason:
        store.write(declined(reason), output, "residual", origin)
        return f"skipped: {reason}"
    with stored.failures():
        program, _ = compiled(Bound(_measure, (problem,)), parameters, state)
        measured, by_sequence, defect, spectrum = program(parameters, state)
    variables = {
        "residual_mean": store.variable((), measured.mean, "mean absolute change of the state in one more sweep"),
        "residual_max": store.variable((), measured.maximum, "largest absolute change of the state in one more sweep"),
        "envelope_defect": store.variable(
            (),
            defect,
            "what one adjoint step would add to the gradient of the bound, relative to it: zero at an exact fixed point",
        ),
        "measured_rate": store.variable(
            (),
            _measured_rate(store.read(inference, "inference")),
            "contraction rate seen in the trace; NaN if not by sweeps",
        ),
    }
    if by_sequence is not None:
        variables |= sequence_variables(
            problem,
            sequence_residual_mean=(by_sequence.mean, "residual_mean of each sequence alone", "1"),
            sequence_residual_max=(by_sequence.maximum, "residual_max of each sequence alone", "1"),
        )
    rate = float("nan")
    if spectrum is not None:
        rate = float(spectrum.eigenvalues[0])
        variables |= {
            "eigenvalue": store.variable("ritz", spectrum.eigenvalues, "leading eigenvalues of the sweep's Jacobian"),
            "eigenvalue_error": store.variable("ritz", spectrum.errors, "bound on the distance from an eigenvalue"),
        }
    store.write(xr.Dataset(variables), output, "residual", origin)
    return f"mean {float(measured.mean):.3e}, largest {float(measured.maximum):.3e}, contraction rate {rate:.4f}"


def _measure(
    problem: FixedPoint, parameters: Any, state: Any
) -> tuple[Residual, Residual | None, jax.Array, Spectrum | None]:
    """Returns residuals in total and by sequence, envelope defect and spectrum: one program, compiled once."""
    system = linearise(problem, elbo(problem), parameters, state)
    defect = norm(system.pull(system.right_hand_side).parameters) / norm(system.explicit)
    spectrum = None
    if isinstance(problem, MeanField) and size(state):
        spectrum = sweep_spectrum(problem, parameters, state)
    by_sequence = change_by_sequence(problem, system.image, state)
    return change(system.image, state), by_sequence, defect, spectrum


def _measured_rate(inference: xr.Dataset) -> float:
    """Returns the mean factor by which the residual fell in each of the last sweeps that are above rounding."""
    if json.loads(inference.attrs["settings"])["plugin"] != "coordinate_ascent":
        return float("nan")
    changes = inference["trace_residual_max"].values
    changes = changes[changes > _SMALLEST_FOR_RATE * np.finfo(changes.dtype).eps][-_WINDOW - 1 :]
    if len(changes) < 3:
        return float("nan")
    return float((changes[-1] / changes[0]) ** (1 / (len(changes) - 1)))
