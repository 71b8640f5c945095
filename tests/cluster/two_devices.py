"""Infers and differentiates a batch of sequences on one device and spread over two; run by test_devices.py in a process of its own."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import problems
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from slds_core.chains.native import why_not
from slds_core.fixed_point import coordinate_ascent
from slds_core.gradients import fisher_cg
from slds_core.models.random_slds import random_sequences
from slds_core.models.slds import SLDS, SLDSSequences


def value(parameters, posterior):
    return jnp.sum(posterior.discrete.marginals[:, 0] ** 2)


@partial(jax.jit, static_argnums=0)
def infer_and_differentiate(backend, potentials, starts):
    problem = SLDS(backend)

    def one(potentials, start):
        inference = coordinate_ascent(problem, potentials, start, max_sweeps=500, tolerance=1e-13)
        return inference.state, fisher_cg(problem, value, potentials, inference.state)

    return jax.vmap(one)(potentials, starts)


@partial(jax.jit, static_argnums=0)
def sweep_and_differentiate(problem, potentials, start):
    def bound(recognition):
        moved = eqx.tree_at(lambda p: p.recognition, potentials, recognition)
        return problem.elbo(problem.posterior(moved, start))

    return problem.sweep(potentials, start), jax.grad(bound)(potentials.recognition)


def one_set_of_sequences(backend, mesh) -> None:
    """Sequences of one length within one problem: recognition potentials and state are spread, all else is shared."""
    problem = SLDSSequences([12] * 4, backend)
    potentials, start = random_sequences(lengths=problem.lengths, latent=2, states=3)
    over = NamedSharding(mesh, PartitionSpec("sequence"))
    recognition, spread_start = jax.device_put((potentials.recognition, start), over)
    spread = eqx.tree_at(lambda p: p.recognition, potentials, recognition)
    together = sweep_and_differentiate(problem, potentials, start)
    apart = sweep_and_differentiate(problem, spread, spread_start)
    for one, two in zip(jax.tree.leaves(together), jax.tree.leaves(apart), strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-10, atol=1e-12)
    program = sweep_and_differentiate.lower(problem, spread, spread_start).compile().as_text()
    assert "all-gather" not in program, f"{backend}: a device was sent the others' part of the set"


def main() -> None:
    assert len(jax.devices()) == 2
    sequences = [problems.slds(time=12, latent=2, state=3, seed=seed) for seed in range(4)]
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *sequences)

    mesh = Mesh(jax.devices(), "sequence")
    spread = jax.device_put(batch, NamedSharding(mesh, PartitionSpec("sequence")))
    for backend in ["scan"] if why_not() else ["scan", "native"]:
        together, apart = (infer_and_differentiate(backend, *arrays) for arrays in (batch, spread))
        for one, two in zip(jax.tree.leaves(together), jax.tree.leaves(apart), strict=True):
            assert len(two.sharding.device_set) == 2, "the result was gathered on one device"
            np.testing.assert_allclose(two, one, rtol=1e-9, atol=1e-11)
        program = infer_and_differentiate.lower(backend, *spread).compile().as_text()
        assert "all-gather" not in program, f"{backend}: a device was sent the others' sequences"
        largest = float(jnp.max(jnp.abs(together[1].gradient.recognition.linear)))
        one_set_of_sequences(backend, mesh)
        print(f"{backend}: the same on {len(jax.devices())} devices; largest derivative {largest:.3f}")


main()
