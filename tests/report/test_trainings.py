"""One model learnt by several estimators: what is set beside what, with numbers worked out by hand."""

import csv
import json
import math
from itertools import pairwise

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.text import Text

from slds_core.report.figures.canvas import common_start
from slds_core.report.figures.catalogue import TRAININGS
from slds_core.report.load import ModelResults
from slds_core.report.render import write_report
from slds_core.report.sections.contest import ESTIMATORS, RUNS, EstimatorRow, RunRow, _stopped
from slds_core.report.svg import render_svg
from slds_core.report.tables import Table
from slds_core.report.trainings import contests, label, method
from slds_core.study import store

KIND = TRAININGS["estimators"]


def learnt(
    name, *, gradient, final, held_out=math.nan, error=0.1, bounds=(), epochs=4, seed=0, unsolved=0, **parameters
):
    """A model's dataset after ``epochs`` epochs of two steps and one second each, judged at every other epoch."""
    judged = np.full(epochs, np.nan)
    judged[: 2 * len(bounds) : 2] = bounds
    errors = np.full(epochs, np.nan)
    errors[: 2 * len(bounds) : 2] = error  # one of all judgements, or a list
    series = {"cpu_seconds": np.ones(epochs), "seconds": np.full(epochs, 2.0)}
    series |= {"gradient_error": errors, "converged_bound": judged, "effective_states": np.full(epochs, 1.5)}
    series |= {key: np.zeros(epochs) for key in ("fell_back", "unconverged")}
    series |= {"unsolved": np.full(epochs, float(unsolved)), "bound": np.full(epochs, final - 0.01)}
    variables = {f"training_{key}": ("epoch", values) for key, values in series.items()}
    variables |= {"training_final_bound": ((), final), "training_method": ("method", ["hmm", "model"])}
    variables |= {"training_held_out_bound": ("method", [5.0, held_out]), "length": ("sequence", [9, 9, 9, 9])}
    said = {"gradient": gradient, "seed": seed, "epochs": epochs, "batch": 2, "data": "macrodata"} | parameters
    dataset = xr.Dataset(variables)
    dataset.attrs = {"settings": json.dumps({"plugin": "svae", "parameters": said})}
    return name, ModelResults(name, model=dataset)


@pytest.fixture
def study():
    return dict(
        [
            learnt("one_step_0", gradient="one_step", final=-1.2, held_out=-2.0, bounds=(-2.0, -1.6), seed=0),
            learnt(
                "one_step_1", gradient="one_step", final=-1.5, held_out=-2.0, bounds=(-2.0, -1.7), seed=1, unsolved=1
            ),
            learnt("good_0", gradient="fisher_cg", final=-1.0, held_out=-1.9, error=0.0, bounds=(-2.0, -1.2), seed=0),
            learnt("good_0_early", gradient="fisher_cg", final=-1.9, error=0.0, epochs=2, seed=0),
            learnt("good_1", gradient="fisher_cg", final=-1.1, held_out=-1.8, error=0.0, bounds=(-2.0, -1.2), seed=1),
            learnt("warm", gradient="fisher_cg", final=-2.0, epochs=0),
            learnt("other", gradient="fisher_cg", final=-0.5, data="elsewhere"),
        ]
    )


def test_what_differs_in_the_gradient_alone_is_set_side_by_side(study):
    (found,) = contests({name: results for name, results in study.items() if name != "good_0_early"})
    assert {name: [run.seed for run in runs] for name, runs in found.runs.items()} == {
        "good": [0, 1],
        "one_step": [0, 1],
    }
    assert found.reference == "good"  # the most accurate, not the first
    np.testing.assert_allclose(found.differences("one_step", "bound"), [-0.2, -0.4])
    np.testing.assert_allclose(
        found.differences("one_step", "held_out_bound"), [-0.1, -0.2]
    )  # the model's, not the HMM's
    assert [run.unsolved for run in found.runs["one_step"]] == [0, 0.5]  # two steps an epoch, one of them unsolved


def test_the_last_checkpoint_speaks_for_its_training(study):
    study["good_0_early"].model.attrs["settings"] = (
        study["good_0"].model.attrs["settings"].replace('"epochs": 4', '"epochs": 2')
    )
    early = study.pop("good_0_early")
    for order in ({"good_0": early} | {"later_0": study["good_0"]}, {"later_0": study["good_0"]} | {"good_0": early}):
        named = order | {"one_step_0": study["one_step_0"]}
        runs = contests(named)[0].runs
        assert [run.epochs for run in runs["later"]] == [4]


def test_runs_that_differ_in_how_often_they_were_judged_are_one_training(study):
    """The one that was judged more often is shown, whichever comes first."""
    _, often = learnt("good_0", gradient="good", final=-1.0, bounds=(-2.0, -1.2), judge=2)
    _, seldom = learnt("good_seed_0", gradient="good", final=-1.0, bounds=(-2.0,), judge=4)
    for order in ({"good_0": often, "good_seed_0": seldom}, {"good_seed_0": seldom, "good_0": often}):
        (found,) = contests(order | {"one_step_0": study["one_step_0"]})
        assert set(found.runs) == {"good", "one_step"}
        assert [len(run.judged) for run in found.runs["good"]] == [2]


def test_time_to_nine_tenths_is_interpolated(study):
    """Seed 0: from -2.0 to the best, -1.0, the target is -1.1. The best has -1.2 after two seconds and -1.0 after four."""
    found = contests(study)[0]
    assert found.seconds_to_target(found.runs["good"][0]) == pytest.approx(3)
    assert math.isnan(found.seconds_to_target(found.runs["one_step"][0]))
    assert found.runs["good"][0].seconds_to(-2.0) == 0


def test_a_mean_says_of_how_many_runs_it_is():
    """Of three seeds of each, two of the second estimator ended without a finite bound, and one of the first."""
    ends = {"a": (-1.0, -1.2, math.nan), "b": (math.nan, -0.9, -math.inf)}
    study = dict(
        learnt(
            f"{name}_{seed}",
            gradient=name,
            final=final,
            error=math.nan if name == "b" and seed else 0.1,
            bounds=(-2.0,),
            seed=seed,
        )
        for name, finals in ends.items()
        for seed, final in enumerate(finals)
    )
    (found,) = contests(study)
    rows = [EstimatorRow(found, name, runs, 0) for name, runs in found.runs.items()]
    shown = [{column.title: column.cell(row) for column in ESTIMATORS} for row in rows]
    assert [row["bound"].text for row in shown] == ["−1.1 (2 of 3)", "−0.9 (1 of 3)"]
    assert shown[1]["bound"].value == -0.9
    assert shown[1]["difference"].text == "0.3 (0.3 to 0.3) (1 of 3)"
    assert shown[1]["difference"].order == str(shown[1]["difference"].value)
    (exported,) = [
        row
        for row in csv.DictReader(Table("estimators", "", ESTIMATORS, rows).to_csv().splitlines())
        if row["trained by"] == "b"
    ]
    assert exported["bound, runs"] == "1"
    assert float(exported["bound (nat per entry)"]) == -0.9
    assert [float(exported[f"difference{end} (nat per entry)"]) for end in ("", ", least", ", most")] == pytest.approx(
        [0.3] * 3
    )
    assert exported["difference, runs"] == "1"
    assert exported["gradient error"] == "inf"
    assert shown[1]["gradient error"].order == "Infinity"
    assert [row["processor time"].text for row in shown] == ["4", "4"]
    assert [row["held out"].text for row in shown] == ["–", "–"]
    assert [row["gradient error"].text for row in shown] == ["10\xa0%", "∞"]
    words = KIND.describe(study)
    assert "ends at −1.1 (−1.2 to −1) nats per entry after 4 epochs (mean, and range over 2 of 3 seeds)" in words
    assert "b: 0.3 (0.3 to 0.3, 1 of 3 seeds) from that" in words


def test_where_no_run_gained_anything_none_reached_it():
    """The warm start is the best of all: its bound would be the target, and reached by every run at once."""
    study = dict(learnt(f"{name}_0", gradient=name, final=-2.5, bounds=(-2.0, -2.2)) for name in ("a", "b"))
    (found,) = contests(study)
    assert all(math.isnan(found.seconds_to_target(run)) for (run,) in found.runs.values())
    row = EstimatorRow(found, "a", found.runs["a"], 0)
    (column,) = [column for column in ESTIMATORS if column.title == "to nine tenths"]
    assert column.cell(row).text == "– (0 of 1)"
    assert column.cell(row).order == ""
    assert column in Table("estimators", "", ESTIMATORS, [row]).shown.columns
    assert render_svg(KIND.draw(study))


def unjudged(**held_out):
    return dict(learnt(f"t_{name}_0", gradient=name, final=-1.0, **held_out) for name in ("a", "b"))


def words_of(figure):
    return " ".join(text.get_text().replace("\n", " ") for text in figure.findobj(Text))


def test_what_was_not_judged_on_the_way_is_not_said_to_have_failed():
    """``judge`` is 0 by default: there is neither a best bound on the way nor a time, and no empty panel for them."""
    study = unjudged()
    figure = KIND.draw(study)
    assert [axes.get_title("left") for axes in figure.axes] == ["Sequences learnt from"]
    assert "Not judged on the way: set 'judge'." in words_of(figure)
    assert "never got there" not in words_of(figure)
    assert len(KIND.draw(unjudged(held_out=-2.0)).axes) == 2
    (found,) = contests(study)
    rows = [EstimatorRow(found, name, runs, 0) for name, runs in found.runs.items()]
    shown = {column.title for column in Table("estimators", "", ESTIMATORS, rows).shown.columns}
    assert "bound" in shown
    assert not shown & {"best on the way", "difference of the best", "to nine tenths", "gradient error"}
    runs = [RunRow(found, run) for own in found.runs.values() for run in own]
    assert "best on the way" not in {column.title for column in Table("runs", "", RUNS, runs).shown.columns}


def test_of_runs_that_were_judged_in_part_a_cross_is_only_where_one_never_got_there(study):
    """Seed 0 of one step never got there, as does not seed 1; two others were not judged."""
    study |= [learnt("direct_0", gradient="direct", final=-1.0)]
    figure = KIND.draw(study)
    (seconds,) = [axes for axes in figure.axes if "9/10" in axes.get_title("left")]
    crosses = [line.get_ydata()[0] for line in seconds.lines if line.get_marker() == "x"]
    assert [round(place) for place in crosses] == [1, 1]
    assert "Of 2 runs nothing was judged on the way: set 'judge'." in words_of(figure)
    (column,) = [column for column in ESTIMATORS if column.title == "to nine tenths"]
    (found,) = contests(study)
    rows = [EstimatorRow(found, name, runs, 0) for name, runs in found.runs.items()]
    assert [column.cell(row).text for row in rows][1:] == ["– (0 of 2)", "–", "–"]


@pytest.mark.parametrize("start", ["", "river_epochs_8_gradient_"])
def test_titles_of_narrow_strips_do_not_touch(start):
    names = [f"{start}{letter}_name_of_thirty_letters_or_so" for letter in "xy"]
    study = dict(learnt(name, gradient=name, final=-1.0, held_out=-2.0, bounds=(-2.0,)) for name in names)
    figure = KIND.draw(study)
    figure.draw_without_rendering()
    strips = figure.axes[:3]
    titles = [axes._left_title.get_window_extent() for axes in strips]
    assert all(left.x1 < right.x0 for left, right in pairwise(titles))
    assert titles[-1].x1 < figure.bbox.x1
    assert max(title.y1 for title in titles) < figure.bbox.y1
    if start:
        assert [tick.get_text() for tick in strips[0].get_yticklabels()] == [name.removeprefix(start) for name in names]
        assert f"Names begin with {start}." in words_of(figure)


@pytest.mark.parametrize(
    ("names", "start"),
    [
        (["a_b", "a_c"], "a_"),
        (["good", "good_early"], ""),
        (["a_", "a_b"], ""),
        (["a_b"], ""),
        (["x_1", "y_1"], ""),
        (["a_b_c", "a_b_d", "a_c"], "a_"),
    ],
)
def test_what_names_begin_with(names, start):
    assert common_start(names) == start


def test_labels_lose_the_seed_alone():
    assert label("fisher_cg_3", 3) == "fisher_cg"
    assert label("a_epochs_10_seed_3", 3) == "a_epochs_10"
    assert label("unrolled_5", 3) == "unrolled_5"


def test_two_estimators_of_one_label_are_told_apart():
    """``t`` with seed 1 is no run of ``t_1``, which another gradient trained; a name that both could have is neither's."""
    cases = [
        ("t", "one_step", 1),
        ("t_1", "fisher_cg", 1),
        ("t_2", "fisher_cg", 2),
        ("u_1", "bicgstab", 1),
        ("u_2", "bicgstab", 2),
    ]
    study = dict(learnt(name, gradient=gradient, final=-1.0, seed=seed) for name, gradient, seed in cases)
    (found,) = contests(study)
    assert {name: [run.model for run in runs] for name, runs in found.runs.items()} == {
        "t": ["t"],
        "t_1 and 1 more": ["t_1", "t_2"],
        "u": ["u_1", "u_2"],
    }
    stopped = [("t", method({"gradient": "fisher_cg"})), ("u", "of an old configuration")]
    assert [_stopped(found, name, stopped) for name in found.runs] == [0, 1, 1]
    (both,) = contests({name: study[name] for name in ("t", "t_1")})
    assert list(both.runs) == ["t", "t_1"]
    labelled = dict(
        learnt(name, gradient=name, final=-1.0, seed=seed) for name, seed in (("t", 1), ("t_1", 1), ("t_1_1", 1))
    )
    (three,) = contests(labelled)
    assert list(three.runs) == ["t", "t_1", "t_1_1"]


def test_the_figure_says_what_the_rows_say(study):
    assert KIND.applies(study)
    assert isinstance(KIND.draw(study), Figure)
    words = KIND.describe(study)
    assert words.startswith(
        "good, whose gradients are the most accurate of those judged, ends at −1.05 (−1.1 to −1) nats per entry after 4 epochs"
    )
    assert (
        "one_step: −0.3 (−0.4 to −0.2) from that, −0.15 (−0.2 to −0.1) on sequences held out; gradients off by 0.1."
        in words
    )
    assert [row["bound_difference"] for row in KIND.table(study) if row["estimator"] == "one_step"] == pytest.approx(
        [-0.2, -0.4]
    )
    assert not KIND.applies({"other": study["other"]})
    assert KIND.draw({"other": study["other"]}) is None


def test_runs_without_numbers_are_drawn_and_said():
    study = dict(learnt(f"{name}_0", gradient=name, final=math.nan) for name in ("a", "b"))
    assert render_svg(KIND.draw(study))
    assert KIND.describe(study).endswith(".")
    (found,) = contests(study)
    rows = [EstimatorRow(found, name, runs, 0) for name, runs in found.runs.items()]
    assert [column.cell(rows[1]).text for column in ESTIMATORS][3:6] == ["–", "", "–"]
    assert RUNS[3].cell(RunRow(found, found.runs["b"][0])).text == "–"


def test_nothing_is_called_accurate_that_was_not_judged():
    """As by default: no gradient's error is known, and the study's first, which has no run at the lowest seed, is set beside others."""
    own = [("first_1", "one_step", 1), ("second_0", "fisher_cg", 0), ("second_1", "fisher_cg", 1)]
    study = dict(learnt(name, gradient=gradient, final=-1.0, seed=seed) for name, gradient, seed in own)
    words = KIND.describe(study)
    assert words.startswith(
        "first, the first in the study, which others are set beside since the gradients' accuracy was not judged, ends at −1 "
    )
    assert "most accurate" not in words
    study |= [learnt("judged_1", gradient="bicgstab", final=-1.2, bounds=(-2.0,), seed=1)]
    assert KIND.describe(study).startswith(
        "judged, whose gradients are the most accurate of those judged, ends at −1.2 "
    )


def test_an_error_that_is_not_finite_counts_against_its_run():
    runs = [("lucky", [math.nan, 1e-12]), ("sound", [1e-9, 1e-9]), ("unjudged", [])]
    study = dict(
        learnt(f"{name}_0", gradient=name, final=-1.0, error=errors, bounds=(-2.0, -1.5)[: len(errors)])
        for name, errors in runs
    )
    (found,) = contests(study)
    assert list(found.runs) == ["sound", "lucky", "unjudged"]
    assert [found.runs[name][0].error for name in found.runs] == [1e-9, math.inf, pytest.approx(math.nan, nan_ok=True)]
    column = next(column for column in RUNS if column.title == "gradient error")
    assert [column.cell(RunRow(found, run)).text for (run,) in found.runs.values()] == ["1.0×10⁻⁹", "∞", "–"]
    assert "lucky: 0 (0 to 0) from that; its gradients' errors are not finite. unjudged: 0 (0 to 0) from that." in (
        KIND.describe(study)
    )
    assert render_svg(KIND.draw(study))
    alone = {name: results for name, results in study.items() if name != "sound_0"}
    assert "set beside since no gradients' error is finite" in KIND.describe(alone)
    assert render_svg(KIND.draw(alone))


CONFIGURATION = """
models:
  one_step: {plugin: svae, data: macrodata, gradient: one_step, seed: [0, 1]}
  good: {plugin: svae, data: macrodata, gradient: fisher_cg, seed: [0, 1]}
inference: {converged: {plugin: newton_cg}}
objective: {plugin: elbo}
"""


def test_the_page_shows_runs_and_what_stopped_them(study, tmp_path):
    """One of the four trainings stopped: it is counted, and its reason is told."""
    results = tmp_path / "results"
    for name in ("one_step_0", "one_step_1", "good_0"):
        dataset = study[name].model
        said = json.loads(dataset.attrs["settings"])
        attributes = {"model": name, "setting": name, "settings": said, "packages": {}}
        store.write(described(dataset), results / name / "model.nc", "model", attributes)
    log = results / "log" / "good_1" / "fit.log"
    log.parent.mkdir(parents=True)
    log.write_text("slds fit: training stopped: epoch 3, batch 0: the posterior held a NaN\n")
    (tmp_path / "config.yaml").write_text(CONFIGURATION)
    write_report([results], results / "report.html", "", None, configuration=[tmp_path / "config.yaml"])
    page = (results / "report.html").read_text()
    section = page.partition("One model, learnt with several gradients")[2]
    assert section
    estimators = section.partition("Estimators by the models that they train")[2].partition("</table>")[0]
    rows = [row.partition("</tr>")[0] for row in estimators.partition("<tbody>")[2].split("<tr>")[1:]]
    assert [row.partition('scope="row">')[2].partition("<")[0] for row in rows] == ["good", "one_step"]
    assert "and each step&#39;s gradient beside a converged one at the same parameters." in page
    table = section.partition("Trained models by epoch")[2].partition("</table>")[0]
    assert ">−1.2<" in table  # comparable, as in the other tables, and not the −1.21 before the last update
    assert "−1.21" not in table
    assert "−0.2 (−0.2 to −0.2)" in rows[1]  # of seed 0, which both finished
    assert "training stopped: epoch 3, batch 0: the posterior held a NaN" in section
    assert [row.count(">1<") for row in rows] == [2, 0]  # one run, one stopped


def test_the_page_does_not_say_that_gradients_were_judged_where_none_was(tmp_path):
    for name, results in unjudged().items():
        said = json.loads(results.model.attrs["settings"])
        attributes = {"model": name, "setting": name, "settings": said, "packages": {}}
        store.write(described(results.model), tmp_path / name / "model.nc", "model", attributes)
    write_report([tmp_path], tmp_path / "report.html", "", None)
    page = (tmp_path / "report.html").read_text()
    assert "None was judged on the way, neither its bound nor its gradients: set &#39;judge&#39;." in page
    assert "beside a converged one" not in page
    assert "never got there" not in page


def described(dataset: xr.Dataset) -> xr.Dataset:
    variables = {name: store.variable(value.dims, value.values, name) for name, value in dataset.variables.items()}
    return xr.Dataset(variables)
