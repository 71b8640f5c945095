"""``slds plugins new``: a plugin that works, to be changed into one's own, with a test that passes."""

import keyword
import re
from pathlib import Path

from slds_core.study.errors import StudyError
from slds_core.study.plugin_files import KINDS, snake_case
from slds_core.study.registry import available, nearest

_BODIES = {
    "data": '''"""{title}: time series of one's own."""

from pydantic import Field

from slds_core.plugins import DataPlugin


class {cls}(DataPlugin):
    """Say in one line what the series are: here, two noisy sines."""

    time: int = Field(100, ge=1, description="time steps")
    seed: int = Field(0, ge=0, description="seed of the noise")

    def load(self):
        """Returns the series. NaN stands for a missing entry; ``slds_core.data.series`` does the rest."""
        import numpy as np

        from slds_core.data import series

        angle = 0.1 * np.arange(self.time)
        noise = np.random.default_rng(self.seed).standard_normal((self.time, 2))
        values = np.stack([np.sin(angle), np.cos(angle)], axis=1) + 0.1 * noise
        return series([values], ["sine", "cosine"])
''',
    "models": '''"""{title}: a model of one's own."""

from pydantic import Field

from slds_core.plugins import BuiltModel, ModelPlugin


class {cls}(ModelPlugin):
    """Say in one line what the model is: here, a random SLDS of fixed difficulty."""

    time: int = Field(50, ge=1, description="time steps")
    seed: int = Field(0, ge=0, description="seed of parameters and data")

    def build(self) -> BuiltModel:
        """Returns the model: its fixed point, its parameters, and the state at which inference starts."""
        from slds_core.models.random_slds import random_slds  # imported here, so that listing plugins stays quick

        return BuiltModel(self.problem(), *random_slds(time=self.time, latent=2, states=2, seed=self.seed))

    def problem(self):
        """Returns the fixed point alone; any ``slds_core.fixed_point.MeanField`` or ``FixedPoint`` will do."""
        from slds_core.models.slds import SLDS

        return SLDS()
''',
    "inference": '''"""{title}: a way to the fixed point."""

from pydantic import Field

from slds_core.plugins import InferencePlugin


class {cls}(InferencePlugin):
    """Say in one line how it gets there: here, plain sweeps."""

    max_sweeps: int = Field(1000, ge=1, description="most sweeps to take")
    tolerance: float = Field(1e-10, ge=0, description="largest change of the state in one sweep at which to stop")

    def infer(self, problem, parameters, state):
        """Returns an ``slds_core.fixed_point.Inference`` that starts at ``state``; must be traceable by JAX."""
        from slds_core.fixed_point import coordinate_ascent  # imported here, so that listing plugins stays quick

        return coordinate_ascent(problem, parameters, state, max_sweeps=self.max_sweeps, tolerance=self.tolerance)
''',
    "gradients": '''"""{title}: a way to differentiate through the fixed point."""

from pydantic import Field

from slds_core.plugins import GradientPlugin


class {cls}(GradientPlugin):
    """Say in one line what it does: here, Richardson's iteration on the adjoint."""

    tolerance: float = Field(1e-10, gt=0, description="relative residual of the adjoint system at which to stop")
    max_products: int = Field(1000, ge=1, description="most products with the sweep's Jacobian")
    forward_tolerance: float = Field(1e-8, gt=0, description="largest change in one more sweep of a fixed point")

    def estimate(self, problem, objective, parameters, state):
        """Returns an ``slds_core.gradients.Gradient``; must be traceable by JAX. Its status rests on recomputed residuals."""
        # imported here, so that listing plugins stays quick
        import jax.numpy as jnp
        from jax import lax

        from slds_core.gradients import implicit_gradient, solution
        from slds_core.trees import add, norm, zeros_like

        def solve(system):  # (I - Jᵀ) w = u, by products with Jᵀ
            target = self.tolerance * norm(system.right_hand_side)

            def unfinished(carry):
                _, residual, products = carry
                return (norm(residual) > target) & (products < self.max_products)

            def step(carry):
                adjoint, residual, products = carry
                adjoint = add(adjoint, residual)
                return adjoint, system.residual(adjoint), products + 1

            start = zeros_like(system.right_hand_side), system.right_hand_side, jnp.array(0)
            adjoint, residual, products = lax.while_loop(unfinished, step, start)
            return solution(adjoint, products, exhausted=norm(residual) > target)

        return implicit_gradient(
            problem,
            objective,
            parameters,
            state,
            solve,
            tolerance=self.tolerance,
            forward_tolerance=self.forward_tolerance,
        )
''',
    "objectives": '''"""{title}: what to differentiate."""

from pydantic import Field

from slds_core.plugins import ObjectivePlugin


class {cls}(ObjectivePlugin):
    """Say in one line what it measures: here, the bound in units of one's choice."""

    scale: float = Field(1.0, gt=0, description="what the bound is divided by")

    def objective(self, problem):
        """Returns a function of ``(parameters, posterior)``; raise ``slds_core.plugins.Declined`` where it has no meaning."""
        return lambda parameters, posterior: problem.elbo(posterior) / self.scale
''',
}
_CHECKS = {
    "data": "check_data",
    "models": "check_model",
    "inference": "check_inference",
    "gradients": "check_gradient",
    "objectives": "check_objective",
}
_TEST = '''"""The contract that every plugin of its kind keeps."""

from {name} import {cls}

from slds_core.testing import {check}


def test_keeps_the_contract():
    {check}({cls}())
'''


def scaffold(kind: str, name: str, folder: Path) -> list[Path]:
    """Writes ``{name}.py`` and ``test_{name}.py``, and returns their paths. What is there already stays.

    Args:
        kind: ``"data"``, ``"models"``, ``"inference"``, ``"gradients"`` or ``"objectives"``.
        name: the plugin's name, in snake case.
        folder: where to write; made if missing.

    Raises:
        StudyError: the kind or the name cannot be used, an installed plugin has the name, or a file is there already.
    """
    if kind not in KINDS:
        raise StudyError(f"no kind of plugin '{kind}'{nearest(kind, KINDS)}")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise StudyError(f"'{name}' cannot name a plugin: expected snake case, such as 'heavy_ball'")
    words = {"title": name.replace("_", " ").capitalize(), "name": name, "check": _CHECKS[kind]}
    words["cls"] = "".join(word.capitalize() for word in name.split("_"))
    if snake_case(words["cls"]) != name:
        raise StudyError(
            f"'{name}' cannot name a plugin: its class, {words['cls']}, would be called '{snake_case(words['cls'])}'"
        )
    if name in available(kind):
        raise StudyError(
            f"{kind}: '{name}' is the name of an installed plugin, {available(kind)[name].value}; choose another name"
        )
    written = {
        folder / f"{name}.py": _BODIES[kind].format(**words),
        folder / f"test_{name}.py": _TEST.format(**words),
    }
    for path in written:
        if path.exists():
            raise StudyError(f"{path} is there already; choose another name or folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in written.items():
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StudyError(f"{folder}: cannot be written: {error}") from error
    return list(written)
