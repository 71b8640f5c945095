"""Many sequences at once against each of them alone; and padding, which must never change a number."""

from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from backends import native
from problems import as_jax, direction_like, slds
from tolerances import DTYPE, EPS, assert_close, ravel

from slds_core.chains.packing import inside, owners, pack, unpack
from slds_core.fixed_point import coordinate_ascent, newton_cg, sweep_spectrum
from slds_core.fixed_point.residual import change, change_by_sequence
from slds_core.fixed_point.status import name_of
from slds_core.gradients import by_sequence, certify, finite_difference, fisher_cg, unrolled
from slds_core.models.random_slds import random_sequences, random_slds
from slds_core.models.slds import SLDS, SLDSSequences, slds_problem
from slds_core.objectives.generic import elbo, linear
from slds_core.objectives.notebook import notebook_objective
from slds_core.plugins.objectives import NotebookObjective

LENGTHS = (5, 1, 7, 5)
PROBLEM = SLDSSequences(LENGTHS)
END_TO_END = SLDSSequences(LENGTHS, padded=False)
ULPS = 2000  # as for one sequence

in_float64 = pytest.mark.skipif(jnp.float64 != DTYPE, reason="tolerances are those of float64")


@cache
def alone(lengths=LENGTHS):
    """Potentials and start of each sequence; all but the recognition potentials are the same."""
    drawn = [slds(length, 2, 3, seed) for seed, length in enumerate(lengths)]
    shared = drawn[0][0]
    return [(eqx.tree_at(lambda p: p.recognition, shared, p.recognition), start) for p, start in drawn]


def together(time=7, filling=0.0, lengths=LENGTHS):
    """The same potentials padded with anything, and the starts end to end."""
    parts = alone(lengths)

    def padded(*arrays):
        out = np.full((len(arrays), time, *arrays[0].shape[1:]), filling)
        for row, array in zip(out, arrays, strict=True):
            row[: len(array)] = array
        return jnp.asarray(out, DTYPE)

    recognition = jax.tree.map(padded, *(p.recognition for p, _ in parts))
    return eqx.tree_at(lambda p: p.recognition, parts[0][0], recognition), jnp.concatenate([x for _, x in parts])


@cache
def posterior():
    """The posterior after a number of sweeps."""

    def sweep(parameters, start, sweeps):
        state = jax.lax.fori_loop(0, sweeps - 1, lambda _, x: PROBLEM.sweep(parameters, x), start)
        return PROBLEM.posterior(parameters, state)

    return jax.jit(sweep)


def split(packed, lengths=LENGTHS):
    return np.split(np.asarray(packed), np.cumsum(lengths)[:-1])


TRANSITIONS = tuple(length - 1 for length in LENGTHS)


@pytest.mark.parametrize(
    ("backend", "lengths"),
    [native(LENGTHS), native((4, 4)), ("scan", LENGTHS), ("associative", LENGTHS), ("scan", (4, 4)), ("scan", (1, 1))],
)
def test_a_sweep_is_that_of_each_sequence_alone(backend, lengths):
    problem = SLDSSequences(lengths, backend)
    parameters, start = together(max(lengths), lengths=lengths)
    posterior = jax.jit(problem.posterior)(parameters, start)
    transitions = [length - 1 for length in lengths]
    mean, second = split(posterior.gaussian.mean, lengths), split(posterior.gaussian.second_moment, lengths)
    cross, unary = split(posterior.gaussian.cross_moment, transitions), split(posterior.unary, transitions)
    marginals = split(posterior.discrete.marginals, transitions)
    total = 0.0
    for i, (potentials, own) in enumerate(alone(lengths)):
        truth = oracles.slds_sweep(potentials, own)
        nats = abs(truth.joint.log_partition) + abs(truth.discrete_log_partition) + abs(truth.elbo) + 1
        size = np.max(np.abs(truth.unary), initial=1)
        assert_close((second[i], cross[i], mean[i]), truth.gaussian, ulps=ULPS)
        assert_close(unary[i], truth.unary, ulps=ULPS)
        assert_close(marginals[i], truth.discrete.marginals, ulps=ULPS, scale=size)
        assert_close(posterior.discrete.initial[i], truth.discrete.initial, ulps=ULPS, scale=size)
        assert_close(posterior.discrete.transition[i], truth.discrete.transition, ulps=ULPS, scale=size)
        assert_close(posterior.gaussian_log_partition[i], truth.joint.log_partition, ulps=ULPS, scale=nats)
        assert_close(posterior.discrete_log_partition[i], truth.discrete_log_partition, ulps=ULPS, scale=nats)
        assert_close(posterior.elbo[i], truth.elbo, ulps=ULPS, scale=nats)
        assert_close(posterior.kl[i], truth.kl, ulps=ULPS, scale=nats)
        total += truth.elbo
    assert_close(problem.elbo(posterior), total, ulps=ULPS, scale=abs(total) + 100)


@cache
def program(problem=PROBLEM):
    """Two sweeps, and the gradients of three objectives through them: all that padding could leak into."""
    goals = [elbo(problem), linear(problem, 1), NotebookObjective().objective(problem)]

    @jax.jit
    def run(parameters, start):
        def value(parameters, weights):
            posterior = problem.posterior(parameters, problem.sweep(parameters, start))
            values = jnp.stack([goal(parameters, posterior) for goal in goals])
            return values @ weights, (values, posterior)

        # random weights on the objectives: one backward pass for all three
        (_, kept), gradient = jax.value_and_grad(value, has_aux=True)(parameters, jnp.array([1.0, 0.3, -0.7], DTYPE))
        return kept, gradient, change(problem.state(kept[1]), start), change_by_sequence(problem, kept[1].unary, start)

    return run


@pytest.mark.parametrize("filling", [0.0, 1e300, np.nan])
@pytest.mark.parametrize("more", [0, 4])
def test_padding_changes_no_number_in_a_sweep_and_its_gradient(more, filling):
    with np.errstate(over="ignore"):  # 1e300 is infinite in float32, which must not matter either
        parameters, start = together(max(LENGTHS) + more, filling)
    wanted = jax.tree.leaves(program()(*together()))
    kept, gradient, *changes = program()(parameters, start)
    padding = np.ones(gradient.recognition.linear.shape[:2], bool)
    padding[:, : max(LENGTHS)] = ~inside(LENGTHS)
    for leaf in jax.tree.leaves(gradient.recognition):
        assert np.all(np.asarray(leaf)[padding] == 0)
    cut = jax.tree.map(lambda leaf: leaf[:, : max(LENGTHS)], gradient.recognition)
    gradient = eqx.tree_at(lambda g: g.recognition, gradient, cut)
    for found, expected in zip(jax.tree.leaves((kept, gradient, *changes)), wanted, strict=True):
        np.testing.assert_array_equal(found, expected)  # bit for bit: the same arithmetic runs
        assert np.all(np.isfinite(found))


def end_to_end(parameters):
    packed = jax.tree.map(lambda array: pack(LENGTHS, array), parameters.recognition)
    return eqx.tree_at(lambda p: p.recognition, parameters, packed)


def test_recognition_potentials_end_to_end_change_no_number():
    parameters, start = together()
    kept, gradient, *changes = program()(parameters, start)
    found = program(END_TO_END)(end_to_end(parameters), start)
    assert_close(found, (kept, end_to_end(gradient), *changes), ulps=ULPS)


@in_float64
def test_gradients_by_sequence_leave_recognition_potentials_where_they_lie():
    def estimate(problem):
        goal = elbo(problem)
        return jax.jit(by_sequence(problem, lambda p, x: unrolled(problem, goal, p, x, sweeps=3)))

    parameters, start = together()
    (whole, separate), (found, found_separate) = (
        estimate(problem)(own, start) for problem, own in ((PROBLEM, parameters), (END_TO_END, end_to_end(parameters)))
    )
    assert_close(found.gradient, end_to_end(whole.gradient), ulps=ULPS)
    assert_close(found_separate, end_to_end(separate), ulps=ULPS)


def test_packing_is_its_own_inverse_and_adjoint():
    padded = direction_like(jnp.zeros((4, 7, 2)), 1)
    packed = pack(LENGTHS, padded)
    assert packed.shape == (sum(LENGTHS), 2)
    np.testing.assert_array_equal(pack(LENGTHS, unpack(LENGTHS, packed)), packed)
    kept = np.where(inside(LENGTHS)[..., None], padded, 0)
    np.testing.assert_array_equal(unpack(LENGTHS, packed), kept)
    (pulled,) = jax.linear_transpose(lambda x: pack(LENGTHS, x), padded)(packed)
    np.testing.assert_array_equal(pulled, kept)
    assert owners(LENGTHS).tolist() == [0] * 5 + [1] + [2] * 7 + [3] * 5


# At a fixed point ---------------------------------------------------------------------------------------------------

OBJECTIVE = NotebookObjective().objective(PROBLEM)
solve = jax.jit(lambda p, x: newton_cg(PROBLEM, p, x, max_sweeps=500, tolerance=1e-13))
sweep_one = jax.jit(SLDS().posterior)
differentiate_one = jax.jit(lambda p, x: fisher_cg(SLDS(), notebook_objective, p, x, tolerance=1e-12))


@cache
def fixed_point():
    inference = solve(*together())
    assert name_of(inference.status) == "converged"
    return inference


@cache
def gradient():
    estimate = by_sequence(PROBLEM, lambda p, x: fisher_cg(PROBLEM, OBJECTIVE, p, x, tolerance=1e-12))
    found, separate = jax.jit(estimate)(together()[0], fixed_point().state)
    assert name_of(found.info.status) == "solved"
    return found, separate


def error(found, wanted):
    return np.linalg.norm(ravel(found) - ravel(wanted)) / np.linalg.norm(ravel(wanted))


@in_float64
def test_the_fixed_point_is_that_of_each_sequence_alone():
    bounds = PROBLEM.by_sequence(fixed_point().posterior)["elbo"]
    states = split(fixed_point().state, TRANSITIONS)
    for (potentials, _), state, bound in zip(alone(), states, bounds, strict=True):
        posterior = sweep_one(potentials, state)
        # converged to 1e-13; another layout rounds otherwise
        np.testing.assert_allclose(posterior.discrete.marginals, state, rtol=0, atol=1e-12)
        np.testing.assert_allclose(posterior.elbo, bound, rtol=1e-12)


@in_float64
@pytest.mark.parametrize("i", [1, 2])
def test_a_gradient_is_that_of_the_sequence_alone(i):
    found = jax.tree.map(lambda leaf: leaf[i], gradient()[1])
    cut = jax.tree.map(lambda leaf: leaf[: LENGTHS[i]], found.recognition)
    found = eqx.tree_at(lambda g: g.recognition, found, cut)
    state = jnp.asarray(split(fixed_point().state, TRANSITIONS)[i])
    # adjoints to 1e-12, over 1-λ ≥ 0.05
    assert error(found, differentiate_one(alone()[i][0], state).gradient) <= 1e-10


@in_float64
def test_copies_of_shared_potentials_give_the_same_total():
    parameters, _ = together()
    shared = jax.jit(lambda p, x: fisher_cg(PROBLEM, OBJECTIVE, p, x, tolerance=1e-12))(parameters, fixed_point().state)
    assert jax.tree.structure(shared.gradient) == jax.tree.structure(gradient()[0].gradient)
    assert error(gradient()[0].gradient, shared.gradient) <= 1e-11  # two solves to 1e-12
    np.testing.assert_allclose(gradient()[0].value, shared.value, rtol=100 * EPS)


@in_float64
def test_unrolling_and_certificate_agree():
    parameters, start = together()
    long = jax.jit(lambda p, x: unrolled(PROBLEM, OBJECTIVE, p, x, sweeps=400))(parameters, start)
    found = gradient()[0]
    assert error(found.gradient, long.gradient) <= 1e-10
    judge = jax.jit(lambda p, x, w: certify(PROBLEM, OBJECTIVE, p, x, w))
    bound = judge(parameters, fixed_point().state, found.adjoint)
    assert np.linalg.norm(ravel(found.gradient) - ravel(long.gradient)) <= bound.bound <= 1e-7


@in_float64
def test_no_sequence_moves_another_and_the_slowest_sets_the_rate():
    parameters, state = together()[0], fixed_point().state
    jacobian = jax.jit(jax.jacfwd(lambda x: PROBLEM.sweep(parameters, x)))(state).reshape(state.size, state.size)
    owner = np.repeat(PROBLEM.sequences().owners, state.shape[1])
    assert np.all(np.asarray(jacobian)[owner[:, None] != owner] == 0)
    rates = [np.max(np.abs(np.linalg.eigvals(jacobian[owner == i][:, owner == i]))) for i in (0, 2, 3)]
    spectrum = jax.jit(lambda p, x: sweep_spectrum(PROBLEM, p, x))(parameters, state)
    np.testing.assert_allclose(spectrum.eigenvalues[0], max(rates), rtol=1e-6)


def test_finite_differences_are_not_by_sequence():
    estimate = by_sequence(PROBLEM, lambda p, x: finite_difference(PROBLEM, elbo(PROBLEM), p, x, count=1))
    found, separate = jax.eval_shape(estimate, *together())
    assert separate is None
    assert found.derivative.shape == (13, 1)


def test_residuals_by_sequence():
    trace = jax.jit(lambda p, x: coordinate_ascent(PROBLEM, p, x, max_sweeps=2))(*together()).trace
    states = together()[1], *(PROBLEM.state(posterior()(*together(), sweeps)) for sweeps in (1, 2))
    for k in range(2):
        for i, (new, old) in enumerate(zip(*(split(s, TRANSITIONS) for s in states[k + 1 :: -1][:2]), strict=True)):
            assert_close(trace.by_sequence.maximum[k, i], np.max(np.abs(new - old), initial=0), ulps=100, scale=1)
            assert_close(trace.by_sequence.mean[k, i], np.abs(new - old).sum() / max(new.size, 1), ulps=100, scale=1)
    weights = np.array(TRANSITIONS) / sum(TRANSITIONS)
    assert_close(trace.by_sequence.mean @ jnp.asarray(weights, DTYPE), trace.residual.mean, ulps=100)
    assert_close(jnp.max(trace.by_sequence.maximum, 1), trace.residual.maximum, ulps=0)
    assert change_by_sequence(SLDS(), states[0], states[1]) is None


def test_maps_over_batches():
    parameters, start = together()
    starts = jnp.stack([start, start[::-1]])
    both = jax.jit(jax.vmap(lambda x: posterior()(parameters, x, 1).elbo))(starts)
    for found, own in zip(both, starts, strict=True):
        assert_close(found, posterior()(parameters, own, 1).elbo, ulps=100, scale=100)


@pytest.mark.parametrize(
    ("lengths", "complaint"),
    [
        ((), "lengths: expected at least one sequence, found none"),
        ((5, 0), r"lengths\[1\]: expected at least one time step, found 0"),
        ((5, -2), r"lengths\[1\]: expected at least one time step, found -2"),
        ((5, 2.5), r"lengths: expected a sequence of whole numbers, none of them traced, found \(5, 2.5\)"),
        ((5, 1, 8, 5), r"lengths\[2\]: expected at most 7, recognition.quadratic's time axis, found 8"),
        (
            (5, 1, 7),
            r"recognition.quadratic: expected \(sequence, time, latent, latent_next\) with 3 sequences, "
            r"found shape \(4, 7, 2, 2\)",
        ),
        ((5, 1, 7, 4), r"state: expected marginals of shape \(13, 3\), found \(14, 3\)"),
    ],
)
def test_wrong_lengths(lengths, complaint):
    with pytest.raises(ValueError, match=complaint):
        SLDSSequences(lengths).posterior(*together())


def test_steps_that_do_not_add_up():
    wanted = r"recognition.quadratic: expected \(packed_time, latent, latent_next\) with 18 steps of 4 sequences, found shape"
    for parameters, shape in ((together()[0], r"\(4, 7, 2, 2\)"), (alone()[0][0], r"\(5, 2, 2\)")):
        with pytest.raises(ValueError, match=f"{wanted} {shape}"):
            END_TO_END.posterior(parameters, together()[1])


def test_lengths_may_be_any_whole_numbers():
    assert slds_problem(np.array([3, 4])) == SLDSSequences((3, 4))
    assert hash(SLDSSequences([3, 4])) == hash(SLDSSequences((3, 4)))
    assert slds_problem(None) == SLDS()


def test_a_random_sequence_does_not_depend_on_the_others():
    recipe = {"latent": 2, "states": 2, "seed": 3}
    some, start = random_sequences(lengths=[4, 2, 6], **recipe)
    others, other_start = random_sequences(lengths=[4, 5], **recipe)
    np.testing.assert_array_equal(some.recognition.linear[0, :4], others.recognition.linear[0, :4])
    np.testing.assert_array_equal(start[:3], other_start[:3])
    single, _ = random_slds(time=4, **recipe)
    for group in ("dynamics", "initial", "discrete"):
        for a, b in zip(*(jax.tree.leaves(getattr(p, group)) for p in (some, single)), strict=True):
            np.testing.assert_array_equal(a, b)
    assert not np.any(as_jax(some.recognition.linear)[1, 2:])


@pytest.mark.parametrize(
    ("place", "cut"),
    [
        (lambda p: p.recognition.quadratic, lambda a: a[..., :1, :1]),
        (lambda p: p.recognition.linear, lambda a: a[..., :1]),
        (lambda p: p.dynamics.constant, lambda a: a[..., :1]),
    ],
)
def test_potentials_that_would_be_broadcast_are_refused(place, cut):
    parameters, state = together()
    with pytest.raises(ValueError, match=r"expected .*, found shape "):
        SLDSSequences((5, 1, 7, 5)).posterior(eqx.tree_at(place, parameters, cut(place(parameters))), state)
