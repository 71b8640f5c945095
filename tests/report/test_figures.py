"""The figures of a tiny study made by the stages: words, data and picture agree with the files; nothing leaks."""

import csv
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from scipy.special import logsumexp
from typer.testing import CliRunner

from slds_core.cli.application import app
from slds_core.report import figures
from slds_core.report.export import FORMATS, write_figure
from slds_core.report.figures.canvas import STYLE, number, power, rate
from slds_core.report.figures.catalogue import CLAIMS, FIGURES
from slds_core.report.figures.compared import pareto
from slds_core.report.figures.labels import Label, label_points
from slds_core.report.figures.posterior import _unary_potentials, most_likely_states
from slds_core.report.load import ModelResults, load_results
from slds_core.report.svg import render_svg, to_element
from slds_core.study.errors import StudyError
from slds_core.study.stages.build_model import build_model
from slds_core.study.stages.compare import compare
from slds_core.study.stages.gradient import gradient
from slds_core.study.stages.infer import infer
from slds_core.study.stages.residual import residual

MODEL = {"time": 12, "latent": 2, "states": 2, "missing_start": 4, "missing_length": 3}
INFERENCE = {
    "sweeps": ("coordinate_ascent", {"max_sweeps": 200, "tolerance": 1e-10}),
}
GRADIENTS = {
    "fisher_cg": ("fisher_cg", {}),
    "one_step": ("one_step", {}),
    "differences": ("finite_difference", {"count": 2, "max_sweeps": 200}),
}
OBJECTIVE = {"plugin": "linear", "parameters": {}}
SECTIONS = {"convergence", "posterior", "gradients", "cost", "claims", "learnt"}
AUDIT = [name for name, kind in FIGURES.items() if kind.section != "learnt"]  # the others: test_learnt.py


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    model = folder / "model.nc"
    build_model("tiny", {"plugin": "random_slds", "parameters": MODEL}, "float64", model)
    for name, (plugin, parameters) in INFERENCE.items():
        infer(model, name, {"plugin": plugin, "parameters": parameters}, folder / f"inference/{name}.nc")
    inference = folder / "inference" / "sweeps.nc"
    residual(model, inference, "sweeps", folder / "residual/sweeps.nc")
    files = []
    for name, (plugin, parameters) in GRADIENTS.items():
        files.append(folder / f"gradient/{name}.nc")
        gradient(model, inference, name, {"plugin": plugin, "parameters": parameters}, OBJECTIVE, files[-1])
    compare(files, ["fisher_cg", "differences"], folder / "comparison.nc")
    return folder


@pytest.fixture(scope="module")
def results(folder) -> ModelResults:
    return load_results(sorted(folder.rglob("*.nc")))["tiny"]


@pytest.fixture(scope="module")
def study(results) -> dict[str, ModelResults]:
    """Two models, for the claims: the same numbers under two names."""
    return {name: replace(results, name=name) for name in ("tiny", "other")}


def test_the_catalogue_is_whole():
    assert list(FIGURES) == [n for n in FIGURES if getattr(figures, n) is FIGURES[n].draw]
    assert {kind.section for kind in (FIGURES | CLAIMS).values()} == SECTIONS
    assert not set(FIGURES) & set(CLAIMS)


@pytest.mark.parametrize("name", AUDIT)
def test_each_figure_is_drawn_and_pure(name, results):
    kind = FIGURES[name]
    assert kind.applies(results)
    before = {n: d.copy(deep=True) for n, d in results.inference.items()}
    first, second = kind.draw(results), kind.draw(results)
    assert isinstance(first, Figure)
    document = render_svg(first)
    assert document == render_svg(second)
    assert "system-ui" in document
    assert "<dc:date" not in document
    assert len(document) < 150_000
    for setting, dataset in before.items():
        assert dataset.identical(results.inference[setting])


@pytest.mark.parametrize("name", AUDIT)
def test_nothing_leaks(name, results):
    before = dict(matplotlib.rcParams)
    usual = render_svg(FIGURES[name].draw(results))
    assert dict(matplotlib.rcParams) == before
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "lines.linewidth": 9, "xtick.color": "red"}):
        assert render_svg(FIGURES[name].draw(results)) == usual


@pytest.mark.parametrize("name", AUDIT)
def test_in_a_page(name, results):
    figure = FIGURES[name].draw(results)
    element = to_element(render_svg(figure), figure.get_size_inches()[0], "place-name", "what it shows")
    assert element.startswith("<svg ")
    assert 'role="img" aria-label="what it shows"' in element
    assert "currentColor" in element
    assert "#1f2328" not in element
    assert "font-family" not in element
    assert all(part.startswith("place-name-") for part in _between(element, ' id="', '"'))
    assert {*_between(element, "url(#", ")"), *_between(element, 'href="#', '"')} <= {*_between(element, ' id="', '"')}


def _between(text: str, start: str, end: str) -> list[str]:
    return [piece.split(end, 1)[0] for piece in text.split(start)[1:]]


def test_each_says_units_on_its_axes(results):
    for name in ("convergence", "spectrum", "work", "certificates", "witnesses", "cost"):
        labels = [text for axes in FIGURES[name].draw(results).axes for text in (axes.get_xlabel(), axes.get_ylabel())]
        assert any("(1)" in text or "(s" in text or "(MiB)" in text for text in labels), name


def test_words_hold_the_numbers(results):
    inference, away, comparison = results.inference["sweeps"], results.residual["sweeps"], results.comparison
    errors = comparison["relative_l2"].sel(reference="fisher_cg", group="all")
    words = {name: FIGURES[name].describe(results) for name in AUDIT}
    assert number(float(inference["trace_residual_max"][-1])) in words["convergence"]
    assert number(int(inference["sweeps"])) in words["convergence"]
    assert rate(float(away["eigenvalue"][0])) in words["convergence"]
    assert rate(float(away["eigenvalue"][0])) in words["spectrum"]
    assert "12 time steps" in words["posterior"]
    assert "3 of 12 steps are without observation" in words["posterior"]
    assert number(float(errors.sel(estimator="one_step"))) in words["gradient_errors"]
    assert number(float(errors.sel(estimator="one_step"))) in words["work"]
    assert number(float(comparison["certificate"].sel(estimator="one_step"))) in words["certificates"]
    against = float(comparison["relative_l2"].sel(estimator="fisher_cg", reference="differences", group="all"))
    assert number(against) in words["witnesses"]
    slowest = max(float(np.median(d["run_seconds"])) for d in results.gradient.values())
    assert number(slowest) in words["cost"]


def test_convergence_data(results):
    rows = [row for row in FIGURES["convergence"].table(results) if row["setting"] == "sweeps"]
    dataset = results.inference["sweeps"]
    for column, variable in (
        ("residual_max", "trace_residual_max"),
        ("sweeps_and_products", "trace_sweeps"),
        ("run_time_s", "trace_seconds"),
    ):
        np.testing.assert_array_equal([row[column] for row in rows], dataset[variable])
    best = max(float(d["trace_elbo"].max()) for d in results.inference.values())
    np.testing.assert_array_equal([row["elbo_gap_nat"] for row in rows], best - dataset["trace_elbo"].values)
    predicted = np.array([row["predicted_residual_max"] for row in rows])
    assert np.isnan(predicted[:10]).all()
    assert predicted[10] == rows[10]["residual_max"]
    np.testing.assert_allclose(predicted[12] / predicted[11], float(results.residual["sweeps"]["eigenvalue"][0]))


def test_spectrum_data(results):
    rows = FIGURES["spectrum"].table(results)
    np.testing.assert_array_equal([r["eigenvalue"] for r in rows], results.residual["sweeps"]["eigenvalue"])
    np.testing.assert_array_equal([r["error_bound"] for r in rows], results.residual["sweeps"]["eigenvalue_error"])


def test_posterior_data(results):
    rows, dataset = FIGURES["posterior"].table(results), results.inference["sweeps"]
    assert [r["time_step"] for r in rows if not r["observed"]] == [4, 5, 6]
    np.testing.assert_array_equal([r["latent_1_mean"] for r in rows], dataset["posterior_gaussian_mean"][:, 1])
    np.testing.assert_array_equal(
        [r["state_0_probability"] for r in rows[:-1]], dataset["posterior_marginals"].values[:, 0]
    )
    assert rows[-1]["most_likely_state"] is None


def test_the_most_likely_sequence_is_of_the_right_chain(results):
    """Forward and backward sums over the same potentials give the file's marginals; the best of all sequences is found."""
    dataset, model = results.inference["sweeps"], results.model
    unary, transition = _unary_potentials(model, dataset), model["discrete_transition"].values
    forward, backward = [model["discrete_initial"].values + unary[0]], [np.zeros(2)]
    for row in unary[1:]:
        forward.append(logsumexp(forward[-1][:, None] + transition, axis=0) + row)
    for row in unary[:0:-1]:
        backward.append(logsumexp(transition + (row + backward[-1]), axis=1))
    joint = np.array(forward) + np.array(backward[::-1])
    marginals = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    np.testing.assert_allclose(marginals, dataset["posterior_marginals"], atol=1e-10)

    def score(path):
        steps = unary[np.arange(len(path)), path].sum() + transition[path[:-1], path[1:]].sum()
        return model["discrete_initial"].values[path[0]] + steps

    every = np.array(np.meshgrid(*[[0, 1]] * len(unary))).reshape(len(unary), -1).T
    best = every[np.argmax([score(path) for path in every])]
    assert most_likely_states(model, dataset).tolist() == best.tolist()


def test_comparison_data(results):
    comparison = results.comparison
    for row in FIGURES["gradient_errors"].table(results):
        chosen = {key: row[key] for key in ("estimator", "reference", "group")}
        assert row["relative_l2"] == float(comparison["relative_l2"].sel(chosen))
    for row in FIGURES["work"].table(results):
        slope = results.gradient[row["estimator"]]
        assert row["products"] == int(slope["products"])
        assert row["run_time_s"] == float(np.median(slope["run_seconds"]))
        assert row["temporary_memory_MiB"] == float(slope["temporary_bytes"]) / 2**20
    for row in FIGURES["certificates"].table(results):
        np.testing.assert_equal(
            row["certified_relative_error"], float(comparison["certificate"].sel(estimator=row["estimator"]))
        )
    for row in FIGURES["witnesses"].table(results):
        chosen = {"estimator": row["witness"], "reference": row["against"], "group": row["group"]}
        assert row["relative_l2"] == float(comparison["relative_l2"].sel(chosen))
        known = float(comparison["resolution"].sel(reference=row["against"], group=row["group"]))
        np.testing.assert_equal(row["resolution_of_against"], known)


def test_cost_data(results):
    rows = {(row["kind"], row["setting"]): row for row in FIGURES["cost"].table(results)}
    assert set(rows) == {("inference", n) for n in INFERENCE} | {("gradient", n) for n in GRADIENTS}
    row, dataset = rows["gradient", "one_step"], results.gradient["one_step"]
    assert row["compile_time_s"] == float(dataset["compile_seconds"])
    assert row["run_time_slowest_s"] == float(dataset["run_seconds"].max())


def test_claims(study):
    kind = CLAIMS["one_step"]
    assert kind.applies(study)
    assert not kind.applies({"tiny": study["tiny"]})
    row = kind.table(study)[0]
    comparison = study["tiny"].comparison
    error = float(comparison["relative_l2"].sel(estimator="one_step", reference="fisher_cg", group="all"))
    assert row["relative_error"] == error
    assert row["contraction_rate"] == float(study["tiny"].residual["sweeps"]["eigenvalue"][0])
    assert number(error) in kind.describe(study)
    assert render_svg(kind.draw(study)) == render_svg(kind.draw(study))
    assert not any(CLAIMS[name].applies(study) for name in ("neumann", "unrolling", "memory"))


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_figure_as_a_file(suffix, folder, results, tmp_path):
    output = tmp_path / "new" / f"work.{suffix}"
    assert write_figure("work", [folder], output) == FIGURES["work"].describe(results)
    content = output.read_bytes()
    starts = {"pdf": b"%PDF", "svg": b"<?xml", "png": b"\x89PNG", "csv": b"estimator,reference,"}
    assert content.startswith(starts[suffix])
    write_figure("work", [folder], output)
    assert output.read_bytes() == content
    assert [p.name for p in output.parent.iterdir()] == [output.name]
    if suffix == "csv":
        rows = list(csv.DictReader(content.decode().splitlines()))
        assert [float(r["relative_error"]) for r in rows] == [
            r["relative_error"] for r in FIGURES["work"].table(results)
        ]


def test_errors_of_export(folder, tmp_path):
    def fails(words: str, name="work", files=(folder,), output="x.pdf", model=None):
        with pytest.raises(StudyError, match=words):
            write_figure(name, list(files), tmp_path / output, model)

    fails("did you mean 'work'", name="wrok")
    fails(r"x\.jpg: expected a name that ends in \.pdf, \.svg, \.png or \.csv", output="x.jpg")
    fails("needs a comparison file", files=[folder / "model.nc"])
    fails("'one_step' needs two models", name="one_step")
    fails("no file of a model 'large'", model="large")
    fails("no NetCDF file in this folder", files=[tmp_path])
    assert not list(tmp_path.iterdir())


def test_the_command(folder, results, tmp_path):
    output = tmp_path / "spectrum.svg"
    done = CliRunner().invoke(app, ["figure", "spectrum", str(folder), "-o", str(output)])
    assert done.exit_code == 0, done.output
    assert done.output.strip() == FIGURES["spectrum"].describe(results)
    assert output.read_text(encoding="utf-8") == render_svg(FIGURES["spectrum"].draw(results))


def test_numbers_as_text():
    assert [number(v) for v in (0, 87.0, 3.54e-12, -2e-9, 1e-13, 0.94532, 123456.0, np.inf, np.nan)] == [
        "0", "87", "3.5×10⁻¹²", "−2.0×10⁻⁹", "10⁻¹³", "0.945", "1.2×10⁵", "infinite", "not a number",
    ]  # fmt: skip
    assert [power(v) for v in (1e-8, 0.01, 1, 1000, 1e4)] == ["10⁻⁸", "0.01", "1", "1000", "10⁴"]
    assert [rate(v) for v in (0.9453, 1.0, 1.0000471, 0.99995)] == ["0.9453", "1.0000", "1 + 4.7×10⁻⁵", "1 − 5.0×10⁻⁵"]


def test_the_front_of_the_cheap_and_good():
    assert pareto([1, 2, 3, 3, np.nan], [3, 1, 2, 1, 0]) == [True, True, False, False, False]
    assert pareto([1, 1], [2, 2]) == [True, True]


def test_labels_do_not_overlap():
    with matplotlib.style.context(["default", str(STYLE)]):
        figure = Figure(figsize=(4, 3))
        axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
        axes.set(xlim=(0, 1), ylim=(0, 1))
        points = np.random.default_rng(0).uniform(0.3, 0.6, (25, 2))
        left = label_points(axes, [Label(x, y, f"setting {n}") for n, (x, y) in enumerate(points)])
        figure.draw_without_rendering()
        boxes = [Text.get_window_extent(text) for text in axes.texts]  # without the line that leads there
    assert len(boxes) + len(left) == 25
    assert left, "no crowd"
    assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[:n])


def test_labels_keep_clear_of_words_lines_and_axes():
    with matplotlib.style.context(["default", str(STYLE)]):
        figure = Figure(figsize=(4, 3))
        axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
        axes.set(xlim=(0, 1), ylim=(0, 1))
        words = axes.text(0.97, 0.03, "words in the panel", transform=axes.transAxes, ha="right", va="bottom")
        line = np.array([0.0, 0.5, 0.5, 1.0]), np.array([0.9, 0.9, 0.5, 0.5])
        places = [(0.5, 0.02), (0.01, 0.01), (0.0, 0.9), (0.5, 0.5), (0.5, 0.9)]
        left = label_points(axes, [Label(x, y, f"WMWM {n}") for n, (x, y) in enumerate(places)], clear=[line])
        figure.draw_without_rendering()
        boxes = [Text.get_window_extent(text) for text in axes.texts if text is not words]
        inside, taken = axes.get_window_extent(), Text.get_window_extent(words)
        path = axes.transData.transform(np.column_stack([np.interp(np.linspace(0, 3, 999), range(4), c) for c in line]))
    assert not left
    for box in boxes:
        assert not box.overlaps(taken)
        assert box.x0 > inside.x0
        assert box.y0 > inside.y0
        assert not any(box.contains(*point) for point in path)
