"""Sizes of a small problem, and the posterior of its Gaussian chain."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from problems import slds

from slds_core.learning import Batch

TIME, LATENT, CHANNELS = 7, 2, 3


def posterior_of(lengths, latent=2):
    """Returns the expected statistics of a random posterior of sequences of these lengths."""
    potentials, start = slds(sum(lengths), latent, 2, seed=3)
    problem = Batch(jnp.zeros((len(lengths), max(lengths), 1)), jnp.ones(1, bool), lengths).problem
    if len(lengths) > 1:
        starts = np.cumsum((0, *lengths))

        def padded(array):
            own = [array[a:b] for a, b in itertools.pairwise(starts)]
            return jnp.stack([jnp.pad(x, [(0, max(lengths) - len(x))] + [(0, 0)] * (x.ndim - 1)) for x in own])

        potentials = eqx.tree_at(lambda p: p.recognition, potentials, jax.tree.map(padded, potentials.recognition))
        start = start[: sum(lengths) - len(lengths)]
    return problem.posterior(potentials, start).gaussian
