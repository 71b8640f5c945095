"""Chains end to end against each of them alone: values, both modes of the first derivative, second derivatives, and hostile chains."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from backends import BACKENDS, NATIVE
from problems import direction_like, discrete_chain, gaussian_chain
from tolerances import DTYPE, EPS, assert_close

from slds_core.chains import gaussian, hmm
from slds_core.chains.hmm import HMMPotentials
from slds_core.chains.packing import after, before, entering, leaving, pack, total, transitions, unpack

LENGTHS = (5, 1, 7, 5)
STEPS = (4, 0, 6, 4)  # of the hidden Markov models: one has none
ULPS = 500


def gaussian_chains():
    alone = [gaussian_chain(length, 3, seed) for seed, length in enumerate(LENGTHS)]
    return alone, jax.tree.map(lambda *arrays: jnp.concatenate(arrays), *alone)


def discrete_chains():
    alone = [discrete_chain(steps, 4, seed) for seed, steps in enumerate(STEPS)]
    unary = jnp.concatenate([chain.unary for chain in alone])
    return alone, HMMPotentials(jnp.stack([c.initial for c in alone]), jnp.stack([c.transition for c in alone]), unary)


KINDS = {
    "gaussian": (gaussian, gaussian_chains, LENGTHS),
    "hmm": (hmm, discrete_chains, STEPS),
}


def one_by_one(kind, tree):
    """An array for each chain, of potentials or statistics."""
    leaves, structure = jax.tree.flatten(tree)
    if kind == "gaussian":
        cuts = np.cumsum(LENGTHS)[:-1], np.cumsum(transitions(LENGTHS))[:-1], np.cumsum(LENGTHS)[:-1]
        pieces = [jnp.split(leaf, cut) for leaf, cut in zip(leaves, cuts, strict=True)]
    else:
        pieces = [list(leaves[0]), list(leaves[1]), jnp.split(leaves[2], np.cumsum(STEPS)[:-1])]
    return [structure.unflatten(arrays) for arrays in zip(*pieces, strict=True)]


SIDE_BY_SIDE = [pytest.param(name, marks=pytest.mark.slow) for name in ("scan", "associative")]  # long to compile


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", [NATIVE, *SIDE_BY_SIDE])
def test_each_chain_is_as_if_alone(kind, backend):
    """Values, a directional derivative, and the derivative of that derivative, which is the transposed map's as well."""
    module, draw, lengths = KINDS[kind]
    alone, together = draw()
    direction = direction_like(together, 3)
    weights = direction_like(jax.eval_shape(lambda p: module.smooth_sequences(p, lengths), together), 5)
    weights_alone = zip(list(weights.log_partition), one_by_one(kind, weights.statistics), strict=True)

    def everything(smooth, weights):
        def value(potentials):
            return sum(
                jnp.sum(w * jnp.where(jnp.isfinite(x), x, 0))
                for w, x in zip(jax.tree.leaves(weights), jax.tree.leaves(smooth(potentials)), strict=True)
            )

        def run(potentials, direction):
            gradient, second = jax.jvp(jax.grad(value), (potentials,), (direction,))
            return jax.jvp(smooth, (potentials,), (direction,)), gradient, second

        return jax.jit(run)

    (found, moved), gradient, second = everything(
        lambda p: module.smooth_sequences(p, lengths, backend=backend), weights
    )(together, direction)
    parts = [one_by_one(kind, tree) for tree in (found.statistics, moved.statistics, gradient, second, direction)]
    for number, (
        own,
        (log_weight, own_weights),
        (statistics, d_statistics, own_gradient, own_second, own_direction),
    ) in enumerate(zip(alone, weights_alone, zip(*parts, strict=True), strict=True)):
        whole = type(weights)(log_weight, own_weights)
        (expected, expected_moved), expected_gradient, expected_second = everything(
            lambda p: module.smooth(p, backend="scan"), whole
        )(own, own_direction)
        scale = 1 + abs(float(expected.log_partition))
        assert_close(found.log_partition[number], expected.log_partition, ulps=ULPS, scale=scale)
        assert_close(moved.log_partition[number], expected_moved.log_partition, ulps=ULPS, scale=10)
        for one, other in (
            (statistics, expected.statistics),
            (d_statistics, expected_moved.statistics),
            (own_gradient, expected_gradient),
            (own_second, expected_second),
        ):
            for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
                assert_close(a, b, ulps=ULPS, scale=10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_wrong_with_one_chain_stays_with_it(kind, backend):
    module, draw, lengths = KINDS[kind]
    _, together = draw()
    spoilt = eqx.tree_at(lambda p: jax.tree.leaves(p)[-1], together, replace_fn=lambda x: x.at[0].set(jnp.nan))
    smooth = jax.jit(lambda p: module.smooth_sequences(p, lengths, backend=backend))
    found, sound = smooth(spoilt), smooth(together)
    assert np.isnan(found.log_partition).tolist() == [True, False, False, False]
    for own, expected in zip(
        one_by_one(kind, found.statistics)[1:], one_by_one(kind, sound.statistics)[1:], strict=True
    ):
        for a, b in zip(jax.tree.leaves(own), jax.tree.leaves(expected), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("lengths", [(4, 3), (3, 3)], ids=["ragged", "uniform"])
@pytest.mark.parametrize("backend", [NATIVE, *SIDE_BY_SIDE])
def test_second_derivatives_of_an_indefinite_chain_stay_with_it(lengths, backend):
    alone = [gaussian_chain(length, 2, seed) for seed, length in enumerate(lengths)]
    together = jax.tree.map(lambda *arrays: jnp.concatenate(arrays), *alone)
    spoilt = eqx.tree_at(lambda p: p.quadratic, together, together.quadratic.at[1].set(5 * jnp.eye(2)))
    direction = direction_like(together, 3)

    @jax.jit
    def bend(potentials):
        """Returns second derivatives along the direction: of log-partitions, of statistics, and of the pull-back of ones."""
        smooth = lambda p: gaussian.smooth_sequences(p, lengths, backend=backend)

        def slope(potentials):
            posterior, pull = jax.vjp(smooth, potentials)
            return jax.jvp(smooth, (potentials,), (direction,)), pull(jax.tree.map(jnp.ones_like, posterior))[0]

        (_, moved), gradient = jax.jvp(slope, (potentials,), (direction,))[1]
        return moved.log_partition, moved.statistics, gradient

    (first, *found), (second, *expected) = bend(spoilt), bend(together)
    assert np.isnan(first[0])
    np.testing.assert_allclose(first[1], second[1], rtol=1e3 * EPS)
    for one, other in zip(found, expected, strict=True):
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
            last = lengths[1] if len(a) == sum(lengths) else lengths[1] - 1
            assert_close(a[-last:], b[-last:], ulps=ULPS, scale=10)
            assert np.all(np.isnan(a[:-last]))


FORBIDDEN = {
    "every transition": lambda p: eqx.tree_at(lambda p: p.transition, p, p.transition.at[0].set(-jnp.inf)),
    "the first step": lambda p: eqx.tree_at(lambda p: p.unary, p, p.unary.at[0].set(-jnp.inf)),
    "the last step": lambda p: eqx.tree_at(lambda p: p.unary, p, p.unary.at[STEPS[0] - 1].set(-jnp.inf)),
    "every start": lambda p: eqx.tree_at(lambda p: p.initial, p, p.initial.at[0].set(-jnp.inf)),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("forbidden", FORBIDDEN)
def test_a_chain_without_a_path_is_not_given_one(forbidden, backend):
    """Alone it has no probabilities; neither has it beside chains of other lengths, which keep theirs and their derivatives."""
    _, sound = discrete_chains()
    spoilt = FORBIDDEN[forbidden](sound)
    weights = direction_like(sound, 3)

    @jax.jit
    def run(potentials):
        smooth = lambda p: hmm.smooth_sequences(p, STEPS, backend=backend)
        # the transposed derivative, of all chains but the spoilt one
        value = lambda p: jnp.sum(smooth(p).statistics.marginals[STEPS[0] :] * weights.unary[STEPS[0] :])
        return smooth(potentials), jax.grad(value)(potentials)

    (found, gradient), (expected, expected_gradient) = run(spoilt), run(sound)
    assert not np.isfinite(found.log_partition[0])
    first = one_by_one("hmm", found.statistics)[0]
    assert all(np.all(np.isnan(leaf)) for leaf in jax.tree.leaves(first))
    np.testing.assert_array_equal(found.log_partition[1:], expected.log_partition[1:])
    for one, other in ((found.statistics, expected.statistics), (gradient, expected_gradient)):
        for own, wanted in zip(one_by_one("hmm", one)[1:], one_by_one("hmm", other)[1:], strict=True):
            for a, b in zip(jax.tree.leaves(own), jax.tree.leaves(wanted), strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_single_step_without_a_state(backend):
    impossible = HMMPotentials(
        jnp.zeros((2, 3), DTYPE), jnp.zeros((2, 3, 3), DTYPE), jnp.zeros((3, 3), DTYPE).at[0].set(-jnp.inf)
    )
    found = hmm.smooth_sequences(impossible, (1, 2), backend=backend)
    assert np.isfinite(found.log_partition).tolist() == [False, True]
    assert np.all(np.isnan(found.statistics.initial[0]))
    assert not np.any(found.statistics.transition[0])  # no pairs: a sum of nothing


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_batch_of_sets_is_each_set(kind, backend):
    module, draw, lengths = KINDS[kind]
    _, together = draw()
    other = jax.tree.map(lambda x: 0.9 * x, together)
    smooth = jax.jit(lambda p: module.smooth_sequences(p, lengths, backend=backend))
    batch = jax.jit(jax.vmap(smooth))(jax.tree.map(lambda *x: jnp.stack(x), together, other))
    for number, own in enumerate((together, other)):
        for a, b in zip(jax.tree.leaves(batch), jax.tree.leaves(smooth(own)), strict=True):
            assert_close(a[number], b, ulps=50, scale=10)


@pytest.mark.parametrize(
    ("kind", "lengths", "message"),
    [
        ("gaussian", (), "lengths: expected at least one chain"),
        ("gaussian", (5, 0, 7, 6), "at least one step in each, found"),
        ("gaussian", (5, 1, 7, 4), r"linear: expected shape \(17, 3\), chain after chain, found \(18, 3\)"),
        ("gaussian", (5.0, 6.0, 7.0), "lengths: expected a sequence of whole numbers"),
        ("gaussian", (5, 8, 5), r"cross: expected shape \(15, 3, 3\), chain after chain, found \(14, 3, 3\)"),
        ("hmm", (), "lengths: expected at least one chain"),
        ("hmm", (4, -1, 7, 4), "no negative number of steps"),
        ("hmm", (4, 0, 6, 5), r"unary: expected shape \(15, 4\), found \(14, 4\)"),
        ("hmm", (4, 6, 4), r"initial: expected shape \(3, 4\), found \(4, 4\)"),
    ],
)
def test_wrong_lengths(kind, lengths, message):
    module, draw, _ = KINDS[kind]
    with pytest.raises(ValueError, match=message):
        module.smooth_sequences(draw()[1], lengths)


@pytest.mark.parametrize("kind", KINDS)
def test_lengths_in_an_array(kind):
    module, draw, lengths = KINDS[kind]
    _, together = draw()
    found = module.smooth_sequences(together, np.array(lengths)), module.smooth_sequences(together, lengths)
    np.testing.assert_array_equal(found[0].log_partition, found[1].log_partition)


@pytest.mark.parametrize("shape", [(3, 0), ()])
def test_no_states(shape):
    chains = 2, *shape[1:]
    nothing = HMMPotentials(jnp.zeros(chains, DTYPE), jnp.zeros((*chains, *shape[1:]), DTYPE), jnp.zeros(shape, DTYPE))
    with pytest.raises(ValueError, match="unary: expected shape"):
        hmm.smooth_sequences(nothing, (1, 2))


def test_hidden_markov_models_of_no_steps():
    empty = HMMPotentials(jnp.zeros((2, 3), DTYPE), jnp.zeros((2, 3, 3), DTYPE), jnp.zeros((0, 3), DTYPE))
    found = hmm.smooth_sequences(empty, (0, 0))
    assert found.log_partition.tolist() == [0, 0]
    assert not np.any(found.statistics.initial)


@pytest.mark.parametrize("lengths", [LENGTHS, (4, 4), (1, 1), (1,)])
def test_steps_and_transitions(lengths):
    """By loops over the sequences; and each map of steps to transitions is the transpose of one of transitions to steps."""
    steps, moves = [], []
    for sequence, length in enumerate(lengths):
        steps += [10.0 * sequence + step for step in range(length)]
        moves += [100 * sequence + step for step in range(length - 1)]
    of_steps, of_moves = jnp.array(steps), jnp.array(moves, dtype=float).reshape(-1)
    pairs = [(i, i + 1) for i in range(len(steps) - 1) if steps[i] // 10 == steps[i + 1] // 10]
    assert before(lengths, of_steps).tolist() == [steps[i] for i, _ in pairs]
    assert after(lengths, of_steps).tolist() == [steps[j] for _, j in pairs]
    for spread, narrow in ((leaving, before), (entering, after)):
        (image,) = jax.linear_transpose(lambda x, narrow=narrow: narrow(lengths, x), of_steps)(of_moves)
        np.testing.assert_array_equal(spread(lengths, of_moves), image)
    np.testing.assert_array_equal(pack(lengths, unpack(lengths, of_steps)), of_steps)
    by_hand = [sum(x for x in steps if x // 10 == sequence) for sequence in range(len(lengths))]
    np.testing.assert_array_equal(total(lengths, of_steps), by_hand)
