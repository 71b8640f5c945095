"""The notebook's pickle: the same model as ours, and every mistake in it told by the notebook's names."""

import os
import pickle
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from own_models import LATENT, STATE, TIME, arrays
from tolerances import DTYPE

from slds_core.models.notebook import notebook_model
from slds_core.study import registry
from slds_core.study.errors import StudyError
from slds_core.study.notebook_pickle import read_notebook_pickle
from slds_core.study.stages.common import read_model
from slds_core.study.stages.import_pickle import import_pickle

PRECISION = np.dtype(DTYPE).name
NAMES = [name for name in arrays() if name != "start"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "slds.pkl"


def structure(found):
    """Returns our arrays, by name, in the notebook's structure."""
    quadratic, linear, e0, e1, e2, e3, e4, e5, precision, first, normalizer, initial, transition = found.values()
    dynamics = e0[..., None], e1, e2, e3, e4[..., None], e5[:, None, None]
    graphical = dynamics, (precision, first[:, None]), normalizer, initial[:, None], transition
    results = (e1[0], e2[0]), linear[:-1]
    return (quadratic, linear[..., None]), graphical, *results


def model(**changes):
    return {name: array for name, array in (arrays() | changes).items() if name != "start"}


def write(path, value, protocol=None):
    path.write_bytes(pickle.dumps(value, protocol))
    return path


def refused(path):
    with pytest.raises(StudyError) as caught:
        read_notebook_pickle(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("convert", [lambda x: x, lambda x: jax.tree.map(jnp.asarray, x)], ids=["numpy", "jax"])
def test_the_notebooks_model(path, convert, protocol):
    """There and back: potentials bit for bit, and the notebook's start."""
    potentials, start = notebook_model()
    with jax.enable_x64(True):
        leaves = dict(zip(NAMES, jax.tree.leaves(jax.tree.map(np.asarray, potentials)), strict=True))
        write(path, convert(structure(leaves)), protocol)
    found, found_start = read_notebook_pickle(path)
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(potentials), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(found_start, start, rtol=0, atol=1e-15)


def test_the_originals_own_arrays(path):
    """Its recognition potentials are in float32, all else in float64."""
    source = os.environ.get("SLDS_REFERENCE")
    if not source or not Path(source).is_file():
        pytest.skip("SLDS_REFERENCE names no file")
    with np.load(source) as file:
        reference = dict(file)
    dynamics = tuple(reference[f"E_mniw_{i}"] for i in range(6))
    first = reference["init_J"], reference["init_h"]
    rest = reference["E_init_normalizer"], reference["E_init_lps"], reference["E_trans_lps"]
    write(path, ((reference["recog_J"], reference["recog_h"]), (dynamics, first, *rest), (), ()))
    potentials, start = read_notebook_pickle(path)
    np.testing.assert_array_equal(potentials.recognition.linear, reference["recog_h"][..., 0])
    np.testing.assert_array_equal(potentials.dynamics.linear_next, reference["E_mniw_4"][..., 0])
    np.testing.assert_array_equal(potentials.dynamics.constant, reference["E_mniw_5"][:, 0, 0])
    np.testing.assert_array_equal(potentials.initial.normalizer, reference["E_init_normalizer"])
    np.testing.assert_allclose(start, reference["cat_init"], rtol=0, atol=1e-14)


def test_lists_and_plain_numbers(path):
    recognition, graphical, *rest = structure(model())
    graphical = [list(graphical[0]), list(graphical[1]), 2, *graphical[3:]]
    potentials, _ = read_notebook_pickle(write(path, [list(recognition), graphical, *rest]))
    assert potentials.initial.normalizer == 2


def test_uniform_start(path):
    _, start = read_notebook_pickle(write(path, structure(model())), "uniform")
    np.testing.assert_array_equal(start, np.full((TIME - 1, STATE), 1 / STATE))


def test_import(path, tmp_path):
    said = import_pickle(write(path, structure(model())), tmp_path / "model.nc", start="uniform", precision=PRECISION)
    assert said == f"14 arrays in {PRECISION} (time 5, latent 2, state 3, transition 4)"
    stored = read_model(tmp_path / "model.nc")
    assert stored.name == "slds"
    np.testing.assert_array_equal(stored.start, np.full((TIME - 1, STATE), 1 / STATE, DTYPE))
    for (name, array), ours in zip(model().items(), jax.tree.leaves(stored.parameters), strict=True):
        np.testing.assert_array_equal(ours, array.astype(DTYPE), err_msg=name)


def test_nothing_is_written_for_a_wrong_pickle(path, tmp_path):
    write(path, structure(model(initial_linear=np.full(LATENT, np.nan))))
    with pytest.raises(StudyError, match=r"initial_linear\[0\] is nan"):
        import_pickle(path, tmp_path / "model.nc", precision=PRECISION)
    assert [entry.name for entry in tmp_path.iterdir()] == ["slds.pkl"]


def test_parameters_of_the_plugin():
    assert registry.make("models", "slds_pickle", {"path": "a/slds.pkl"}).input_files() == [Path("a/slds.pkl")]
    with pytest.raises(StudyError, match=r"^start: input should be 'notebook' or 'uniform', found 'random'$"):
        registry.make("models", "slds_pickle", {"path": "slds.pkl", "start": "random"})


def replaced(value, place, new):
    """Returns nested tuples with one part replaced."""
    if not place:
        return new
    first, *rest = place
    return tuple(replaced(part, rest, new) if i == first else part for i, part in enumerate(value))


FOUR = "(recog_potentials, pgm_potentials, gaus_natparam, cat_natparam)"
FIVE = "(E_mniw_params, init, E_init_normalizer, E_init_lps, E_trans_lps)"


@pytest.mark.parametrize(
    ("place", "new", "message"),
    [
        ((), np.ones(3), f"the pickle is an array of shape (3,), expected a tuple of 4 {FOUR}"),
        ((), {"recog_potentials": 1}, f"the pickle is of type dict, expected a tuple of 4 {FOUR}"),
        ((), structure(model())[:2], f"the pickle is a tuple of 2, expected a tuple of 4 {FOUR}"),
        ((0,), np.ones(3), "recog_potentials is an array of shape (3,), expected a tuple of 2 (-½ R, r)"),
        ((1,), (1, 2, 3, 4, 5, 6), f"pgm_potentials is a tuple of 6, expected a tuple of 5 {FIVE}"),
        (
            (1, 0),
            [1] * 5,
            "E_mniw_params is a list of 5, expected a tuple of 6 (-AᵀΛb, -½ AᵀΛA, AᵀΛ, -½ Λ, Λb, constant)",
        ),
        ((1, 1), None, "init is of type NoneType, expected a tuple of 2 (J, h)"),
        ((1, 4), [0.5, 0.5], "E_trans_lps is a list of 2, expected an array"),
        ((1, 2), "2", "E_init_normalizer is of type str, expected an array"),
        ((1, 2), True, "E_init_normalizer is of type bool, expected an array"),
        ((0, 1), np.ones((TIME, LATENT)), "recog_potentials[1] has shape (5, 2), expected (time, latent, 1)"),
        (
            (0, 1),
            np.ones((TIME, LATENT, 2)),
            "recog_potentials[1] has shape (5, 2, 2), expected (time, latent, 1)",
        ),
        (
            (0, 0),
            np.ones((1, TIME, LATENT, LATENT)),
            "recog_potentials[0] has shape (1, 5, 2, 2), expected (time, latent, latent_next)",
        ),
        (
            (1, 0, 2),
            np.ones((STATE, 3, LATENT)),
            "E_mniw_params[2] has shape (3, 3, 2): 3 along latent, expected 2 as in recog_potentials[0]",
        ),
        ((1, 0, 5), np.ones(STATE), "E_mniw_params[5] has shape (3,), expected (state, 1, 1)"),
        ((1, 3), np.ones(STATE), "E_init_lps has shape (3,), expected (state, 1)"),
        (
            (1, 4),
            np.ones((2, 2)),
            "E_trans_lps has shape (2, 2): 2 along state, expected 3 as in E_mniw_params[0]",
        ),
        (
            (0, 1),
            np.full((TIME, LATENT, 1), np.nan, np.float32),
            "recognition_linear[0, 0] is nan, expected a finite number (the pickle's recog_potentials[1])",
        ),
        (
            (1, 1, 0),
            np.array([[1.0, 0.5], [0.0, 1.0]]),
            "initial_precision[0, 1] is 0.5 and [1, 0] is 0, expected a symmetric matrix (the pickle's init[0])",
        ),
        (
            (1, 3),
            np.zeros((STATE, 1)),
            "discrete_initial: the exponentials add up to 3, expected at most 1: these are expected logarithms of "
            "probabilities, in nats (the pickle's E_init_lps)",
        ),
        (
            (0, 0),
            np.zeros((TIME, LATENT, LATENT), complex),
            "recognition_quadratic holds values of type complex128, expected real floating-point numbers (the pickle's "
            "recog_potentials[0])",
        ),
    ],
)
def test_wrong_contents(path, place, new, message):
    assert refused(write(path, replaced(structure(model()), place, new))) == message


def test_a_wrong_sign(path):
    message = refused(write(path, structure(model(initial_precision=-9 * np.eye(LATENT)))))
    assert message == "initial_precision has the eigenvalue -9, expected none below zero (the pickle's init[0])"


def test_no_file(path):
    assert refused(path) == "no such file; expected a pickle of the notebook's potentials"


def test_refused_and_damaged_pickles(path):
    assert refused(write(path, (print, 1, 2, 3))).startswith("the pickle calls for 'builtins.print'; only arrays of ")
    path.write_bytes(pickle.dumps(structure(model()))[:-100])
    assert refused(path).startswith("the file is no pickle, or cut off: ")
