"""Products of matrices in the precision of their arrays, on devices that would round them first too."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import jax

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def in_full_precision(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Returns the function with its products of matrices in the precision of their arrays, where the user has asked for none.

    A GPU multiplies matrices of float32 in TF32, with ten binary digits, unless it is asked not to: a sweep was then wrong by 3e-3 on an
    H100, instead of 2e-6 (docs/performance.md). ``jax.default_matmul_precision`` and its variable of the environment have
    precedence. Derivatives keep the precision of the products that they are derivatives of.
    """

    @wraps(function)
    def precise(*arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        if asked_for() is not None:
            return function(*arguments, **options)
        with jax.default_matmul_precision("highest"):
            return function(*arguments, **options)

    return precise


def asked_for() -> str | None:
    """Returns the precision of products of matrices that the user has asked JAX for; ``None`` where it is left to JAX."""
    config: Any = jax.config
    return config.jax_default_matmul_precision
