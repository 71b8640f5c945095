"""The held-out bound beside the evidence by enumeration, and outputs in the units that the data came in."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
import xarray as xr
from problems import as_jax
from test_forecast import some_factors
from tolerances import DTYPE

from slds_core.data.synthetic_slds import synthetic_slds
from slds_core.evaluation.held_out import held_out_bound, infer
from slds_core.evaluation.prediction import from_model
from slds_core.evaluation.split import split
from slds_core.learning import ExactEncoder, LinearDecoder, full_batch
from slds_core.learning.encoder import imitating
from slds_core.learning.network_decoder import correcting
from slds_core.learning.training import SVAE
from slds_core.study.stages.build_model import build_model

TOLERANCE = 1e-9 if jnp.float64 == DTYPE else 1e-4


@pytest.fixture
def model():
    generator = np.random.default_rng(0)
    arrays = generator.standard_normal((3, 2)), generator.standard_normal(3), np.array([0.5, 0.0, 1.0])
    return SVAE(ExactEncoder(), as_jax(LinearDecoder(*arrays)), some_factors())


def batch_of(lengths, seed=0):
    batch = full_batch(synthetic_slds(lengths=list(lengths), channels=3, missing=0.2, seed=seed))
    return type(batch)(as_jax(batch.values), batch.observed, batch.lengths)


def test_the_bound_is_below_the_evidence(model):
    """All paths of the states, each with its dense Gaussian integral; the likelihood's constants by hand."""
    batch = batch_of((5,))
    bound = held_out_bound(model, batch).value * batch.observed.sum()
    weight = np.asarray(model.decoder.log_precision, np.float64)
    gap = np.asarray(batch.values, np.float64) - np.asarray(model.decoder.offset)
    constants = 0.5 * (weight - np.log(2 * np.pi) - np.exp(weight) * gap**2)
    evidence = oracles.slds_log_evidence(model.parameters(batch)) + constants[np.asarray(batch.observed)].sum()
    assert bound < evidence + TOLERANCE * abs(evidence)
    assert bound > evidence - 1  # mean field loses less than a nat on five steps


def test_the_best_start_is_taken_for_each_sequence(model):
    batch = batch_of((12, 9))
    _, best = infer(model, batch)
    from_one = []
    for row in (np.full(3, 1 / 3), *np.eye(3)):
        start = as_jax(np.tile(row, (batch.transitions, 1)))
        from_one.append(infer(model, batch, start)[1].posterior.elbo)
    highest = np.max(np.asarray(from_one), axis=0)
    np.testing.assert_allclose(best.posterior.elbo, highest, rtol=TOLERANCE)


def test_sequences_add_up(model):
    together = batch_of((7, 7))
    entries, bounds = [], []
    for number in range(2):
        own = type(together)(together.values[number][None], together.observed[number][None], (7,))
        entries.append(float(own.observed.sum()))
        bounds.append(float(held_out_bound(model, own).value))
    assert float(held_out_bound(model, together).value) == pytest.approx(
        np.average(bounds, weights=entries), rel=TOLERANCE
    )


def test_draws_predict_what_the_closed_form_does(model):
    """A network that is zero: imputations and forecasts beside the linear decoder's, as exactly as a thousand draws tell."""
    data = split(synthetic_slds(lengths=[14, 11], channels=3), masked=(3, 6), horizon=3)
    drawn = SVAE(imitating(model.decoder), correcting(model.decoder, 4, jax.random.key(0)), model.factors)
    wanted = from_model(SVAE(drawn.encoder, model.decoder, model.factors), data)
    found = from_model(drawn, data)
    noise = np.exp(-np.asarray(model.decoder.log_precision))
    spread = wanted.variance - noise
    inside = np.arange(14)[None, :, None] < np.array(data.judged.lengths)[:, None, None]
    inside = np.broadcast_to(inside, spread.shape)
    ahead = np.broadcast_to(data.ahead, spread.shape)
    given = inside & ~ahead
    np.testing.assert_allclose(found.mean[given], wanted.mean[given], atol=TOLERANCE * 1e3)  # draws come in pairs
    assert np.all(np.abs(found.mean - wanted.mean)[ahead] < 5 * np.sqrt(spread[ahead] / 1000))
    # the fourth moment of a mixture of few states is no more than some times a Gaussian's
    np.testing.assert_allclose((found.variance - noise)[inside], spread[inside], rtol=0.3)


def built(tmp_path, name, factor, shift):
    """What is stored of a model of a table, whose channels come in one unit or in another."""
    path = np.cumsum(np.random.default_rng(0).standard_normal((3, 20)), axis=1)
    rows = ["who,t,a,b"]
    for number, own in enumerate(path):
        rows += [f"{number},{t},{float(factor * x + shift)!r},{float(-3 * x + np.sin(t))!r}" for t, x in enumerate(own)]
    (tmp_path / f"{name}.csv").write_text("\n".join(rows))
    data = {"plugin": "table", "path": str(tmp_path / f"{name}.csv"), "time": "t", "group": "who"}
    held_out = {"held_out_sequences": 1, "horizon": 3, "masked": [5, 8], "baselines": ["lds", "hmm"]}
    settings = {"plugin": "svae", "parameters": {"data": data, "states": 2, "epochs": 0} | held_out}
    build_model(name, settings, "float64", tmp_path / f"{name}.nc")
    return xr.load_dataset(tmp_path / f"{name}.nc")


class Told(Exception):
    """What a training was told."""


def test_a_baseline_is_trained_under_its_name(monkeypatch):
    from slds_core.study import evaluation
    from slds_core.study.svae import SVAE as Plugin

    def learn(plugin, series, keep, baseline=""):
        raise Told(plugin.states, baseline)

    monkeypatch.setattr(Plugin, "learn", learn)
    with pytest.raises(Told, match=r"\(1, 'lds'\)"):
        evaluation._of_lds(Plugin(data="macrodata"), split(synthetic_slds(lengths=[12])), None)


@pytest.mark.slow
def test_outputs_are_in_original_units(tmp_path):
    """Celsius or Fahrenheit: predictions and errors follow the unit, everything standardised does not."""
    celsius, fahrenheit = built(tmp_path, "celsius", 1.0, 0.0), built(tmp_path, "fahrenheit", 1.8, 32.0)
    a, b = {"channel": 0}, {"channel": 1}

    def same(name, where, factor=1.0, shift=0.0):
        expected = factor * celsius[name][where].values + shift
        np.testing.assert_allclose(fahrenheit[name][where].values, expected, rtol=1e-6, atol=1e-6)

    for name in ("training_held_out_mean", "training_held_out_value", "training_data"):
        same(name, a, 1.8, 32.0)
        same(name, b)
    for name in (
        "training_held_out_standard_deviation",
        "training_imputation_error",
        "training_forecast_error",
        "training_scale",
    ):
        same(name, a, 1.8)
        same(name, b)
    for name in ("training_imputation_scaled_error", "training_forecast_log_density", "training_held_out_bound"):
        same(name, {})
    assert list(celsius["training_method"].values) == ["model", "lds", "hmm", "interpolation"]
    value, mean = celsius["training_held_out_value"].values, celsius["training_held_out_mean"].values
    role = celsius["training_held_out_role"].values
    for task, code in (("imputation", 2), ("forecast", 3)):
        gap = np.where(role == code, value - mean, np.nan)
        error = np.sqrt(np.nanmean(gap**2, axis=(1, 2)))
        np.testing.assert_allclose(celsius[f"training_{task}_error"].values, error, rtol=1e-10)
    assert jax.config.jax_enable_x64
