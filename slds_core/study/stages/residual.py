"""Stage ``residual``: a model and an inference → ``residual/{setting}.nc``."""

from pathlib import Path

import jax
import xarray as xr

from slds_core.fixed_point import fixed_point_residual
from slds_core.study import store
from slds_core.study.stages.common import attributes, read_model, read_state


def residual(model: Path, inference: Path, name: str, output: Path) -> str:
    """Measures how much one more sweep would change the state, and writes it.

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
    state = read_state(inference, stored.problem)
    measured = jax.jit(lambda *arguments: fixed_point_residual(stored.problem, *arguments))(stored.parameters, state)
    dataset = xr.Dataset(
        {
            "residual_mean": store.variable((), measured.mean, "mean absolute change of the state in one more sweep"),
            "residual_max": store.variable(
                (), measured.maximum, "largest absolute change of the state in one more sweep"
            ),
        }
    )
    settings = {"inference": name}
    store.write(dataset, output, "residual", attributes("residual", stored.name, name, settings, stored.precision))
    return f"mean {float(measured.mean):.3e}, largest {float(measured.maximum):.3e}"
