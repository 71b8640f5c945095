"""Sequences that leave when they have converged, against all of them swept together."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import DTYPE

from slds_core.chains.packing import pack
from slds_core.fixed_point import coordinate_ascent, newton_cg
from slds_core.fixed_point.status import names_of
from slds_core.models.random_slds import random_sequences
from slds_core.models.slds import SLDSSequences, infer_in_rounds

LENGTHS = (12, 1, 40, 7, 25)
PROBLEM = SLDSSequences(LENGTHS)
TOLERANCE = 1e-10 if jnp.float64 == DTYPE else 1e-5


def drawn():
    parameters, start = random_sequences(lengths=list(LENGTHS), latent=2, states=3)
    return jax.tree.map(lambda x: jnp.asarray(x, DTYPE), (parameters, start))


@pytest.mark.parametrize("solver", [coordinate_ascent, newton_cg])
def test_each_sequence_ends_where_all_together_do(solver):
    parameters, start = drawn()
    together = jax.jit(partial(coordinate_ascent, PROBLEM, max_sweeps=2000, tolerance=TOLERANCE / 100))(
        parameters, start
    )
    found = infer_in_rounds(PROBLEM, parameters, start, tolerance=TOLERANCE, rounds=(4, 20, 2000), solver=solver)
    assert found.converged.all()
    # the state is off by the residual over 1 - λ, here below 0.97
    np.testing.assert_allclose(found.state, together.state, rtol=0, atol=50 * TOLERANCE)
    assert len(set(found.sweeps)) > 1  # some have left before others
    assert found.sweeps[1] == min(found.sweeps)  # without transitions there is nothing to infer


def test_what_has_not_converged_says_so():
    parameters, start = drawn()
    found = infer_in_rounds(PROBLEM, parameters, start, tolerance=TOLERANCE, rounds=[3])
    assert found.converged.tolist() == [False, True, False, False, False]
    assert names_of(found.status).tolist() == ["sweep_limit", "converged", *3 * ["sweep_limit"]]
    np.testing.assert_array_equal(found.converged, found.residual <= TOLERANCE)
    sweep = jax.jit(PROBLEM.sweep)
    state = start
    for _ in range(3):
        state = sweep(parameters, state)
    np.testing.assert_allclose(found.state, state, rtol=0, atol=100 * jnp.finfo(DTYPE).eps)


def test_a_sequence_that_is_not_finite_stops_itself_alone():
    parameters, start = drawn()
    linear = parameters.recognition.linear.at[2, 0, 0].set(jnp.nan)
    spoilt = type(parameters)(
        type(parameters.recognition)(parameters.recognition.quadratic, linear),
        parameters.dynamics,
        parameters.initial,
        parameters.discrete,
    )
    found = infer_in_rounds(PROBLEM, spoilt, start, tolerance=TOLERANCE, rounds=(5, 2000))
    assert found.converged.tolist() == [True, True, False, True, True]
    assert np.isnan(found.residual[2])
    assert names_of(found.status)[2] == "nonfinite"


def test_a_single_step_that_is_not_finite_stops_itself_alone():
    """It has no state that could tell."""
    parameters, start = drawn()
    linear = parameters.recognition.linear.at[1, 0, 0].set(jnp.nan)
    spoilt = eqx.tree_at(lambda p: p.recognition.linear, parameters, linear)
    found = infer_in_rounds(PROBLEM, spoilt, start, tolerance=TOLERANCE, rounds=(2000,))
    assert found.converged.tolist() == [True, False, True, True, True]
    assert np.isnan(found.residual[1])


def test_selected_sequences_are_those_alone():
    parameters, start = drawn()
    problem, own, state = PROBLEM.select(np.array([0, 3]), parameters, start)
    assert problem.lengths == (12, 7)
    whole, part = PROBLEM.posterior(parameters, start), problem.posterior(own, state)
    np.testing.assert_allclose(part.elbo, whole.elbo[np.array([0, 3])], rtol=100 * jnp.finfo(DTYPE).eps)
    packed = jax.tree.map(lambda array: pack(LENGTHS, array), parameters.recognition)
    end_to_end = SLDSSequences(LENGTHS, padded=False), eqx.tree_at(lambda p: p.recognition, parameters, packed)
    problem, own, state = end_to_end[0].select(np.array([0, 3]), end_to_end[1], start)
    assert problem == SLDSSequences((12, 7), padded=False)
    np.testing.assert_allclose(problem.posterior(own, state).elbo, part.elbo, rtol=100 * jnp.finfo(DTYPE).eps)


@pytest.mark.parametrize("members", [[2, 0], [1, 1], [-1], [5]])
def test_sequences_are_selected_in_their_order(members):
    with pytest.raises(ValueError, match="members: expected ascending numbers"):
        PROBLEM.select(np.array(members), *drawn())


def test_single_precision_converges():
    """To a tolerance below its rounding, as the default is."""
    parameters, start = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), drawn())
    found = infer_in_rounds(PROBLEM, parameters, start, rounds=np.array([30, 1000]))
    assert found.converged.all()
    assert found.residual.max() > 1e-10


def test_bad_arguments():
    parameters, start = drawn()
    for rounds in ((), (5, 0)):
        with pytest.raises(ValueError, match="rounds: expected one number of sweeps or more, each at least 1, found"):
            infer_in_rounds(PROBLEM, parameters, start, rounds=rounds)
    with pytest.raises(TypeError, match="call it outside jit"):
        jax.jit(lambda start: infer_in_rounds(PROBLEM, parameters, start).state)(start)
