"""What all stages need: a model from its file, arrays in the study's precision, attributes of a result."""

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import xarray as xr

from slds_core.chains.backend import description
from slds_core.fixed_point import FixedPoint
from slds_core.full_precision import asked_for
from slds_core.plugins import Declined
from slds_core.study import registry, store
from slds_core.study.contents import made_from, source
from slds_core.study.errors import StudyError
from slds_core.study.guard import failures_of
from slds_core.study.provenance import provenance
from slds_core.study.timing import Measurement
from slds_core.study.trees import from_dataset

DECLINED = "declined"
START = "start"
STATE = "state"


class StoredModel(NamedTuple):
    """A model rebuilt from its file."""

    name: str
    precision: str
    problem: FixedPoint
    parameters: Any
    start: Any
    contents: str  # their hash
    plugin: str  # that built it, as the configuration names it

    def failures(self) -> AbstractContextManager[None]:
        """Tells what the model's own methods raise as failures of its plugin."""
        return failures_of(self.plugin, type(self.problem))


def read_model(path: Path) -> StoredModel:
    """Returns the model in a file, and sets JAX's precision to the file's.

    Raises:
        StudyError: the file cannot be used.
    """
    dataset = store.read(path, "model")
    precision = dataset.attrs["precision"]
    use_precision(precision)
    settings = json.loads(dataset.attrs["settings"])
    plugin = registry.make("models", settings["plugin"], settings["parameters"])
    with failures_of(settings["plugin"], type(plugin)):
        problem = plugin.rebuild(dataset)
        require_problem("problem", problem)
        parameters = from_dataset(dataset, problem.parameter_fields())
        start = from_dataset(dataset, problem.state_fields(), START)
    contents = dataset.attrs.get("contents_hash", "")
    return StoredModel(dataset.attrs["model"], precision, problem, parameters, start, contents, settings["plugin"])


def require_problem(what: str, problem: Any) -> None:
    """Refuses what a model's plugin gives for its fixed point where it is none.

    Raises:
        TypeError: names what was found.
    """
    if not isinstance(problem, FixedPoint):
        raise TypeError(f"{what}: expected a FixedPoint, found {type(problem).__name__}")


def read_state(path: Path, stored: StoredModel) -> Any:
    """Returns the state at which an inference of a model ended.

    Raises:
        Declined: there is none, since the inference's plugin declined the problem.
        StudyError: the file cannot be used, or is of another model.
    """
    dataset = store.read(path, "inference")
    if dataset.attrs["model"] != stored.name:
        raise StudyError(
            f"{path}: is an inference of model '{dataset.attrs['model']}', expected one of '{stored.name}'"
        )
    if made_from(dataset).get("model") != stored.contents:
        raise StudyError(f"{path}: was made from another state of the model '{stored.name}'; run the inference again")
    if dataset.attrs["status"] == DECLINED:
        raise Declined(f"the inference '{dataset.attrs['setting']}' was skipped: {dataset.attrs['status_message']}")
    state = from_dataset(dataset, stored.problem.state_fields(), STATE)
    for found, expected in zip(jax.tree.leaves(state), jax.tree.leaves(stored.start), strict=True):
        if (found.shape, found.dtype) != (expected.shape, expected.dtype):
            raise StudyError(
                f"{path}: has a state of shape {found.shape} in {found.dtype}, expected {expected.shape} in {expected.dtype} "
                f"as the model '{stored.name}' has; run the inference again"
            )
    return state


def sources(stored: StoredModel, inference: Path | None = None) -> dict[str, str]:
    """Returns what a result is made from, by place and hash, as its attribute ``made_from`` tells it."""
    return {"model": stored.contents} | ({} if inference is None else source(store.read(inference, "inference")))


def declined(reason: Declined) -> xr.Dataset:
    """Returns the result of a plugin that declined: no numbers, and why."""
    return xr.Dataset(attrs={"status": DECLINED, "status_message": str(reason)})


def use_precision(precision: str) -> None:
    """Sets JAX's default precision for this process, of products of matrices too: a stage is an application, and may."""
    jax.config.update("jax_enable_x64", precision == "float64")
    if asked_for() is None:
        jax.config.update("jax_default_matmul_precision", "highest")


def cast(tree: Any, precision: str) -> Any:
    """Returns a tree of NumPy arrays in the given precision."""
    return jax.tree.map(lambda leaf: np.asarray(leaf, dtype=precision), tree)


def sequence_variables(problem: FixedPoint, **named: tuple[Any, str, str]) -> dict[str, xr.Variable]:
    """Returns a model's ``length`` and further values of each sequence as variables; none where it is one sequence.

    Args:
        problem: the model.
        named: by name, the values, what they are, and their units.
    """
    sequences = problem.sequences()
    if sequences is None:
        return {}
    named = {"length": (sequences.lengths, "time steps of each sequence", "1")} | named
    return {name: store.variable("sequence", *described) for name, described in named.items()}


def attributes(
    stage: str,
    model: str,
    setting: str,
    settings: dict[str, Any],
    precision: str,
    made_from: dict[str, str],
    **plugins: str,
) -> dict[str, Any]:
    """Returns a result's attributes.

    Args:
        stage: as for ``provenance``.
        model, setting: what the study calls them.
        settings: the slice of the configuration.
        precision: of the numbers.
        made_from: the results that it is made from, as ``sources`` gives them.
        plugins: by kind, the references of the plugins that took part.
    """
    origin = provenance(stage, settings=settings, precision=precision, backend=description())
    identities = {kind: registry.identity(kind, reference) for kind, reference in plugins.items()}
    return {"model": model, "setting": setting, "plugins": identities, "made_from": made_from, **origin}


def cost_variables(measurement: Measurement) -> dict[str, xr.Variable]:
    """Returns a measurement as variables."""
    return {
        "compile_seconds": store.variable((), measurement.compile_seconds, "tracing and compiling", "s"),
        "compilation_cached": store.variable((), int(measurement.cache_hit), "1 if the program came from JAX's cache"),
        "run_seconds": store.variable("repeat", measurement.run_seconds, "run time of each repetition", "s"),
        "temporary_bytes": store.variable((), measurement.temporary_bytes, "temporary memory of the program", "byte"),
    }
