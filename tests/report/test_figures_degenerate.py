"""Figures of results at the edge: little, nothing, no numbers, very many. The results are made here, without JAX."""

import json
from itertools import combinations, pairwise

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.text import Text

from slds_core.report.figures.canvas import shortened
from slds_core.report.figures.catalogue import CLAIMS, FIGURES
from slds_core.report.figures.posterior import most_likely_states
from slds_core.report.load import ModelResults
from slds_core.report.svg import render_svg, to_element

GROUPS = ("dynamics_linear", "dynamics_cross", "initial", "all")


def inference(sweeps=12, steps=6, states=3, latent=2, *, fill=None, tolerance=1e-8, plugin="coordinate_ascent"):
    change = 0.5 ** np.arange(1.0, sweeps + 1)
    mean = np.sin(np.arange(steps))[:, None] * np.ones(latent)
    marginals = np.full((max(steps - 1, 0), states), 1 / states)
    data = {
        "trace_residual_max": ("iteration", change),
        "trace_sweeps": ("iteration", np.arange(1.0, sweeps + 1)),
        "trace_seconds": ("iteration", np.arange(1.0, sweeps + 1) / 100),
        "trace_elbo": ("iteration", -change - 3),
        "posterior_marginals": (("transition", "state"), marginals),
        "posterior_gaussian_mean": (("time", "latent"), mean),
        "posterior_gaussian_second_moment": (
            ("time", "latent", "latent_next"),
            mean[:, :, None] * mean[:, None] + np.eye(latent),
        ),
        "sweeps": ((), sweeps),
        "run_seconds": ("repeat", np.array([0.2, 0.3])),
        "compile_seconds": ((), 1.5),
        "compilation_cached": ((), 0),
        "temporary_bytes": ((), 2**20),
    }
    attributes = {"status": "converged", "status_message": "met", "precision": "float64", "setting": "some"}
    dataset = xr.Dataset(data, attrs=attributes)
    if fill is not None:
        dataset = dataset.map(lambda v: v * 0 + fill if v.dtype.kind == "f" else v, keep_attrs=True)
    parameters = {} if tolerance is None else {"tolerance": tolerance}
    dataset.attrs["settings"] = json.dumps({"plugin": plugin, "parameters": parameters})
    return dataset


def residual(values=(0.5, 0.25), error=0.01):
    values = np.array(values)
    return xr.Dataset(
        {
            "eigenvalue": ("ritz", values),
            "eigenvalue_error": ("ritz", np.full(values.shape, error)),
            "residual_max": ((), 1e-12),
            "residual_mean": ((), 1e-13),
            "measured_rate": ((), 0.5),
        }
    )


def gradient(products=10, seconds=0.1, size=2**20, plugin="fisher_cg", at="some", **parameters):
    dataset = xr.Dataset(
        {
            "products": ((), products),
            "run_seconds": ("repeat", np.array([seconds])),
            "compile_seconds": ((), 1.0),
            "compilation_cached": ((), 1),
            "temporary_bytes": ((), size),
        }
    )
    dataset.attrs = {
        "status": "solved",
        "settings": json.dumps({"plugin": plugin, "parameters": parameters, "at": at}),
    }
    return dataset


def comparison(errors, references=("direct",), certificates=None, groups=GROUPS):
    """Returns a comparison: the errors of each estimator against every reference, in all groups."""
    names = list(errors)
    table = np.array([[[errors[n]] * len(groups)] * len(references) for n in names], dtype=float)
    bounds = [(certificates or {}).get(n, np.nan) for n in names]
    return xr.Dataset(
        {
            "relative_l2": (("estimator", "reference", "group"), table),
            "certificate": ("estimator", np.array(bounds, dtype=float)),
            "verdict": ("estimator", np.array(["exact"] * len(names), dtype=object)),
            "resolution": (("reference", "group"), np.full((len(references), len(groups)), np.nan)),
        },
        coords={"estimator": names, "reference": list(references), "group": list(groups)},
    )


def many(count=200, estimator="estimator", setting="setting", direct="direct"):
    errors = {f"{estimator}_{n}": 10.0 ** -(n % 15) for n in range(count)} | {direct: 0.0}
    return ModelResults(
        "many",
        inference={f"{setting}_{n}": inference(sweeps=40 + n) for n in range(count)},
        residual={f"{setting}_{n}": residual((0.9 - 0.001 * n, 0.3)) for n in range(count)},
        gradient={n: gradient(k + 1, 0.01 * (k + 1), 1000 * (k + 1)) for k, n in enumerate(errors)},
        comparison=comparison(errors, (direct, f"{estimator}_0"), {n: 10 * e for n, e in errors.items()}),
    )


def ragged():
    dataset = inference(steps=11, states=2).rename(time="packed_time", transition="packed_transition")
    dataset = dataset.isel(packed_transition=slice(0, 8))
    return dataset.assign(length=("sequence", [4, 1, 6]))


NAN = float("nan")
RESULTS = {
    "nothing": ModelResults("m"),
    "declined": ModelResults("m", skipped={("inference", "a"): "too large"}),
    "one setting": ModelResults("m", inference={"a": inference()}),
    "one sweep": ModelResults("m", inference={"a": inference(1)}, residual={"a": residual()}),
    "one step": ModelResults("m", inference={"a": inference(steps=1)}),
    "two steps": ModelResults("m", inference={"a": inference(steps=2)}),
    "one state": ModelResults("m", inference={"a": inference(states=1, latent=1)}),
    "many dimensions": ModelResults("m", inference={"a": inference(states=30, latent=12)}),
    "no tolerance": ModelResults("m", inference={"a": inference(tolerance=None)}, residual={"a": residual((1.5,))}),
    "all NaN": ModelResults("m", inference={"a": inference(fill=NAN)}, residual={"a": residual((NAN, NAN), NAN)}),
    "all zero": ModelResults("m", inference={"a": inference(fill=0.0)}, residual={"a": residual((0.0,), 0.0)}),
    "infinite": ModelResults("m", inference={"a": inference(fill=np.inf)}, residual={"a": residual((np.inf,))}),
    "no trace": ModelResults("m", inference={"a": inference(0)}),
    "no spectrum": ModelResults("m", inference={"a": inference()}, residual={"a": residual(())}),
    "no SLDS": ModelResults("m", inference={"a": inference().drop_vars(["posterior_gaussian_mean"])}),
    "ragged": ModelResults("m", inference={"a": ragged()}),
    "gradients alone": ModelResults("m", gradient={"a": gradient(), "b": gradient(0, 0.0, -1)}),
    "reference alone": ModelResults("m", gradient={"direct": gradient()}, comparison=comparison({"direct": 0.0})),
    "no gradient files": ModelResults("m", comparison=comparison({"direct": 0.0, "a": 0.1}, certificates={"a": 1.0})),
    "zero errors": ModelResults(
        "m",
        gradient={"a": gradient()},
        comparison=comparison({"direct": 0.0, "a": 0.0}, ("direct", "a"), {"a": 0.0}),
    ),
    "NaN errors": ModelResults(
        "m",
        gradient={"a": gradient(seconds=NAN)},
        comparison=comparison({"direct": NAN, "a": NAN}, ("direct", "a"), {"a": NAN}),
    ),
    "infinite errors": ModelResults(
        "m", gradient={"a": gradient()}, comparison=comparison({"direct": 0.0, "a": np.inf}, certificates={"a": np.inf})
    ),
    "declined comparison": ModelResults("m", comparison=xr.Dataset(attrs={"status": "declined"})),
    "odd names": ModelResults("m $x$ & <b>", inference={"a_$b^{c": inference(), "<&>": inference(5)}),
    "very many": many(),
}
for _dataset in RESULTS["no SLDS"].inference.values():
    for _name in _dataset.data_vars:
        _dataset[_name].attrs = {"long_name": str(_name), "units": "1"}


@pytest.mark.parametrize("kind", FIGURES.values(), ids=FIGURES)
@pytest.mark.parametrize("case", RESULTS)
def test_never_fails_and_says_something(case, kind):
    results = RESULTS[case]
    assert isinstance(kind.table(results), list)
    if not kind.applies(results):
        return
    figure = kind.draw(results)
    assert isinstance(figure, Figure)
    width, height = figure.get_size_inches()
    assert width <= 7.2
    assert height <= 11, "longer than a page"
    assert len(to_element(render_svg(figure), width, "x", "y")) < 350_000
    assert kind.describe(results).strip().endswith(".")


@pytest.mark.parametrize("count", [3, 30])
@pytest.mark.parametrize("kind", FIGURES.values(), ids=FIGURES)
def test_long_names_stay_within_the_figure(kind, count):
    """Grids name settings after all their values; a name may have a hundred characters."""
    results = many(
        count, *(f"{word}_converged_tolerance_1e-06_max_products_".ljust(95, "x") for word in "es"), "d" * 97
    )
    if not kind.applies(results):
        return
    figure = kind.draw(results)
    figure.draw_without_rendering()
    whole = figure.bbox.padded(2)
    # numbers at ticks beyond the axes are not drawn
    words = [text for text in figure.findobj(Text) if text.get_visible() and len(text.get_text()) > 10]
    out = {text.get_text() for text in words if not _within(Text.get_window_extent(text), whole)}
    assert not out


def _within(box, whole):
    return whole.x0 <= box.x0 and box.x1 <= whole.x1 and whole.y0 <= box.y0 and box.y1 <= whole.y1


def test_shortened_names_stay_apart():
    names = [f"fisher_cg_converged_tolerance_{n}_and_then_{k}" for n in range(20) for k in range(20)]
    short = shortened(names, 20)
    assert list(short) == names
    assert len(set(short.values())) == len(names)
    assert shortened(["a" * 36, "b" * 37]) == {"a" * 36: "a" * 36, "b" * 37: "b" * 17 + "…" + "b" * 18}


@pytest.mark.parametrize("kind", CLAIMS.values(), ids=CLAIMS)
@pytest.mark.parametrize("case", RESULTS)
def test_claims_never_fail(case, kind):
    assert not kind.applies({"m": RESULTS[case]})
    assert kind.draw({"m": RESULTS[case]}) is None


def test_claims_of_many_models():
    sweeps = (1, 10, 100)
    errors = {"direct": 0.0, "one": 0.3} | {f"u{n}": 1 / n**3 for n in sweeps} | {f"t{n}": 0.0 for n in sweeps}
    slopes = {"one": gradient(plugin="one_step"), "direct": gradient(plugin="direct")}
    slopes |= {f"u{n}": gradient(size=n * 1000, plugin="unrolled", sweeps=n) for n in sweeps}
    slopes |= {f"t{n}": gradient(plugin="truncated", sweeps=n) for n in sweeps}
    study = {
        f"model_{n}": ModelResults(
            f"model_{n}", residual={"some": residual((0.5 + n / 50,))}, gradient=slopes, comparison=comparison(errors)
        )
        for n in range(20)
    }
    for kind in CLAIMS.values():
        assert kind.applies(study)
        render_svg(kind.draw(study))
        assert kind.describe(study).strip().endswith(".")
        assert len(kind.table(study)) in (20, 60)


def test_a_note_where_there_are_no_numbers():
    for name in ("convergence", "spectrum"):
        assert "no setting" in render_svg(FIGURES[name].draw(RESULTS["all NaN"])).lower()
    assert "no finite" in render_svg(FIGURES["work"].draw(RESULTS["NaN errors"]))


def test_what_is_left_out_is_said():
    results = RESULTS["very many"]
    for name, words in {
        "convergence": "grey: 60 of",
        "spectrum": "194 more spectra",
        "gradient_errors": "160 estimators",
        "work": "others, in the table",
        "certificates": "more in grey",
        "cost": "cheaper ones",
        "posterior": "",
    }.items():
        assert words in render_svg(FIGURES[name].draw(results)), name
    assert len(FIGURES["work"].table(results)) == 200


def test_without_potentials_the_most_probable_state_of_each_transition():
    dataset = inference(steps=4, states=2)
    dataset["posterior_marginals"].values[:] = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]
    assert most_likely_states(None, dataset).tolist() == [0, 1, 0]
    dataset["posterior_marginals"].values[1] = NAN
    assert most_likely_states(None, dataset).tolist() == [0, -1, 0]


def test_the_caption_of_convergence_says_what_the_table_says():
    """A setting that used up its sweeps and got there all the same had passed for not converged."""
    limit = inference()
    limit.attrs["status"] = "sweep_limit"
    far = residual()
    far["residual_max"] = 1e-3
    results = ModelResults("m", inference={"there": limit, "away": limit}, residual={"there": residual(), "away": far})
    words = FIGURES["convergence"].describe(results)
    assert "1 of 2 settings reached the fixed point, there with" in words
    assert "Not there: away (sweep limit, " in words


def test_an_infinite_certificate_holds_nothing():
    errors = {"direct": 0.0, "a": 0.05, "b": 1e-3}
    results = ModelResults("m", comparison=comparison(errors, certificates={"a": np.inf, "b": 1e-2}))
    assert {row["estimator"]: row["holds"] for row in FIGURES["certificates"].table(results)}["a"] is None
    assert "1 of 1 certificates hold" in FIGURES["certificates"].describe(results)


@pytest.mark.parametrize("count", [1, 6])
@pytest.mark.parametrize("largest", [0.02, 0.3, 0.99])
def test_the_legend_of_spectra_lies_on_no_eigenvalue(largest, count):
    """Nor on the axis' name above it, nor on the note below it."""
    names = {f"inference_with_a_long_name_{k}": residual((largest * 0.9**k, largest / 9)) for k in range(count)}
    figure = FIGURES["spectrum"].draw(ModelResults("m", residual=names))
    figure.draw_without_rendering()
    (axes,) = figure.axes
    legend = axes.get_legend().get_window_extent()
    assert legend.y1 <= axes.xaxis.label.get_window_extent().y0 + 1
    assert legend.y0 >= figure.texts[0].get_window_extent().y1
    assert legend.x1 <= figure.bbox.x1


def extents(texts):
    """Returns where words are, without the lines that lead from labels to points."""
    return {text.get_text(): Text.get_window_extent(text) for text in texts if text.get_text()}


def overlapping(boxes):
    return [(a, b) for a, b in combinations(boxes, 2) if boxes[a].overlaps(boxes[b])]


@pytest.mark.parametrize(("count", "length", "shown"), [(3, 5, True), (14, 30, True), (14, 95, True), (40, 95, False)])
def test_numbers_of_a_heat_map_stay_in_their_cells(count, length, shown):
    """Long names left columns that were narrower than their numbers."""
    groups = [f"dynamics_{k}" for k in range(count - 1)] + ["all"]
    errors = {f"estimator_{k}_".ljust(length, "x") + f"_{k}": 3e-12 for k in range(9)} | {"direct": 0.0}
    figure = FIGURES["gradient_errors"].draw(ModelResults("m", comparison=comparison(errors, groups=groups)))
    figure.draw_without_rendering()
    (axes,) = figure.axes
    numbers = [text for text in axes.texts if "e−" in text.get_text()]
    assert len(numbers) == (9 * count if shown else 0)
    cell = axes.get_window_extent().width / count
    for text in numbers:
        assert Text.get_window_extent(text).width < cell - 2
    names = [Text.get_window_extent(text) for text in axes.get_yticklabels()]
    assert all(figure.bbox.x0 <= box.x0 for box in names)
    assert ("(CSV)" in " ".join(text.get_text() for text in figure.texts)) == (not shown)


def test_estimators_left_out_of_a_heat_map_are_counted():
    errors = {f"e{k}": 0.1 for k in range(41)} | {"direct": 0.0}
    figure = FIGURES["gradient_errors"].draw(ModelResults("m", comparison=comparison(errors)))
    assert figure.texts[-1].get_text() == "1 estimator with a smaller error is left out here; the table has it."


@pytest.mark.parametrize("name", ["a", "an_estimator_of_a_long_name"])
@pytest.mark.parametrize("error", [1e-16, 1e-13, 1e-9, 1e-4])
def test_labels_of_certificates_keep_clear_of_its_words(name, error):
    errors = {"direct": 0.0, name: error, "b": 1e-16, "c": 1.0}
    bounds = {name: 1e-16, "b": 1e-16, "c": 10.0}
    figure = FIGURES["certificates"].draw(ModelResults("m", comparison=comparison(errors, certificates=bounds)))
    figure.draw_without_rendering()
    (axes,) = figure.axes
    words = extents(axes.texts)
    assert not overlapping(words)
    covered = words["bound < error: broken"]
    assert not any(covered.contains(*p) for p in axes.transData.transform([(error, 1e-16), (1e-16, 1e-16), (1, 10)]))


@pytest.mark.parametrize("rate", [0.2, 0.4, 0.6, 0.8])
def test_labels_of_one_step_keep_clear_of_its_words(rate):
    study = {
        name: ModelResults(
            name,
            residual={"some": residual((own,))},
            gradient={"one": gradient(plugin="one_step"), "direct": gradient(plugin="direct")},
            comparison=comparison({"direct": 0.0, "one": error}),
        )
        for name, own, error in (("reihe_0", rate, 3e-16), ("reihe_20", 0.3, 2e-15), ("last", 0.89, 1e-16))
    }
    figure = CLAIMS["one_step"].draw(study)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    words = extents(axes.texts)
    assert not overlapping(words)
    covered = words["shaded: error below ρ/(1−ρ)"]
    marks = [(rate / (1 - rate), 3e-16), (0.3 / 0.7, 2e-15), (0.89 / 0.11, 1e-16)]
    assert not any(covered.contains(*point) for point in axes.transData.transform(marks))


@pytest.mark.parametrize("claim", ["neumann", "unrolling", "memory"])
def test_the_legend_of_curves_lies_on_no_other_words_or_points(claim):
    plugin = "truncated" if claim == "neumann" else "unrolled"
    names = [
        "tiny",
        "seqs",
        *(f"a_model_{k}_with_quite_a_long_name_of_some_sixty_letters_in_all_yes" for k in range(9)),
    ]
    sweeps, study = (1, 2, 4), {}
    for k, name in enumerate(names):
        slopes = {f"s{n}": gradient(plugin=plugin, sweeps=n, size=2000 * n + k) for n in sweeps}
        errors = {f"s{n}": 10.0 ** -(n + k / 20) for n in sweeps} | {"direct": 0.0}
        slopes["direct"] = gradient(plugin="direct")
        study[name] = ModelResults(name, residual={"some": residual()}, gradient=slopes, comparison=comparison(errors))
    figure = CLAIMS[claim].draw(study)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    legend = axes.get_legend().get_window_extent()
    assert not overlapping(extents(axes.texts))
    assert legend.y1 <= axes.xaxis.label.get_window_extent().y0
    assert all(legend.y0 >= text.get_window_extent().y1 for text in figure.texts)
    assert legend.x1 <= figure.bbox.x1


@pytest.mark.parametrize("count", [3, 8, 20])
@pytest.mark.parametrize("name", ["s{}", "inference_setting_{}_of_a_name_that_is_much_too_long_for_any_panel"])
def test_the_legend_of_convergence_lies_on_no_curve(name, count):
    results = ModelResults("m", inference={name.format(k): inference(sweeps=k + 2) for k in range(count)})
    figure = FIGURES["convergence"].draw(results)
    figure.draw_without_rendering()
    legends = [axes.get_legend().get_window_extent() for axes in figure.axes if axes.get_legend()]
    assert legends or count == 3 or len(name) < 5
    for legend in legends:
        assert legend.y0 >= figure.texts[0].get_window_extent().y1
        assert legend.x1 <= figure.bbox.x1
        for axes in figure.axes:
            assert legend.y1 <= axes.xaxis.label.get_window_extent().y0


def test_the_front_strikes_through_no_label():
    errors = {"direct": 0.0, "one": 0.1, "tr_2": 0.012, "tr_4": 1e-3, "u": 1e-16, "v": 0.9}
    slopes = {
        name: gradient(products, products / 1e3, products * 2**16)
        for name, products in (("one", 1), ("tr_2", 2), ("tr_4", 4), ("u", 20), ("v", 5), ("direct", 9))
    }
    figure = FIGURES["work"].draw(ModelResults("m", gradient=slopes, comparison=comparison(errors)))
    figure.draw_without_rendering()
    assert "one" in extents(figure.axes[0].texts)
    for axes in figure.axes:
        front = max(axes.lines, key=lambda line: len(line.get_xdata()))
        corners = front.get_transform().transform_path(front.get_path()).vertices
        path = np.concatenate([np.linspace(a, b, 200) for a, b in pairwise(corners)])
        for box in extents(axes.texts).values():
            assert not any(box.contains(*point) for point in path)
            assert box.y0 > axes.get_window_extent().y0
            assert box.x0 > axes.get_window_extent().x0


def test_sweeps_are_predicted_from_the_most_converged_state():
    """The first setting stopped far from the fixed point, where λ is another."""
    far, near = residual((0.7858,)), residual((0.7297,))
    far["residual_max"] = 1e-2
    settings = {"Early": inference(20), "Newton": inference(20, plugin="newton_cg")}
    results = ModelResults("m", inference=settings, residual={"Early": far, "Newton": near})
    kind = FIGURES["convergence"]
    assert "The spectrum at Newton, the most converged, predicts that a sweep leaves λ = 0.7297" in kind.describe(
        results
    )
    note = kind.draw(results).texts[0].get_text().replace("\n", " ")
    assert note.startswith("Dashed: predicted from λ = 0.7297 at Newton, the most converged;")
    rows = [row["predicted_residual_max"] for row in kind.table(results) if row["setting"] == "Early"]
    assert rows[12] / rows[11] == pytest.approx(0.7297)


@pytest.mark.parametrize(
    ("count", "note", "caption"),
    [
        (3, "Bars: bounds on the errors.", "0.6000"),
        (4, "Bars: bounds on the errors.", "The other one is in the figure's data."),
        (7, "1 more spectrum is in the figure's data (CSV).", "The other 4 are in the figure's data."),
        (8, "2 more spectra are in the figure's data (CSV).", "The other 5 are in the figure's data."),
    ],
)
def test_spectra_left_out_are_counted(count, note, caption):
    results = ModelResults("m", residual={f"s{k}": residual((0.6 + k / 100, 0.1)) for k in range(count)})
    figure = FIGURES["spectrum"].draw(results)
    assert figure.texts[0].get_text().endswith(note)
    assert caption in FIGURES["spectrum"].describe(results)


def test_a_gap_of_zero_does_not_break_its_line():
    """The bound is best a step before the last, which rounding put below it."""
    some = inference(4)
    some["trace_elbo"].values[:] = [-4.0, -3.5, -3.0, -3.0 - 1e-15]
    figure = FIGURES["convergence"].draw(ModelResults("m", inference={"some": some}))
    for axes in figure.axes[2:]:
        line = next(line for line in axes.lines if len(line.get_xdata()) == 4)
        heights = line.get_ydata()
        assert np.isfinite(heights).all()
        assert axes.get_ylim()[0] < heights[2] < 1e-13
        assert line.get_markevery() == [3]
    assert "zeros: at the lower end" in figure.texts[0].get_text()
