"""Contracts of a model."""

import inspect
import json
import tempfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from slds_core.fixed_point import Field, FixedPoint, MeanField
from slds_core.plugins import BuiltModel, Declined, ModelPlugin
from slds_core.testing.cases import cast
from slds_core.testing.outcome import Outcome, require
from slds_core.testing.parameters import check_parameters
from slds_core.testing.programs import PRECISIONS, flat, require_close, require_precision, require_shapes

_SWEEPS = 10
_ROUNDING = 1e3  # units of rounding, of the bound and of the covariances' norms
_DIRECTIONS = 4


def check_model(plugin: ModelPlugin) -> Outcome:
    """Checks that a model is described as it is, that its sweeps raise its bound, and that a file brings it back.

    Args:
        plugin: the model, with the parameters to check it with: the smaller, the sooner.

    Returns:
        The contracts kept and those declined.

    Raises:
        AssertionError: a contract is broken; says which, what was expected and what was found.
    """
    outcome = Outcome(plugin)
    check_parameters(plugin, ModelPlugin, outcome)
    built: list[BuiltModel] = []
    with outcome.contract("builds"), jax.enable_x64(True):
        built.append(plugin.build())
        _check_built(plugin, built[0])
    if not built:
        return outcome
    problem = built[0].problem
    with outcome.contract("described as it is"), jax.enable_x64(True):
        _check_fields(problem, *_point(built[0], "float64"))
    with outcome.contract("sweeps raise the bound, in both precisions"):
        for precision in PRECISIONS:
            with jax.enable_x64(precision == "float64"):
                _check_sweeps(problem, *_point(built[0], precision), precision)
    with outcome.contract("halves of a sweep, and posterior, belong together"), jax.enable_x64(True):
        _check_halves(problem, *_point(built[0], "float64"))
    with outcome.contract("Fisher factors symmetric and positive semidefinite"), jax.enable_x64(True):
        _check_fisher(problem, *_point(built[0], "float64"))
    with outcome.contract("the same from its file"):
        _check_file(plugin, built[0])
    return outcome


def _point(built: BuiltModel, precision: str) -> tuple[Any, Any]:
    return cast((built.parameters, built.start), precision)


def _check_built(plugin: ModelPlugin, built: BuiltModel) -> None:
    require(isinstance(built, BuiltModel), f"expected a BuiltModel, found {type(built).__name__}")
    require(isinstance(built.problem, FixedPoint), f"expected a FixedPoint, found {type(built.problem).__name__}")
    for name, tree in (("parameters", built.parameters), ("start", built.start)):
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            where = f"{name}{jax.tree_util.keystr(path)}"
            require(np.all(np.isfinite(leaf)), f"{where}: expected finite numbers, found NaN or infinity")
    again = plugin.build()
    same = np.array_equal(flat((built.parameters, built.start)), flat((again.parameters, again.start)))
    require(same, "expected build() to give the same arrays each time, found others")


def _check_fields(problem: FixedPoint, parameters: Any, start: Any) -> None:
    statistics = jax.eval_shape(lambda p, x: problem.statistics(problem.posterior(p, x)), parameters, start)
    stored: dict[str, int] = {}
    for name, tree, fields, together in (
        ("parameters", parameters, problem.parameter_fields(), stored),
        ("start", start, problem.state_fields(), stored),
        ("statistics", statistics, problem.statistics_fields(), {}),
    ):
        structures = jax.tree.structure(fields), jax.tree.structure(tree)
        require(structures[0] == structures[1], f"fields of {name}: expected {structures[1]}, found {structures[0]}")
        for (path, leaf), field in zip(jax.tree_util.tree_leaves_with_path(tree), jax.tree.leaves(fields), strict=True):
            where = f"{name}{jax.tree_util.keystr(path)}"
            require(isinstance(field, Field), f"field of {where}: expected a Field, found {type(field).__name__}")
            _check_field(where, field, leaf.shape, together)


def _check_field(where: str, field: Field, shape: tuple[int, ...], sizes: dict[str, int]) -> None:
    require(field.long_name, f"field of {where}: expected a long name, found none")
    require(
        len(field.dimensions) == len(shape) == len(set(field.dimensions)),
        f"field of {where}: expected {len(shape)} dimensions of different names, found {field.dimensions}",
    )
    for dimension, size in zip(field.dimensions, shape, strict=True):
        expected = sizes.setdefault(dimension, size)
        require(size == expected, f"{where}: expected {expected} along '{dimension}' as elsewhere, found {size}")


def _check_sweeps(problem: FixedPoint, parameters: Any, start: Any, precision: str) -> None:
    @jax.jit
    def sweep(parameters, state):
        posterior = problem.posterior(parameters, state)
        return problem.state(posterior), problem.elbo(posterior), problem.sweep(parameters, state), posterior

    state, bounds = start, []
    for _ in range(_SWEEPS):
        state, bound, swept, posterior = sweep(parameters, state)
        require_shapes(state, start, "state")
        require_precision((state, bound, posterior), precision, f"sweep in {precision}")
        require_close(swept, state, precision, "sweep(parameters, state) beside state(posterior)")
        require(bound.shape == (), f"expected a scalar bound, found shape {bound.shape}")
        bounds.append(float(bound))
    require(np.all(np.isfinite(flat((state, bounds)))), "expected finite state and bound, found NaN or infinity")
    slack = _ROUNDING * float(jnp.finfo(precision).eps) * (1 + np.max(np.abs(bounds)))
    fall = float(np.max(-np.diff(bounds)))
    require(
        fall <= slack, f"in {precision}: expected a bound that no sweep lowers, found it lowered by {fall:.1e} nats"
    )


def _check_halves(problem: FixedPoint, parameters: Any, start: Any) -> None:
    if not isinstance(problem, MeanField):
        raise Declined("the model is no mean field")

    @jax.jit
    def halves(parameters, state):
        posterior = problem.posterior(parameters, state)
        statistics, message = problem.parts(posterior)
        first = problem.first_block(parameters, state).statistics
        replaced = problem.state(problem.with_state(posterior, state))
        pairs = {
            "response(state) beside the posterior's message": (problem.response(parameters, state), message),
            "message(parts) beside the posterior's": (problem.message(parameters, statistics), message),
            "marginals(message) beside a sweep": (problem.marginals(parameters, message), problem.state(posterior)),
            "first_block's statistics beside the posterior's": (first, statistics),
            "state of with_state(posterior, state)": (replaced, state),
        }
        return message, pairs

    message, pairs = halves(parameters, start)
    require_shapes(message, start, "message, beside the state")
    for what, (found, wanted) in pairs.items():
        require_close(found, wanted, "float64", what)


def _check_fisher(problem: FixedPoint, parameters: Any, start: Any) -> None:
    """Looks at ``⟨a, C b⟩`` for random directions: their Gram matrix under a covariance is one too."""
    if not isinstance(problem, MeanField):
        raise Declined("the model is no mean field, so Fisher solvers will decline it")

    @jax.jit
    def grams(parameters, state, directions):
        message, respond = jax.linearize(lambda x: problem.response(parameters, x), state)
        _, fisher = jax.linearize(lambda o: problem.marginals(parameters, o), message)

        def gram(product):
            images = [product(direction) for direction in directions]
            rows = [[_inner(a, image) for image in images] for a in directions]
            return jnp.array(rows), jnp.max(jnp.array([_inner(i, i) for i in images])) ** 0.5

        # the response's own directions are those that states move in, so that symmetric matrices stay symmetric
        directions = [fisher(direction) for direction in directions]
        response = gram(respond)
        directions = [respond(direction) for direction in directions]
        return {"S, of the first block": response, "F, of the second": gram(fisher)}

    generator = np.random.default_rng(0)
    draw = lambda leaf: jnp.asarray(generator.standard_normal(leaf.shape))
    directions = [jax.tree.map(draw, start) for _ in range(_DIRECTIONS)]
    for name, (gram, size) in grams(parameters, start, directions).items():
        matrix = np.asarray(gram)
        slack = _ROUNDING * float(jnp.finfo("float64").eps) * (float(size) + np.linalg.norm(matrix))
        skew = float(np.max(np.abs(matrix - matrix.T)))
        require(
            skew <= slack, f"{name}: expected a symmetric Jacobian, found ⟨a, C b⟩ and ⟨b, C a⟩ apart by {skew:.1e}"
        )
        lowest = float(np.min(np.linalg.eigvalsh((matrix + matrix.T) / 2)))
        require(
            lowest >= -slack, f"{name}: expected a positive semidefinite Jacobian, found the eigenvalue {lowest:.1e}"
        )


def _inner(a: Any, b: Any) -> Any:
    return sum(jnp.vdot(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def _check_file(plugin: ModelPlugin, built: BuiltModel) -> None:
    """Sends the model through the study's own stage, which knows plugins by their references."""
    from slds_core.study.stages.build_model import build_model
    from slds_core.study.stages.common import read_model

    reference = _reference(type(plugin))
    if reference is None:
        raise Declined(
            f"{type(plugin).__qualname__} is neither installed nor in a file of its own: no study can name it"
        )
    settings = {"plugin": reference, "parameters": json.loads(plugin.model_dump_json())}
    before = jax.config.read("jax_enable_x64")
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.nc"
            build_model("checked", settings, "float64", path)
            stored = read_model(path)
    finally:  # a stage sets the precision of its process
        jax.config.update("jax_enable_x64", before)
    # by what they show: a plugin in a file is imported once more, as a class of its own
    require(repr(stored.problem) == repr(built.problem), f"expected {built.problem!r}, found {stored.problem!r}")
    for name, found, wanted in (
        ("parameters", stored.parameters, built.parameters),
        ("start", stored.start, built.start),
    ):
        require_shapes(found, wanted, name)
        require(
            np.array_equal(flat(found), flat(wanted)),
            f"{name}: expected the very numbers that were built, found others",
        )


def _reference(cls: type[ModelPlugin]) -> str | None:
    """Returns what a study calls a plugin: its registered name, or its file and its name in it; ``None`` where it cannot."""
    from slds_core.study.errors import StudyError
    from slds_core.study.plugin_files import plugins_in
    from slds_core.study.registry import available

    value = f"{cls.__module__}:{cls.__qualname__}"
    registered = [name for name, point in available("models").items() if point.value == value]
    if registered:
        return registered[0]
    try:
        path = Path(inspect.getfile(cls))
        names = [name for name, found in plugins_in(path, "models").items() if found.__qualname__ == cls.__qualname__]
    except (StudyError, OSError, TypeError):  # typed into an interpreter, or part of a package that is not installed
        return None
    return f"{path}:{names[0]}" if names else None
