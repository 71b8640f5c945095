"""Factorisations of one matrix after another."""

from collections.abc import Callable
from typing import Any

from jax import lax
from jaxtyping import PyTree


def one_by_one(function: Callable[[Any], Any], stacked: PyTree) -> PyTree:
    """Returns a function of each entry along the leading axis, as ``vmap`` does, but one after the other.

    On a CPU, a LAPACK call for a batch of matrices waits for helpers from the pool of threads that it runs in. When as many calls are
    under way as there are threads, all wait for ever: seen with JAX 0.10 and two threads, from some 200 000 of ``batch · size³`` on, as
    with thirty matrices of twenty rows. A call for a single matrix waits for nobody.
    """
    return lax.map(function, stacked)
