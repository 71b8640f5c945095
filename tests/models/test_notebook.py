"""The notebook's model and figures; against the original's own arrays where the environment says where they are."""

import os
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from slds_core.fixed_point import coordinate_ascent, fixed_point_residual
from slds_core.gradients import unrolled
from slds_core.models.notebook import notebook_model
from slds_core.models.slds import (
    SLDS,
    DiscretePotentials,
    DynamicsPotentials,
    InitialPotentials,
    RecognitionPotentials,
    SLDSPotentials,
)
from slds_core.objectives.notebook import notebook_objective

GROUPS = ["recog_J", "recog_h", *(f"E_mniw_{i}" for i in range(6)), "init_J", "init_h", "E_init_normalizer"]
GROUPS += ["E_init_lps", "E_trans_lps"]

double = pytest.mark.skipif(not jax.config.jax_enable_x64, reason="the notebook is in float64")


ascend = jax.jit(partial(coordinate_ascent, SLDS()), static_argnames=("max_sweeps", "criterion"))


@pytest.fixture(scope="module")
def model():
    return notebook_model()


@pytest.fixture(scope="module")
def reference():
    """The arrays of the original, and its potentials in our containers."""
    path = os.environ.get("SLDS_REFERENCE")
    if not path or not Path(path).is_file():
        pytest.skip("SLDS_REFERENCE names no file")
    with np.load(path) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def reference_model(reference):
    leaves = [jnp.asarray(reference[name], jnp.float64) for name in GROUPS]
    jj, h, e0, e1, e2, e3, e4, e5, init_j, init_h, normalizer, lps, trans = leaves
    potentials = SLDSPotentials(
        RecognitionPotentials(jj, h[..., 0]),
        DynamicsPotentials(e0[..., 0], e1, e2, e3, e4[..., 0], e5[:, 0, 0]),
        InitialPotentials(init_j, init_h[:, 0], normalizer),
        DiscretePotentials(lps[:, 0], trans),
    )
    return potentials, jnp.asarray(reference["cat_init"])


@pytest.fixture(scope="module")
def reference_inference(reference_model):
    """Inference by number of sweeps; the longest carries the trace."""
    return {n: ascend(*reference_model, max_sweeps=n) for n in (10, 20, 100, 200)}


@pytest.mark.parametrize("x64", [True, False])
def test_float64_and_the_same_in_both_settings(model, x64):
    with jax.enable_x64(x64):
        again = notebook_model()
    potentials, start = again
    assert (potentials.time, potentials.latent, potentials.states) == (100, 5, 4)
    assert start.shape == (99, 4)
    for first, second in zip(jax.tree.leaves(model), jax.tree.leaves(again), strict=True):
        assert second.dtype == np.float64
        np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(np.sum(start, axis=1), 1, rtol=1e-15)


@double
def test_published_figures(model):
    """What the notebook prints. Its encoder's float32 rounding, amplified by inference, moves residuals by some 1e-4: another
    machine's CPU differs by as much from the published GPU figures."""
    sweeps = {n: ascend(*model, max_sweeps=n) for n in (10, 20, 100)}
    residuals = [float(fixed_point_residual(SLDS(), model[0], sweeps[n].state).mean) for n in (10, 20, 100)]
    assert residuals == pytest.approx([0.00027077, 9.92897613e-05, 8.96105988e-08], rel=2e-4)
    moved = float(jnp.mean(jnp.abs(sweeps[20].state - sweeps[10].state)))
    assert moved == pytest.approx(0.00150787, rel=2e-4)
    objective = float(notebook_objective(model[0], sweeps[100].posterior))
    assert objective == pytest.approx(1721.819184951477, rel=5e-7)


@double
def test_regenerated_potentials(model, reference_model, reference):
    for name, ours, theirs in zip(GROUPS, *map(jax.tree.leaves, (model[0], reference_model[0])), strict=True):
        # the encoder runs in float32, and sums in another order elsewhere; all else is float64
        tolerance = 5e-6 if name.startswith("recog") else 1e-14
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.max(np.abs(theirs)), err_msg=name)
    np.testing.assert_allclose(model[1], reference["cat_init"], rtol=0, atol=1e-14)


@double
@pytest.mark.parametrize("sweeps", [10, 20, 100, 200])
def test_reference_marginals(reference, reference_model, reference_inference, sweeps):
    state = reference_inference[sweeps].state
    np.testing.assert_allclose(state, reference[f"cat_{sweeps}"], rtol=0, atol=1e-9)
    residual = fixed_point_residual(SLDS(), reference_model[0], state).mean
    assert float(residual) == pytest.approx(float(reference[f"resid_{sweeps}"]), rel=1e-4 if sweeps == 200 else 1e-9)


@double
def test_reference_gaussian_statistics(reference, reference_inference):
    posterior = reference_inference[100].posterior.gaussian
    for name, ours in (("EXXT", posterior.second_moment), ("EXXNT", posterior.cross_moment), ("EX", posterior.mean)):
        theirs = reference[f"gaus_100_{name}"].reshape(ours.shape)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9 * np.max(np.abs(theirs)), err_msg=name)


@double
def test_reference_trajectories(reference, reference_inference):
    monitors = reference_inference[200].trace.monitors
    for ours, name in (
        (monitors["kl_notebook"], "traj_kl_upstream"),
        (monitors["kl"], "traj_kl_true"),
        (-monitors["elbo"], "traj_surrogate"),
    ):
        theirs = reference[name][: len(ours)]
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, err_msg=name)


@double
def test_reference_stopping(reference, reference_model):
    inference = ascend(*reference_model, max_sweeps=200, tolerance=1e-5, criterion="kl_notebook")
    assert int(inference.sweeps) == int(reference["iters_at_conv_1e-5"])
    residual = fixed_point_residual(SLDS(), reference_model[0], inference.state).mean
    assert float(residual) == pytest.approx(float(reference["resid_at_conv_1e-5"]), rel=1e-9)


@double
def test_reference_unrolled_gradient(reference, reference_model):
    found = jax.jit(lambda p, s: unrolled(SLDS(), notebook_objective, p, s, sweeps=100))(*reference_model)
    assert float(found.value) == pytest.approx(float(reference["obj_f64_unrolled"]), rel=1e-13)
    for name, ours in zip(GROUPS, jax.tree.leaves(found.gradient), strict=True):
        theirs = reference[f"grad_f64_unrolled_{name}"].reshape(ours.shape)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-11 * np.max(np.abs(theirs)), err_msg=name)
