"""Figures and tables of models learnt from data, from a file made by hand: they say what is in it, in original units."""

import csv
import dataclasses
import json
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib.image import AxesImage
from matplotlib.text import Text

from slds_core.data import Interval, series
from slds_core.evaluation.prediction import Prediction, from_interpolation
from slds_core.evaluation.split import split
from slds_core.learning.objective import Estimate
from slds_core.report.figures.canvas import number
from slds_core.report.figures.catalogue import FIGURES
from slds_core.report.figures.regimes import _titles
from slds_core.report.learnt import judged_sequences, learnt_sequences
from slds_core.report.load import ModelResults, load_results
from slds_core.report.page import Page
from slds_core.report.pictures import Pictures
from slds_core.report.sections.learnt import METHOD_COLUMNS, SECTION, channel_rows, last_models, method_rows
from slds_core.report.study import Study
from slds_core.report.svg import render_svg, to_element
from slds_core.report.tables import Table, to_csv
from slds_core.study import store
from slds_core.study.evaluation import _data, _held_out

LEARNT = [name for name, kind in FIGURES.items() if kind.section == "learnt"]
EPOCHS = np.array([-2.0, -1.5, -1.25])


def made(channels=2, sequences=1, epochs=3, names=None):
    """The file of a model that was learnt from some walks, with made-up predictions: all off by half a standard deviation."""
    generator = np.random.default_rng(0)
    walks = [100 + np.cumsum(generator.standard_normal((30 - n, channels)), 0) for n in range(sequences + 1)]
    marks = [Interval(0, 5, 9, "crisis")]
    labels = [[f"{1990 + t}" for t in range(len(walk))] for walk in walks]
    names, units = names or [f"c{n}" for n in range(channels)], ["%"] + [""] * (channels - 1)
    whole = series(
        walks, names, names=[f"s{n}" for n in range(len(walks))], labels=labels, intervals=marks, units=units
    )
    parts = split(whole, sequences=1, horizon=4, masked=(8, 12))
    own = Prediction(parts.judged.values + 0.5, np.full(parts.judged.values.shape, 0.25))
    bounds = {"model": Estimate(-1.0, 0.01), "lds": Estimate(-1.5, 0.0), "interpolation": Estimate(np.nan, np.nan)}
    predictions = {"model": own, "lds": own, "interpolation": from_interpolation(parts)}
    methods = {name: (bound, predictions[name]) for name, bound in bounds.items()}
    variables = {
        name: store.variable(*described)
        for name, described in (_data(parts.training) | _held_out(parts, methods)).items()
    }
    variables["training_bound"] = store.variable("epoch", EPOCHS[:epochs], "bound", "nat")
    variables["training_final_bound"] = store.variable((), -1.2, "bound", "nat")
    transitions = sum(parts.training.lengths) - len(parts.training.lengths)
    states = np.where(np.arange(transitions)[:, None] < 8, [0.9, 0.1], [0.2, 0.8])
    dimension = "packed_transition" if sequences > 1 else "transition"
    variables["start"] = store.variable((dimension, "state"), states, "start")
    if sequences > 1:
        variables["length"] = store.variable("sequence", np.array(parts.training.lengths), "length")
    chosen = json.dumps({"plugin": "svae", "parameters": {"epochs": epochs, "states": 2}})
    return parts, xr.Dataset(variables, attrs={"settings": chosen, "model": "m", "setting": "m", "slds_kind": "model"})


CASES = {"one sequence": (2, 1), "many sequences": (3, 3), "an image": (12, 1)}


@pytest.fixture(params=CASES)
def results(request) -> ModelResults:
    return ModelResults("m", made(*CASES[request.param])[1])


@pytest.mark.parametrize("name", LEARNT)
def test_each_figure_is_drawn_and_pure(name, results):
    kind = FIGURES[name]
    assert kind.applies(results)
    before, settings = results.model.copy(deep=True), dict(matplotlib.rcParams)
    first, second = render_svg(kind.draw(results)), render_svg(kind.draw(results))
    assert first == second
    assert dict(matplotlib.rcParams) == settings
    assert len(first) < 150_000
    assert before.identical(results.model)
    assert max(kind.draw(results).get_size_inches() / [7.2, 11]) <= 1
    element = to_element(first, 7.2, "x", "y")
    assert "#1f2328" not in element
    assert kind.describe(results).endswith(".")
    assert kind.table(results)


@pytest.mark.parametrize("name", LEARNT)
def test_nothing_is_drawn_of_what_was_not_learnt(name):
    for model in (None, xr.Dataset({"start": (("transition", "state"), np.ones((3, 1)))})):
        assert not FIGURES[name].applies(ModelResults("m", model))
        assert FIGURES[name].table(ModelResults("m", model)) == []


def test_the_table_of_methods_holds_every_column():
    """Two columns of one title had one value in the CSV, the second's."""
    _, model = made()
    row = method_rows(model)[0]
    spread = dataclasses.replace(row, imputation_density=-1.0, forecast_density=-2.0)
    head, first = csv.reader(Table("methods", "", METHOD_COLUMNS, [spread]).to_csv().splitlines())
    assert len(set(head)) == len(head)
    found = dict(zip(head, first, strict=True))
    assert found["held-out bound (nat per entry)"] == "-1.0"
    assert found["its standard error (nat per entry)"] == "0.01"
    assert (found["imputation's log-density (nat)"], found["forecast's log-density (nat)"]) == ("-1.0", "-2.0")
    assert method_rows(model)[1].bound_error is None  # in closed form


def test_values_without_observed_neighbours_are_points():
    """A channel observed every second step was an empty panel."""
    _, model = made(channels=2)
    values = model["training_data"].values
    steps = np.arange(len(values))
    values[:, 0] = np.where(steps % 2, np.nan, 1.0)
    values[:, 1] = 1.0
    values[[1, 5, 7], 1] = np.nan  # alone are the first step and the sixth
    expected = [steps[::2].tolist(), [0, 6]]
    axes = FIGURES["regimes"].draw(ModelResults("m", model)).axes
    for own, alone in zip(axes, expected, strict=False):
        (points,) = (line for line in own.lines if line.get_marker() == ".")
        assert points.get_xdata().tolist() == alone
        assert points.get_ydata().tolist() == [1.0] * len(alone)


def test_channels_may_have_the_names_of_other_columns():
    names = ["state_0_probability", "inside_crisis", "time_step"]
    _, model = made(channels=4, names=["c0", *names])
    row = FIGURES["regimes"].table(ModelResults("m", model))[8]
    assert (row["time_step"], row["state_0_probability"], row["inside_crisis"]) == (8, 0.9, True)
    own = [row[f"channel_{name}"] for name in names]
    assert all(value > 50 for value in own)  # the data are walks from 100
    assert _titles(["time_step", "channel_time_step"], {"time_step"}) == [
        "channel_channel_time_step",
        "channel_time_step",
    ]


def test_words_and_tables_hold_the_numbers():
    parts, model = made()
    results = ModelResults("m", model)
    words = FIGURES["learning"].describe(results)
    assert "After 3 epochs the bound is −1.2" in words
    assert "from −2 at the warm start" in words
    assert "it is −1; LDS −1.5." in words
    assert [row["bound_nat_an_entry"] for row in FIGURES["learning"].table(results)] == [*EPOCHS, -1.2, -1.0, -1.5]

    words = FIGURES["regimes"].describe(results)
    assert "'crisis'" in words
    rows = FIGURES["regimes"].table(results)
    assert [row["inside_crisis"] for row in rows] == [5 <= t < 9 for t in range(30)]
    assert rows[3]["step_label"] == "1993"
    np.testing.assert_allclose(rows[3]["c0 (%)"], parts.training.original[0, 3, 0])
    assert rows[0]["state_0_probability"] is None
    assert (rows[8]["state_0_probability"], rows[9]["state_0_probability"]) == (0.9, 0.2)

    # half a standard deviation off, in each channel's own units
    assert f"imputation, in units of each channel's scale: this model {number(0.5)}" in FIGURES["predictions"].describe(
        results
    )
    assert "100 % of the entries lie within two" in FIGURES["predictions"].describe(results)
    rows = FIGURES["predictions"].table(results)
    assert len(rows) == 2 * (4 + 4)
    for row in rows:
        scale = parts.judged.scaling.scale[int(row["channel"][1])]
        assert row["model_mean"] - row["value"] == pytest.approx(0.5 * scale, rel=1e-9)
        assert row["model_standard_deviation"] == pytest.approx(0.5 * scale, rel=1e-9)
        assert np.isnan(row["interpolation_standard_deviation"])
    errors = [row.errors["model"] for row in channel_rows(model)]
    np.testing.assert_allclose(errors, np.tile(0.5 * parts.judged.scaling.scale, 2))
    first, _, last = method_rows(model)
    assert (first.bound, first.imputation, last.bound) == (-1.0, pytest.approx(0.5), None)


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_a_bound_that_is_not_finite_is_no_bound_left_out(bad):
    """It is the model's failure; of interpolation there is none by design."""
    _, model = made()
    model["training_held_out_bound"].values[0] = bad
    model["training_held_out_bound_standard_error"].values[0] = np.nan
    model["training_imputation_log_density"].values[1] = bad
    results = ModelResults("m", model)
    cells = [{column.title: column.cell(row).text for column in METHOD_COLUMNS} for row in method_rows(model)]
    assert [row["held-out bound"] for row in cells] == ["not finite", "−1.5", "–"]
    assert cells[0]["its standard error"] == "–"
    assert [row["imputation's log-density"] for row in cells][1:] == ["not finite", "–"]
    assert "On sequences held out it is not finite; LDS −1.5." in FIGURES["learning"].describe(results)
    assert [row["method"] for row in FIGURES["learning"].table(results)][-2:] == ["model", "lds"]
    assert "not finite" in "".join(text.get_text() for text in FIGURES["learning"].draw(results).axes[1].texts)
    assert render_svg(FIGURES["learning"].draw(results))
    model["training_held_out_bound"].values[1] = bad
    assert render_svg(FIGURES["learning"].draw(results))
    assert FIGURES["learning"].describe(results).endswith("On sequences held out it is not finite; LDS not finite.")


def test_sequences_come_back_as_they_went_in():
    parts, model = made(3, 3)
    learnt = learnt_sequences(ModelResults("m", model))
    assert [len(own.values) for own in learnt] == list(parts.training.lengths)
    assert [len(own.states) for own in learnt] == [length - 1 for length in parts.training.lengths]
    assert [own.intervals for own in learnt] == [[(5, 9, "crisis")], [], []]
    (judged,) = judged_sequences(ModelResults("m", model))
    assert len(judged.values) == parts.judged.lengths[0]
    assert judged.name == "s3"
    assert (judged.role == 2).sum() == 3 * 4


def test_the_section_shows_the_last_of_each_training(tmp_path):
    results = {f"m_{n}": ModelResults(f"m_{n}", made(epochs=n)[1]) for n in (1, 3, 2)}
    page = Page("t", Study(results), Pictures(None, Path(tmp_path)))
    assert last_models(page) == ["m_3"]
    text = str(SECTION.render(page))
    assert text.count("<figure") == 3
    assert "could not be drawn" not in text
    assert "Errors in original units" in text
    assert SECTION.render(Page("t", Study({"a": ModelResults("a")}), Pictures(None, Path(tmp_path)))) is None


def test_models_of_different_plugins_are_no_checkpoints_of_one_training(tmp_path):
    results = {name: ModelResults(name, made()[1]) for name in ("ours", "theirs")}
    theirs = results["theirs"].model
    theirs.attrs["settings"] = theirs.attrs["settings"].replace("svae", "own.py:Model")
    assert last_models(Page("t", Study(results), Pictures(None, Path(tmp_path)))) == ["ours", "theirs"]


def test_a_file_with_all_of_it_is_written_and_read(tmp_path):
    _, model = made(3, 3)
    store.write(model, tmp_path / "model.nc", "model", {"model": "m", "setting": "m"})
    found = load_results([tmp_path / "model.nc"])["m"]
    assert judged_sequences(found)[0].name == "s3"
    assert learnt_sequences(found)[0].labels[:2] == ["1990", "1991"]


def test_an_image_says_the_limits_of_its_colours():
    results = ModelResults("m", made(*CASES["an image"])[1])
    drawn = FIGURES["predictions"].draw(results)
    low, high = np.nanpercentile(judged_sequences(results)[0].values, [1, 99])
    words = " ".join(text.get_text().replace("\n", " ") for text in drawn.findobj(Text))
    assert f"Colours: from {number(low)} to {number(high)}, the truth's 1st to 99th percentile" in words
    assert {image.get_clim() for image in drawn.findobj(AxesImage)} == {(low, high)}
    curves = FIGURES["predictions"].draw(ModelResults("m", made()[1]))
    assert "Colours" not in " ".join(text.get_text() for text in curves.findobj(Text))


def test_what_is_missing_is_empty_in_the_data_of_regimes():
    """Of the values, and of the states of a first step, to which no transition leads."""
    _, model = made(2, 1)
    model["training_data"].values[0, 1] = np.nan
    first, second = to_csv(FIGURES["regimes"].table(ModelResults("m", model))).splitlines()[1:3]
    assert first.split(",")[3:6] == ["", "", ""]
    assert "" not in second.split(",")
    assert "nan" not in first
