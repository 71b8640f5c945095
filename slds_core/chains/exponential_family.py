"""The derivatives that exact inference has in every exponential family, whatever its chain and whatever computes it.

With natural parameters ``η`` and expected statistics ``μ``, the gradient of the log-partition is ``μ``, and the derivative of ``μ`` is the
Fisher information: a symmetric matrix, so that forward and reverse mode are the same product.
"""

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float, PyTree

from slds_core.chains.symmetric import symmetric_linear
from slds_core.full_precision import in_full_precision


class Kernels(NamedTuple):
    """What a back end computes. Expected statistics have the order and the shapes of the natural parameters."""

    smooth: Callable[[Any], tuple[Any, Any]]
    """Takes natural parameters to log-partition and expected statistics."""

    linearise: Callable[[Any], tuple[Any, Any, Any]]
    """Does the same, and returns what ``fisher_product`` needs as well."""

    fisher_product: Callable[[Any, Any], Any]
    """Takes that and a direction of the natural parameters to the change of the expected statistics."""

    inner: Callable[[Any, Any], Any]
    """Returns ``⟨η, μ⟩`` (nats)."""


def kernels_of(backend: ModuleType, inner: Callable[..., Any], **options: Any) -> Kernels:
    """Returns a back end's kernels and the inner product, with options that all of them take."""
    functions = backend.smooth, backend.linearise, backend.fisher_product, inner
    return Kernels(*(in_full_precision(partial(function, **options)) for function in functions))


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def smooth_with_fisher_rule(kernels: Kernels, potentials: PyTree) -> tuple[Float[Array, "*chain"], PyTree]:
    """Returns log-partition (nats) and expected statistics, with the Fisher product as their derivative rule.

    References:
        Wainwright and Jordan (2008), Proposition 3.1.
    """
    return kernels.smooth(potentials)


@smooth_with_fisher_rule.defjvp
def _jvp(kernels, primals, tangents):
    (potentials,), (direction,) = primals, tangents
    log_partition, statistics, residuals = kernels.linearise(potentials)

    def product(residuals, direction):
        return _in_place_of(direction, kernels.fisher_product(residuals, direction))

    image = symmetric_linear(product, residuals, direction)
    slope = kernels.inner(direction, statistics)
    return (log_partition, statistics), (slope, _in_place_of(statistics, image))


def _in_place_of(one: PyTree, other: PyTree) -> PyTree:
    """Returns statistics as potentials or the reverse: a symmetric map's image lives where its argument does, by position."""
    return jax.tree.unflatten(jax.tree.structure(one), jax.tree.leaves(other))
