"""A linear map that JAX may transpose for free because it is symmetric.

The derivative of a chain's expected statistics with respect to its natural parameters is a Fisher information matrix:
symmetric, so forward and reverse mode are the same computation. ``symmetric_linear`` tells JAX so. It composes with
``jit``, ``vmap``, ``jvp``, ``grad`` and second derivatives; the latter differentiate ``product`` itself.

JAX's own ``linear_call`` states the same but can be neither batched nor differentiated twice.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import PyTree


def symmetric_linear(product: Callable[[PyTree, PyTree], PyTree], residuals: PyTree, direction: PyTree) -> PyTree:
    """Returns ``product(residuals, direction)``, which the caller vouches is linear and symmetric in ``direction``.

    Args:
        product: a function of arrays only, whose result has the structure, shapes and dtypes of ``direction``.
        residuals: what the map depends on.
        direction: what the map is applied to.

    Returns:
        The image, a tree like ``direction``.
    """
    flat_residuals, residual_tree = jax.tree.flatten(residuals)
    flat_direction, direction_tree = jax.tree.flatten(direction)

    def flat_product(flat_residuals, flat_direction):
        image = product(
            jax.tree.unflatten(residual_tree, flat_residuals), jax.tree.unflatten(direction_tree, flat_direction)
        )
        return jax.tree.leaves(image)

    image = _primitive.bind(*flat_residuals, *flat_direction, product=flat_product, count=len(flat_residuals))
    return jax.tree.unflatten(direction_tree, image)


def _evaluate(*operands, product, count):
    return product(list(operands[:count]), list(operands[count:]))


def _abstract(*operands, product, count):
    return operands[count:]


def _jvp(primals, tangents, *, product, count):
    image = _primitive.bind(*primals, product=product, count=count)
    residuals, direction = list(primals[:count]), list(primals[count:])
    moved = [ad.instantiate_zeros(tangent) for tangent in tangents[count:]]
    image_tangent = _primitive.bind(*residuals, *moved, product=product, count=count)
    if any(type(tangent) is not ad.Zero for tangent in tangents[:count]):
        drift = [ad.instantiate_zeros(tangent) for tangent in tangents[:count]]
        _, curvature = jax.jvp(lambda varied: product(varied, direction), (residuals,), (drift,))
        image_tangent = [a + b for a, b in zip(image_tangent, curvature, strict=True)]
    return image, image_tangent


def _transpose(cotangents, *operands, product, count):
    cotangents = [ad.instantiate_zeros(cotangent) for cotangent in cotangents]
    image = _primitive.bind(*operands[:count], *cotangents, product=product, count=count)
    return [None] * count + list(image)


def _batch(operands, axes, *, product, count):
    size = next(x.shape[axis] for x, axis in zip(operands, axes, strict=True) if axis is not None)
    front = [
        jnp.broadcast_to(x, (size, *jnp.shape(x))) if axis is None else jnp.moveaxis(x, axis, 0)
        for x, axis in zip(operands, axes, strict=True)
    ]
    image = _primitive.bind(*front, product=jax.vmap(product), count=count)
    return image, [0] * len(image)


_primitive = Primitive("symmetric_linear")
_primitive.multiple_results = True
_primitive.def_impl(_evaluate)
_primitive.def_abstract_eval(_abstract)
ad.primitive_jvps[_primitive] = _jvp
ad.primitive_transposes[_primitive] = _transpose
batching.primitive_batchers[_primitive] = _batch
mlir.register_lowering(_primitive, mlir.lower_fun(_evaluate, multiple_results=True))
