"""What is an SLDS and what is not: each complaint names variable, index, value found and what was expected."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from own_models import LATENT, STATE, TIME, arrays, changed
from problems import slds
from tolerances import assert_close

from slds_core.models.slds import fields
from slds_core.models.slds.messages import to_gaussian
from slds_core.models.slds.validation import InvalidModel, check_shapes, checked, first_sweep_precision

NAN, INF = np.nan, np.inf
SYMMETRIC = "expected a symmetric matrix"
LOGARITHMS = "expected at most 1: these are expected logarithms of probabilities, in nats"


def check(found):
    *leaves, start = found.values() if "start" in found else (*found.values(), None)
    return checked(jax.tree.unflatten(jax.tree.structure(fields.PARAMETERS), leaves), start)


def refused(found):
    with pytest.raises(InvalidModel) as caught:
        check(found)
    return str(caught.value)


def test_a_valid_model_passes_unchanged():
    found = arrays()
    potentials, start = check(found)
    for ours, given in zip([*jax.tree.leaves(potentials), start], found.values(), strict=True):
        assert ours.dtype == np.float64
        np.testing.assert_array_equal(ours, given)


def test_uniform_start():
    found = arrays()
    del found["start"]
    np.testing.assert_array_equal(check(found)[1], np.full((TIME - 1, STATE), 1 / STATE))


@pytest.mark.parametrize("dtype", [np.float32, np.longdouble])
def test_other_precisions(dtype):
    potentials, start = check({name: array.astype(dtype) for name, array in arrays().items()})
    assert {leaf.dtype for leaf in (*jax.tree.leaves(potentials), start)} == {np.dtype(np.float64)}


def test_brain_floats_and_what_is_no_array():
    potentials, start = check(arrays())
    linear = jnp.asarray(potentials.initial.linear, jnp.bfloat16)
    found, _ = checked(eqx.tree_at(lambda p: p.initial.linear, potentials, linear), start)
    np.testing.assert_array_equal(found.initial.linear, np.asarray(linear, np.float64))
    for nothing in (None, [1.0, 2.0]):
        with pytest.raises(
            InvalidModel, match=r"potentials: expected 13 arrays \(recognition_quadratic, .*\), found 1[24]"
        ):
            checked(eqx.tree_at(lambda p: p.initial.linear, potentials, nothing), start)
    with pytest.raises(InvalidModel, match=r"^start: "):
        checked(potentials, [[0.5], [0.2, 0.8]])


def test_integers():
    found = arrays() | {
        "initial_precision": np.eye(LATENT, dtype=np.int8),
        "initial_linear": np.zeros(LATENT, np.uint16),
    }
    np.testing.assert_array_equal(check(found)[0].initial.precision, np.eye(LATENT))


def test_one_step_has_no_transitions():
    found = arrays()
    first = {name: found[name][:1] for name in ("recognition_quadratic", "recognition_linear")}
    assert check(found | first | {"start": np.empty((0, STATE))})[0].time == 1


def test_rounding_is_no_mistake():
    found = changed("recognition_quadratic", (3, 0, 1), 4e-6)
    found["start"] = found["start"].astype(np.float32)
    found["discrete_initial"] = found["discrete_initial"] + 5e-6
    check(found)


@pytest.mark.parametrize("seed", range(3))
def test_what_inference_can_handle_passes(seed):
    potentials, start = slds(6, 3, 2, seed, missing=(2, 3))
    checked(potentials, start)


@pytest.mark.parametrize(
    ("name", "values", "complaint"),
    [
        (
            "recognition_linear",
            np.zeros((TIME, LATENT), bool),
            "holds values of type bool, expected real floating-point",
        ),
        (
            "dynamics_constant",
            np.zeros(STATE, complex),
            "holds values of type complex128, expected real floating-point",
        ),
        ("initial_normalizer", "much", "holds values of type <U4, expected real floating-point"),
        ("discrete_initial", np.array([None] * STATE), "holds values of type object, expected real floating-point"),
        ("recognition_linear", np.zeros((TIME, LATENT, 1)), "has shape (5, 2, 1), expected (time, latent)"),
        ("initial_normalizer", np.zeros(1), "has shape (1,), expected ()"),
        (
            "recognition_linear",
            np.zeros((TIME + 1, LATENT)),
            "has shape (6, 2): 6 along time, expected 5 as in recognition_quadratic",
        ),
        ("recognition_quadratic", np.zeros((TIME, 2, 3)), "has shape (5, 2, 3): 3 along latent_next, expected 2"),
        (
            "discrete_transition",
            np.zeros((3, 4)),
            "has shape (3, 4): 4 along state_next, expected 3 as in dynamics_linear",
        ),
        (
            "start",
            np.zeros((TIME, STATE)),
            "has shape (5, 3): 5 along transition, expected 4: recognition_quadratic has 5 time steps",
        ),
        ("recognition_quadratic", np.zeros((0, 2, 2)), "has shape (0, 2, 2): nothing along time, expected at least 1"),
    ],
)
def test_type_and_shape(name, values, complaint):
    assert refused(arrays() | {name: values}).startswith(f"{name} {complaint}")


@pytest.mark.parametrize(
    ("name", "index", "value", "complaint"),
    [
        ("recognition_quadratic", (3, 0, 1), NAN, "[3, 0, 1] is nan, expected a finite number"),
        ("dynamics_cross", (2, 1, 0), INF, "[2, 1, 0] is inf, expected a finite number"),
        ("dynamics_constant", 1, -INF, "[1] is -inf, expected a finite number"),
        ("initial_normalizer", (), NAN, " is nan, expected a finite number"),
        ("start", (0, 2), NAN, "[0, 2] is nan, expected a finite number"),
        (
            "discrete_transition",
            (1, 2),
            -INF,
            "[1, 2] is -inf, expected a finite number; for what cannot happen write -1e4",
        ),
        ("recognition_quadratic", (3, 0, 1), 0.25, f"[3, 0, 1] is 0.25 and [3, 1, 0] is 0, {SYMMETRIC}"),
        ("dynamics_quadratic_next", (0, 1, 0), -0.5, f"[0, 0, 1] is 0 and [0, 1, 0] is -0.5, {SYMMETRIC}"),
        ("initial_precision", (0, 1), 1e-4, f"[0, 1] is 0.0001 and [1, 0] is 0, {SYMMETRIC}"),
        ("discrete_initial", ..., np.array([0.5, 0.3, 0.2]), f": the exponentials add up to 4.2199828, {LOGARITHMS}"),
        ("discrete_transition", (1, 2), -0.5, f"[1]: the exponentials add up to 1.2065307, {LOGARITHMS}"),
        ("discrete_transition", (2, 0), 1e6, f"[2]: the exponentials add up to inf, {LOGARITHMS}"),
        ("start", (1, 0), -1e-6, "[1, 0] is -1e-06, expected a probability between 0 and 1"),
        ("start", (3, 2), 1.5, "[3, 2] is 1.5, expected a probability between 0 and 1"),
        ("start", 2, np.array([0.5, 0.25, 0.125]), "[2]: the row adds up to 0.875, expected 1"),
    ],
)
def test_values(name, index, value, complaint):
    with pytest.raises(InvalidModel) as caught:
        check(changed(name, index, value))
    assert str(caught.value) == name + complaint
    assert caught.value.variable == name


def test_a_sign_is_wrong():
    found = arrays()
    message = refused(found | {"recognition_quadratic": -20 * found["recognition_quadratic"]})
    pattern = r"total precision of the Gaussian chain .* at time 0, latent 0 the pivot is -\d+\.\d+, expected a positive number"
    assert re.match(pattern, message)
    assert "quadratic potentials are minus half a precision, initial_precision is a precision" in message


def test_nothing_holds_the_latent_path_in_place():
    """Improper, and singular only up to rounding: without data and prior the path may move as a whole."""
    found = arrays() | {"initial_precision": np.zeros((LATENT, LATENT))}
    found["recognition_quadratic"] = np.zeros((TIME, LATENT, LATENT))
    for name in ("dynamics_quadratic_current", "dynamics_cross", "dynamics_quadratic_next"):
        found[name] = np.tile(found[name][0], (STATE, 1, 1))
    assert "not positive definite: at time 4, latent " in refused(found)


def test_numbers_that_overflow():
    found = arrays()
    assert "joint precision" in refused(found | {"dynamics_cross": np.full((STATE, LATENT, LATENT), 1e200)})
    assert "not positive definite" in refused(
        found | {"recognition_quadratic": np.full((TIME, LATENT, LATENT), -1e308)}
    )


@pytest.mark.parametrize(
    ("name", "change", "complaint"),
    [
        ("initial_precision", np.negative, r"initial_precision has the eigenvalue -\d\S*, expected none below zero"),
        ("dynamics_quadratic_next", np.negative, r"the dynamics of state 0: the joint precision .* eigenvalue -\d"),
        ("dynamics_quadratic_current", np.negative, r"the dynamics of state 0: the joint precision .* eigenvalue -\d"),
        ("dynamics_cross", lambda cross: 3 * cross, r"the dynamics of state 0: .* z_t along its rows"),
    ],
)
def test_what_no_model_has_is_refused_though_data_hold_the_path_in_place(name, change, complaint):
    """Enough data make the total precision positive definite, whatever the dynamics: inference converges on nonsense."""
    found = arrays()
    found |= {"recognition_quadratic": np.tile(-1e3 * np.eye(LATENT), (TIME, 1, 1)), name: change(found[name])}
    assert re.match(complaint, refused(found))


def test_expectations_pass_in_single_precision():
    """Dynamics without noise in some direction, and rounding of float32."""
    for seed in range(20):
        potentials, start = slds(5, 3, 2, seed=seed)
        checked(jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), potentials), start)


def test_first_sweep_precision_is_the_gaussian_chains():
    potentials, start = slds(5, 3, 2)
    chain = to_gaussian(potentials, start)
    diagonal, coupling = first_sweep_precision(*checked(potentials, start))
    assert_close(diagonal, -(chain.quadratic + jnp.swapaxes(chain.quadratic, 1, 2)), ulps=10)
    assert_close(coupling, -chain.cross, ulps=10)


@pytest.mark.parametrize("seed", range(8))
def test_the_pivot_is_that_of_the_dense_matrix(seed):
    """The first leading minor that is not positive, of random indefinite chains."""
    generator = np.random.default_rng(seed)
    found = arrays()
    spread = generator.standard_normal((TIME, LATENT, LATENT))
    found["recognition_quadratic"] = found["recognition_quadratic"] + spread + spread.mT
    leaves = list(found.values())
    potentials = jax.tree.unflatten(jax.tree.structure(fields.PARAMETERS), leaves[:-1])
    diagonal, coupling = first_sweep_precision(potentials, found["start"])
    dense = np.zeros((TIME, LATENT, TIME, LATENT))
    for t in range(TIME):
        dense[t, :, t] = diagonal[t]
    for t in range(TIME - 1):
        dense[t, :, t + 1], dense[t + 1, :, t] = coupling[t], coupling[t].T
    dense = dense.reshape(TIME * LATENT, -1)
    minors = [1.0, *(float(np.linalg.det(dense[:n, :n])) for n in range(1, TIME * LATENT + 1))]
    first = next(n for n in range(TIME * LATENT) if minors[n + 1] <= 0)
    step, latent = divmod(first, LATENT)
    place = re.search(r"at time (\d+), latent (\d+) the pivot is (\S+), expected", refused(found))
    assert place
    assert (int(place[1]), int(place[2])) == (step, latent)
    assert float(place[3]) == pytest.approx(minors[first + 1] / minors[first], rel=1e-6)


def test_a_size_is_compared_with_where_it_was_found_first():
    with pytest.raises(InvalidModel, match=r"^b has shape \(2, 4\): 4 along x_next, expected 3 as in a$"):
        check_shapes({"a": ((3, 1), ("x", "1")), "b": ((2, 4), ("y", "x_next"))})
    with pytest.raises(InvalidModel, match=r"^a has shape \(3, 2\), expected \(x, 1\)$"):
        check_shapes({"a": ((3, 2), ("x", "1"))})
