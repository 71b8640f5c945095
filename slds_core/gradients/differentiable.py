"""A fixed point that automatic differentiation can pass through: for training loops."""

from functools import partial
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from slds_core.fixed_point.interface import MeanField
from slds_core.fixed_point.limits import require_count, require_plain, require_tolerance
from slds_core.fixed_point.residual import change, resolvable
from slds_core.gradients.implicit import GRACE
from slds_core.gradients.krylov import solve_fisher_cg
from slds_core.gradients.linearisation import linearise
from slds_core.trees import add, norm, subtract


class _Settings(NamedTuple):
    tolerance: float
    max_products: int
    forward_tolerance: float
    on_failure: str


def implicit_state(
    problem: MeanField,
    parameters: PyTree,
    state: PyTree,
    *,
    tolerance: float = 1e-6,
    max_products: int = 200,
    forward_tolerance: float = 1e-4,
    on_failure: Literal["nan", "raise"] = "nan",
) -> PyTree:
    """Returns ``state`` unchanged, with the derivative of the fixed point ``x(θ)`` attached to it.

    Use it between inference and loss: ``problem.posterior(θ, implicit_state(problem, θ, inference.state))``. A derivative cannot
    carry a status out of a backward pass. So where the adjoint is not solved, or ``state`` is no fixed point, the whole gradient is
    NaN or an error is raised: never a plausible number. To see what happened, call ``slds_core.gradients.fisher_cg``.

    It has first derivatives in reverse mode (``grad``, ``vjp``, and ``vmap`` of these); others are refused. Its settings cannot be traced.

    Args:
        problem: a mean-field model.
        parameters: what to differentiate with respect to.
        state: a fixed point; held fixed by any other derivative.
        tolerance: relative residual of the adjoint system at which to stop; up to ten times as much counts as solved.
        max_products: most products with the sweep's Jacobian.
        forward_tolerance: largest change of the state in one more sweep at which it counts as a fixed point; no less than
            rounding can resolve.
        on_failure: ``"nan"``, or ``"raise"`` for an ``equinox.EquinoxRuntimeError`` (which needs a host callback).

    Raises:
        ValueError: ``on_failure`` is neither, a tolerance is negative or NaN, or ``max_products`` is below 1.
        TypeError: the model is no mean field, or a setting is traced.
    """
    if on_failure not in ("nan", "raise"):
        raise ValueError(f"on_failure: expected 'nan' or 'raise', found {on_failure!r}")
    if not isinstance(problem, MeanField):
        raise TypeError(f"implicit_state needs a mean-field model, found {type(problem).__name__}")
    settings = _Settings(tolerance, max_products, forward_tolerance, on_failure)
    for name, value in settings._asdict().items():
        require_plain(name, value)
    require_tolerance("tolerance", tolerance)
    require_count("max_products", max_products, 1)
    require_tolerance("forward_tolerance", forward_tolerance)
    return _attach(problem, settings, parameters, _as_batched_as(parameters, jax.lax.stop_gradient(state)))


def _as_batched_as(parameters: PyTree, state: PyTree) -> PyTree:
    """Returns the state, which ``vmap`` then takes for one that depends on the parameters.

    A state that many sets of parameters share would be passed on once for all of them, and so would its cotangents: their sum would be
    pulled back to each set.
    """
    entries = [jnp.ravel(leaf)[0] for leaf in jax.tree.leaves(parameters) if jnp.size(leaf)]
    zero = sum(jnp.where(entry == 0, 0, 0) for entry in entries)
    return jax.tree.map(lambda leaf: leaf + jnp.asarray(zero, leaf.dtype), state)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _attach(problem: MeanField, settings: _Settings, parameters: PyTree, state: PyTree) -> PyTree:
    return state


def _forward(problem: MeanField, settings: _Settings, parameters: PyTree, state: PyTree) -> Any:
    return state, (parameters, state)


def _backward(problem: MeanField, settings: _Settings, kept: Any, cotangent: PyTree) -> Any:
    parameters, state = _only_once(kept[0]), kept[1]
    system = linearise(
        problem, lambda parameters, posterior: jnp.zeros_like(problem.elbo(posterior)), parameters, state
    )
    # where the state is of another precision than the parameters, so is its cotangent
    cotangent = jax.tree.map(lambda leaf, like: leaf.astype(like.dtype), cotangent, system.image)
    system = eqx.tree_at(lambda found: found.right_hand_side, system, cotangent)
    solved = solve_fisher_cg(system, settings.tolerance, settings.max_products)
    pulled = system.pull(solved.adjoint)
    leftover = norm(add(subtract(cotangent, solved.adjoint), pulled.state))
    accurate = leftover <= GRACE * settings.tolerance * norm(cotangent)
    forward = change(system.image, state).maximum
    good = accurate & solved.positive & (forward <= resolvable(settings.forward_tolerance, forward))
    if settings.on_failure == "raise":
        message = "The implicit gradient failed: the adjoint system was not solved, or the state is no fixed point."
        gradient = eqx.error_if(pulled.parameters, ~good, message)
    else:
        gradient = jax.tree.map(lambda leaf: jnp.where(good, leaf, jnp.nan), pulled.parameters)
    return gradient, jax.tree.map(jnp.zeros_like, state)


_attach.defvjp(_forward, _backward)


@jax.custom_jvp
def _only_once(parameters: PyTree) -> PyTree:
    """Returns the parameters, which further derivatives are refused of: they would miss how the state moves with them."""
    return parameters


@_only_once.defjvp
def _refuse(primals: Any, tangents: Any) -> Any:
    raise TypeError(
        "implicit_state has first derivatives only: a further one would miss how the state moves with the parameters"
    )
