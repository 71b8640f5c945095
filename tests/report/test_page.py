"""The page without a browser: answers, absences, foreign names, broken parts, valid HTML."""

import csv
import io
import json
import re
import shutil
from dataclasses import replace
from urllib.parse import unquote

import html5lib
import pytest
import yaml
from markupsafe import Markup, escape
from small_study import CONFIGURATION, MODEL, NASTY

from slds_core.fixed_point import progress
from slds_core.fixed_point import residual as residual_module
from slds_core.gradients.prediction import conjugate_gradients
from slds_core.plugins.gradients import FisherCG
from slds_core.report import rows
from slds_core.report.figures.catalogue import FIGURES
from slds_core.report.formats import duration, plain, relative, scientific
from slds_core.report.page import Page, Section
from slds_core.report.pictures import Pictures
from slds_core.report.render import render_page, write_report
from slds_core.report.rows import ConvergenceRow, GradientRow, convergence_rows, gradient_rows
from slds_core.report.sections import answer, installed
from slds_core.report.sections.cost import rule_costs
from slds_core.report.study import Job, _absence, _files, gather
from slds_core.study import store
from slds_core.study.errors import StudyError
from slds_core.study.progress_lines import after_epoch, resumed
from slds_core.study.stages.build_model import build_model
from slds_core.study.stages.infer import infer
from slds_core.study.stages.residual import residual

ORDER = ["answer", "convergence", "posterior", "gradients", "cost", "details", "provenance"]


def test_sections_come_in_their_order(written):
    names = re.findall(r'<section id="section-(\w+)"', written[1])
    assert [name for name in names if name in ORDER] == ORDER
    assert "could not be" not in written[1]


def test_the_page_is_valid_html(written):
    html5lib.HTMLParser(strict=True).parse(written[1])
    identifiers = re.findall(r'\bid="([^"]*)"', written[1])
    assert len(identifiers) == len(set(identifiers))


def test_nothing_comes_from_the_network(written):
    addresses = re.findall(r'(?:src|href)="([^"]*)"', written[1])
    assert not [a for a in addresses if not a.startswith(("#", "data:", "figures/"))]
    assert "@import" not in written[1]
    assert "url(http" not in written[1]


def test_predicted_stand_beside_measured_products(folder):
    results = gather([folder / "results"]).results["tiny"]
    rows = {row.setting: row for row in gradient_rows(results)}
    rate = float(results.gradient["fisher_cg"]["certificate_rate"])
    assert rows["fisher_cg"].predicted_products == pytest.approx(conjugate_gradients(rate, 1e-10))
    assert (
        0 < rows["fisher_cg"].products <= rows["fisher_cg"].predicted_products + 4
    )  # what checks the result, and the start
    assert rows["unrolled"].predicted_products is None


def test_names_are_escaped(written):
    assert NASTY not in written[1]
    assert str(escape(NASTY)) in written[1]


def test_files_of_every_figure_lie_beside_the_page(written):
    figures = written[0].parent / "figures" / "tiny"
    for name in ("convergence", "posterior", "gradient_errors"):
        for kind in ("svg", "pdf", "csv"):
            assert (figures / f"{name}.{kind}").stat().st_size > 0


def test_what_is_not_there_is_told_with_its_log(written):
    text = written[1]
    assert "slds gradient: the machine ran out of memory" in text
    assert "a line of the log before it" in text
    assert "it has not run" in text
    assert "3 results absent" in written[2]


def test_absences_without_a_configuration_come_from_logs_and_other_models(folder):
    absent = {result: absence.state for result, absence in gather([folder / "results"]).absent}
    assert absent["tiny", "gradient", "richardson"] == "failed"
    assert (NASTY, "inference", "newton") in absent


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        (after_epoch(6815, 40000, -1.1481, 122.0), "interrupted after epoch 6815 of 40000; run again to go on"),
        (resumed(30), "interrupted after epoch 30; run again to go on"),
        (after_epoch(2, 9, 1e-3, 0.0, "lds"), "interrupted after epoch 2 of 9 of the baseline lds; run again to go on"),
        (resumed(10, "lds"), "interrupted after epoch 10 of the baseline lds; run again to go on"),
    ],
)
def test_a_training_that_was_interrupted_has_not_failed(tmp_path, last, reason):
    log = tmp_path / "log" / "learnt" / "fit.log"
    log.parent.mkdir(parents=True)
    log.write_text(f"epoch 1 of 40000: bound -2.0000 nats per entry, 9 s left\n{last}\n")
    absence = _absence(("learnt", "model", "learnt"), None, tmp_path / "log")
    assert (absence.state, absence.reason) == ("missing", reason)


@pytest.mark.parametrize("last", ["slds fit: training stopped: epoch 3, batch 0: a NaN", "epoch: unknown key"])
def test_what_stopped_a_training_is_its_reason(tmp_path, last):
    log = tmp_path / "log" / "learnt" / "fit.log"
    log.parent.mkdir(parents=True)
    log.write_text(f"epoch 1 of 40000: bound -2.0000 nats per entry, 9 s left\n{last}\n")
    absence = _absence(("learnt", "model", "learnt"), None, tmp_path / "log")
    assert (absence.state, absence.reason) == ("failed", last)


def test_what_has_not_run_is_told_with_the_failure_that_it_waited_for(folder, tmp_path):
    """A log says that the model, or an inference, failed; nothing else of them is there."""
    (tmp_path / "config.yaml").write_text((folder / "config.yaml").read_text())
    log = tmp_path / "results" / "log" / "tiny" / "inference" / "newton.log"
    log.parent.mkdir(parents=True)
    log.write_text("slds infer: no more memory\n")

    def reasons():
        study = gather([tmp_path / "results"], configuration=[tmp_path / "config.yaml"])
        return {place: absence.reason for place, absence in study.results["tiny"].absent.items()}

    found = reasons()
    waited = "it has not run, since its inference 'newton' failed: slds infer: no more memory"
    assert found["gradient", "fisher_cg"] == found["residual", "newton"] == waited
    assert found["gradient", "unrolled"] == found["residual", "five"] == "it has not run"
    (tmp_path / "results" / "log" / "tiny" / "model.log").write_text("slds build-model: no such file\n")
    found = reasons()
    waited = "it has not run, since its model failed: slds build-model: no such file"
    assert found["inference", "five"] == found["gradient", "unrolled"] == waited


@pytest.fixture
def uncompared(folder, tmp_path):
    """The study without its comparison, and a configuration of it that a test may change."""
    shutil.copytree(folder / "results" / "tiny", tmp_path / "results" / "tiny")
    (tmp_path / "results" / "tiny" / "comparison.nc").unlink()
    return tmp_path


def gathered(folder, references):
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIGURATION | {"references": references}))
    return gather([folder / "results"], configuration=[folder / "config.yaml"]).results["tiny"]


def test_gradients_that_are_there_are_compared_where_others_are_not(uncompared):
    found = gathered(uncompared, ["richardson", "fisher_cg"])
    assert set(found.comparison["estimator"].values) == {"unrolled", "fisher_cg"}
    assert list(found.comparison["reference"].values) == ["fisher_cg"]
    assert "compares those that are" in found.absent["comparison", "comparison"].reason


def test_no_judge_is_chosen_in_place_of_the_studys_own(uncompared):
    assert gathered(uncompared, ["richardson"]).comparison is None


def test_a_log_of_what_the_study_no_longer_asks_for_is_not_missed(folder):
    log = folder / "results" / "log" / "tiny" / "gradient" / "given_up.log"
    log.write_text("slds gradient: failed\n")
    try:
        study = gather([folder / "results"], configuration=[folder / "config.yaml"])
        assert ("gradient", "given_up") not in study.results["tiny"].absent
    finally:
        log.unlink()


def test_a_study_of_which_nothing_is_there_is_told_by_its_configuration(folder, tmp_path):
    write_report([], tmp_path / "report.html", "", None, configuration=[folder / "config.yaml"])
    assert "it has not run" in (tmp_path / "report.html").read_text()
    with pytest.raises(StudyError, match="no files to report on"):
        gather([])


def test_a_result_of_another_state_of_its_model_is_a_failed_one(folder, tmp_path):
    inference = tmp_path / "tiny" / "inference" / "newton.nc"
    dataset = store.read(folder / "results" / "tiny" / "inference" / "newton.nc", "inference")
    store.write(dataset.assign_attrs(made_from='{"model": "0123"}'), inference, "inference", {})
    study = gather([folder / "results" / "tiny" / "model.nc", inference])
    absence = study.results["tiny"].absent["inference", "newton"]
    assert absence.state == "failed"
    assert absence.reason == f"{inference}: was made from another state of model; run it again"
    assert gather([inference]).results["tiny"].inference.keys() == {"newton"}  # nothing to compare with


def test_what_follows_from_a_failed_result_is_a_failed_one_too(folder, tmp_path):
    """The model was built anew: gradients name it, but their comparison and the residuals name no more than what they were made from."""
    shutil.copytree(folder / "results" / "tiny", tmp_path / "results" / "tiny")
    tiny = tmp_path / "results" / "tiny"
    other = {"plugin": "random_slds", "parameters": MODEL["parameters"] | {"seed": 5}}
    build_model("tiny", other, "float64", tiny / "model.nc")
    measured = tiny / "residual" / "newton.nc"
    dataset = store.read(measured, "residual")
    digest = store.read(tiny / "inference" / "newton.nc", "inference").attrs["contents_hash"]
    store.write(dataset.assign_attrs(made_from=json.dumps({"inference/newton": digest})), measured, "residual", {})
    found = gather([tmp_path / "results"]).results["tiny"]
    assert found.model is not None
    assert (found.comparison, found.gradient, found.inference, found.residual) == (None, {}, {}, {})
    reason = found.absent["comparison", "comparison"].reason
    assert "was made from gradient/fisher_cg, gradient/unrolled, which cannot be used" in reason
    assert "was made from inference/newton, which" in found.absent["residual", "newton"].reason
    assert found.absent["gradient", "unrolled"].reason.endswith("another state of model; run it again")


def test_a_damaged_file_is_a_failed_result(folder, tmp_path):
    broken = tmp_path / "tiny" / "inference" / "broken.nc"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"no NetCDF")
    study = gather([folder / "results" / "tiny" / "model.nc", broken])
    assert study.results["tiny"].absent["inference", "broken"].state == "failed"
    assert convergence_rows(study.results["tiny"])[0].verdict == "failed"
    with pytest.raises(StudyError, match="damaged or foreign"):
        gather([broken])


def test_a_broken_section_says_so_and_stops_nothing(folder, tmp_path):
    def fail(page):
        raise KeyError("<b>lost</b>")

    sections = {
        "bad": Section("Bad", 1, fail),
        "gone": "nowhere:SECTION cannot be imported",
        "none": Section("None", 2, lambda page: None),
        "text": Section("Text", 3, lambda page: "a < b"),
        "good": Section("Good", 4, lambda page: Markup("<p>fine</p>")),
    }
    text = render_page(Page("t", gather([folder / "results"]), Pictures(None, tmp_path / "r.html")), sections)
    html5lib.HTMLParser(strict=True).parse(text)
    assert "&lt;b&gt;lost&lt;/b&gt;" in text
    assert "nowhere:SECTION cannot be imported" in text
    assert "section-none" not in text
    assert "a &lt; b" in text
    assert "<p>fine</p>" in text


def test_a_broken_figure_says_so_in_its_place(folder, tmp_path, monkeypatch):
    def fail(results):
        raise ZeroDivisionError("nothing to divide by")

    monkeypatch.setitem(FIGURES, "convergence", replace(FIGURES["convergence"], draw=fail))
    text = render_page(Page("t", gather([folder / "results"]), Pictures(None, tmp_path / "r.html")), installed())
    assert "ZeroDivisionError: nothing to divide by" in text
    assert "This section could not be written" not in text


def test_one_file_alone_makes_a_page(folder, tmp_path):
    for file in ("tiny/model.nc", "tiny/inference/newton.nc", "tiny/gradient/fisher_cg.nc"):
        write_report([folder / "results" / file], tmp_path / "r.html", "One", None)
        text = (tmp_path / "r.html").read_text()
        assert "could not be" not in text
        html5lib.HTMLParser(strict=True).parse(text)


def test_the_files_that_a_model_was_made_from_are_told(folder, tmp_path):
    dataset = store.read(folder / "results" / "tiny" / "model.nc", "model")
    path, digest = tmp_path / "model.nc", "f61c" * 16
    store.write(dataset.assign_attrs(input_files=json.dumps({"river.csv": digest})), path, "model", {})
    write_report([path], tmp_path / "report.html", "", None)
    facts, _, reproduce = (tmp_path / "report.html").read_text().partition("<h3>To reproduce</h3>")
    assert f"river.csv, SHA-256 {digest}" in facts
    assert f"the input file\n<code>river.csv</code> (SHA-256 <code>{digest}</code>):" in reproduce


def test_files_come_in_the_order_of_the_numbers_in_their_names(tmp_path):
    names = ["s_01", "s_1", "sweeps_50", "sweeps_150", *(f"tolerance_{n}" for n in ("1e-06", "0.001", "0.01", "0.1"))]
    folder = tmp_path / "m" / "inference"
    folder.mkdir(parents=True)
    for name in reversed(names):
        (folder / f"{name}.nc").touch()
    assert [path.stem for path in _files(tmp_path)] == names


def row(name, verdict, error=None, seconds: float | None = 1.0):
    return GradientRow(name, verdict, "why", error, products=3, run_seconds=seconds, mebibytes=1.0)


def test_the_answer_names_the_cheapest_right_gradient_and_refuses_large_errors():
    found = answer.trust(
        [
            row("slow", "exact", 1e-12, 9.0),
            row("fast", "exact", 1e-9, 0.1),
            row("faster", "approximate", 0.01, 0.01),
            row("one_step", "approximate", 0.4, 0.01),
            row("tolerant", "within certificate", 0.002, 20.0),
            row("loose", "within certificate", 0.03, 0.01),
            row("vacuous", "within certificate", 0.3, 0.01),
            row("liar", "wrong", 0.02),
            row("direct", "witness"),
            row("later", "missing", seconds=None),
        ]
    )
    assert found.answer == "fast"
    assert [r.setting for r in found.trusted] == ["fast", "slow", "tolerant"]
    assert [r.setting for r in found.care] == ["faster", "loose"]
    assert [r.setting for r in found.refused] == ["one_step", "vacuous", "liar"]
    assert {r.tone for r in found.refused} == {"bad"}  # in tables as well
    assert [r.setting for r in found.absent] == ["later"]
    assert answer.trust([row("a", "failed", float("nan"))]).tone == "bad"
    assert answer.trust([row("a", "not compared")]).answer == "Not known: nothing is compared yet"
    assert answer.trust([]).answer == "Not asked by this study"


def test_tables_take_their_numbers_away_with_all_digits(written):
    uri = re.search(r'download="all-gradients.csv" href="data:text/csv;charset=utf-8,([^"]*)"', written[1])
    assert uri is not None
    rows = list(csv.DictReader(io.StringIO(unquote(uri[1]))))
    assert {r["estimator"] for r in rows} == set(CONFIGURATION["gradients"])
    assert len(next(r for r in rows if r["estimator"] == "fisher_cg")["run"]) > 5


def test_the_timeline_is_left_out_where_the_files_times_say_nothing():
    jobs = [Job("infer", "m", str(k), 2.0, 1.0, 100.0, ended=100.0 + 3 * k) for k in range(4)]
    (cost,) = rule_costs(jobs)
    assert (cost.jobs, cost.seconds, len(cost.bars)) == (4, 8.0, 4)
    assert all(bar.left >= 0 and bar.left + bar.width <= 1000.1 for bar in cost.bars)
    assert not rule_costs([replace(job, ended=100.0) for job in jobs])[0].bars


def test_numbers_read_well():
    assert scientific(1.234e-13) == "1.2×10⁻¹³"
    assert scientific(None) == "–"
    assert relative(0.4476) == "45\u00a0%"
    assert relative(7.68) == "770\u00a0%"
    assert plain(True) == "yes"
    assert duration(0.0099) == "9.9\u00a0ms"
    assert duration(750.0) == "12\u00a0min"


def test_the_configuration_is_in_the_page(written):
    assert str(escape(CONFIGURATION["title"])) in written[1]
    assert "slds run --config config.yaml" in written[1]


def convergence_row(folder, tmp_path, **parameters):
    """The report's row of an inference by sweeps."""
    model, inference = folder / "results" / "tiny" / "model.nc", tmp_path / "tiny" / "inference" / "here.nc"
    measured = tmp_path / "tiny" / "residual" / "here.nc"
    infer(model, "here", {"plugin": "coordinate_ascent", "parameters": parameters}, inference)
    residual(model, inference, "here", measured)
    [row] = convergence_rows(gather([model, inference, measured]).results["tiny"])
    return row


@pytest.mark.parametrize("criterion", ["residual", "elbo"])
def test_a_tolerance_that_is_met_is_not_yet_a_fixed_point(folder, tmp_path, criterion):
    row = convergence_row(folder, tmp_path, max_sweeps=50, tolerance=1e3, criterion=criterion)
    assert (row.verdict, row.tone) == ("stopped early", "open")
    assert re.fullmatch(
        r"says 'converged', but one more sweep moves the state by \d\.\de[+-]\d\d; up to 1e-08 passes for a fixed point",
        row.reason,
    )
    assert answer.convergence([row]).answer == "No, with no setting"


def test_a_limit_may_be_reached_at_the_fixed_point(folder, tmp_path):
    row = convergence_row(folder, tmp_path, max_sweeps=1000, tolerance=0)
    assert (row.verdict, row.tone) == ("at the fixed point", "good")
    assert answer.convergence([row]).answer == "Yes, with the one setting"


def test_settings_without_a_result_count_where_no_plugin_skipped_them():
    there = [ConvergenceRow(name, "converged", sweeps=9, residual_max=1e-14) for name in ("a", "b")]
    lost, skipped = (ConvergenceRow(word, word) for word in ("failed", "skipped"))
    assert answer.convergence([*there, skipped]).answer == "Yes, with all 2 settings"
    assert answer.convergence([*there, lost, skipped]).answer == "Yes, with 2 of 3 settings"


def test_what_is_called_a_fixed_point_meets_its_measure(folder, tmp_path):
    row = convergence_row(folder, tmp_path, max_sweeps=1000, tolerance=1e-9)
    assert row.verdict == "converged"
    assert row.residual_max < 1e-9


def test_the_report_draws_the_line_where_the_mathematics_does():
    """It imports no JAX, so it has these numbers of its own."""
    assert (rows._ROUNDING_UNITS, rows._FLOOR_UNITS) == (residual_module._ROUNDING_UNITS, progress._FLOOR_UNITS)
    assert FisherCG().forward_tolerance == rows._TARGET
