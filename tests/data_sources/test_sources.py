"""The built-in sources beside what is known of them independently."""

import subprocess
import sys

import numpy as np
import pytest

from slds_core.data.bouncing_dot import bouncing_dot
from slds_core.data.macrodata import LEVELS, RATES, macrodata
from slds_core.data.synthetic_slds import synthetic_slds, synthetic_system
from slds_core.plugins.data import MACRODATA
from slds_core.study import registry
from slds_core.study.errors import ParameterErrors


def test_macrodata_growth_by_hand():
    # real GDP rose from 2710.349 to 2778.801 from the first to the second quarter of 1959, unemployment fell from 5.8 to 5.1
    found = macrodata(["realgdp", "unemp"])
    assert found.lengths == (202,)
    assert found.labels[0][0] == "1959Q2"
    np.testing.assert_allclose(found.original[0, 0], [400 * np.log(2778.801 / 2710.349), 5.1 - 5.8], rtol=1e-12)


def test_recessions():
    recession = macrodata(["realgdp"]).truth["recession"][0]
    labels = np.array(macrodata(["realgdp"]).labels[0])
    # months of contraction by the Bureau's table are 10, 11, 16, 6, 16, 8, 8 and 18: some 31 quarters
    assert np.sum(np.diff(recession) == 1) == 8
    assert 27 <= recession.sum() <= 33
    assert "2008Q4" in labels[recession == 1]
    assert "1983Q1" not in labels[recession == 1]


def test_macrodata_unknown_column():
    with pytest.raises(ValueError, match=r"columns: expected some of realgdp.*found \['gdp'\]"):
        macrodata(["gdp"])


def test_macrodata_names_its_series_without_importing_them():
    assert MACRODATA == LEVELS + RATES
    code = "import sys; from slds_core.plugins.data import Macrodata; Macrodata(columns=['m1']); assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("name", "hint"), [("realgpd", "did you mean 'realgdp'?"), ("x", f"expected one of: {', '.join(LEVELS + RATES)}")]
)
def test_a_misspelt_series_is_told_before_anything_runs(name, hint):
    with pytest.raises(ParameterErrors) as caught:
        registry.make("data", "macrodata", {"columns": ["unemp", name]})
    assert caught.value.sentences == [f"columns.1: no series of that name ({hint}), found '{name}'"]


def test_the_dot_bounces_at_constant_speed():
    found = bouncing_dot(sequences=3, time=100, speed=0.07, noise=0.0)
    position = found.truth["position"]
    assert np.all(np.abs(position) <= 1)
    step = np.abs(np.diff(position, axis=1))
    assert np.all(step <= 0.07 + 1e-12)
    assert np.mean(np.isclose(step, 0.07)) > 0.9  # all but the steps in which it bounces
    brightest = np.linspace(-1, 1, 10)[np.argmax(found.values, axis=2)]
    assert np.max(np.abs(brightest - position)) <= 1 / 9 + 1e-12  # half a pixel


def test_noise_of_the_dot():
    clean, noisy = (bouncing_dot(sequences=20, time=50, noise=noise).values for noise in (0.0, 0.06))
    assert np.std(noisy - clean) == pytest.approx(0.06, rel=0.03)  # 10000 draws: one percent


def test_a_sequence_does_not_depend_on_the_others():
    alone = synthetic_slds(lengths=[30], seed=3)
    first = synthetic_slds(lengths=[30, 50], seed=3).select([0])
    np.testing.assert_array_equal(alone.values, first.values)
    assert not np.array_equal(alone.values, synthetic_slds(lengths=[30], seed=4).values)


def test_synthetic_paths_follow_their_system():
    # without noise on the observations and as many channels as dimensions the path is known, and its residuals are the noise
    chosen = {"latent": 2, "states": 3, "channels": 2, "seed": 1}
    found = synthetic_slds(lengths=[4000], observation_noise=1e-9, process_noise=0.1, stickiness=0.9, **chosen)
    system = synthetic_system(stickiness=0.9, **chosen)
    path = np.linalg.solve(system.loading, found.values[0].T).T
    state = found.truth["state"][0]
    expected = np.einsum("tij,tj->ti", system.matrix[state], path[:-1]) + system.offset[state]
    residual = path[1:] - expected
    assert np.std(residual) == pytest.approx(0.1, rel=0.04)  # 8000 draws: 0.8 percent
    assert np.mean(state[1:] == state[:-1]) == pytest.approx(0.9, abs=0.02)
    assert np.max(np.abs(np.linalg.eigvals(system.matrix))) < 1


def test_missing_share():
    found = synthetic_slds(lengths=[1000], missing=0.3)
    assert np.mean(~found.observed) == pytest.approx(0.3, abs=0.03)
