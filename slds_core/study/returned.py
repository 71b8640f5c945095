"""What a plugin returned, held against the problem that it was given: what does not fit is refused while tracing, by its name."""

from typing import Any

import jax
import jax.numpy as jnp

from slds_core.fixed_point import FixedPoint, Inference
from slds_core.fixed_point.progress import Trace
from slds_core.gradients import AdjointInfo, DirectionalDerivatives, Gradient, GradientStatus
from slds_core.study.trees import require_like


def require_inference(found: Any, problem: FixedPoint, parameters: Any, state: Any) -> Inference:
    """Returns what was found, if it is an inference of the problem from a state of this shape.

    Raises:
        TypeError: names the array or object, its shape and type, and what was expected.
    """
    if not isinstance(found, Inference):
        raise TypeError(f"expected an Inference, found {type(found).__name__}")
    if not isinstance(found.trace, Trace):
        raise TypeError(f"trace: expected a Trace, found {type(found.trace).__name__}")
    require_like("state", found.state, state)
    require_like("posterior", found.posterior, jax.eval_shape(problem.posterior, parameters, state))
    return found


def require_estimate(found: Any, parameters: Any, state: Any) -> Gradient | DirectionalDerivatives:
    """Returns what was found, if it is an estimate of the gradient with respect to the parameters.

    Raises:
        TypeError: names the array or object, its shape and type, and what was expected.
    """
    if not isinstance(found, Gradient | DirectionalDerivatives):
        raise TypeError(f"expected a Gradient or DirectionalDerivatives, found {type(found).__name__}")
    require_like("value", found.value, scalar())
    if isinstance(found, DirectionalDerivatives):
        groups, directions = len(jax.tree.leaves(parameters)), jnp.shape(found.derivative)[1:2] or (1,)
        shape = (groups, *directions)
        for name in ("derivative", "error"):
            require_like(name, getattr(found, name), jax.ShapeDtypeStruct(shape, jnp.result_type(float)))
        return found
    if not isinstance(found.info, AdjointInfo):
        raise TypeError(f"info: expected an AdjointInfo, found {type(found.info).__name__}")
    if not isinstance(found.info.status, GradientStatus):
        raise TypeError(f"info.status: expected a GradientStatus, found {type(found.info.status).__name__}")
    require_like("gradient", found.gradient, parameters)
    if jax.tree.structure(found.adjoint) == jax.tree.structure(state):  # else it is another system's, or there is none
        require_like("adjoint", found.adjoint, state)
    return found


def require_gradient(found: Any, problem: FixedPoint, objective: Any, parameters: Any, state: Any) -> Gradient:
    """Returns what was found, if it is the whole gradient: what a plugin's ``estimate`` with these arguments has to return in training.

    Raises:
        TypeError: as ``require_estimate``, or there are derivatives along some directions alone.
    """
    estimate = require_estimate(found, parameters, state)
    if not isinstance(estimate, Gradient):
        raise TypeError(f"training needs a Gradient, found {type(found).__name__}")
    return estimate


def scalar() -> jax.ShapeDtypeStruct:
    """Returns shape and type of an objective's value, in the precision of the process."""
    return jax.ShapeDtypeStruct((), jnp.result_type(float))
