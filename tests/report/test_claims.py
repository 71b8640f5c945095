"""What is said of published claims, from results made by hand: nothing is judged by itself, joined or left out without a word."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from matplotlib.text import Text
from test_figures_degenerate import comparison, gradient, residual

from slds_core.report.figures.catalogue import CLAIMS, FIGURES
from slds_core.report.load import ModelResults
from slds_core.report.sections.claims import _of_the_bound


def lengths(plugin, errors, *, references=("direct",), name="m", **chosen):
    """Returns a model with a setting of a plugin for each number of sweeps, of the errors given."""
    slopes = {f"{plugin}_{n}": gradient(plugin=plugin, sweeps=n, **chosen) for n in errors}
    return ModelResults(
        name,
        residual={"some": residual((0.5,))},
        gradient=slopes | {"direct": gradient(plugin="direct")},
        comparison=comparison({f"{plugin}_{n}": e for n, e in errors.items()} | {"direct": 0.0}, references),
    )


def one_step(name, errors, judge):
    slopes = {n: gradient(plugin="one_step" if n.startswith("one_step") else "direct") for n in errors}
    return ModelResults(
        name, residual={"some": residual((0.9,))}, gradient=slopes, comparison=comparison(errors, (judge,))
    )


def words_of(figure):
    """Returns all words of a figure, without line breaks."""
    return " ".join(text.get_text().replace("\n", " ") for text in figure.findobj(Text))


def test_one_step_is_not_judged_by_itself():
    kind, itself = CLAIMS["one_step"], {"one_step": 0.0, "direct": 0.3}
    study = {name: one_step(name, itself, "one_step") for name in ("m1", "m2")}
    assert kind.table(study) == []
    assert kind.draw(study) is None
    # another setting of it is judged
    study = {name: one_step(name, itself | {"one_step_at_five": 0.2}, "one_step") for name in ("m1", "m2")}
    assert [(row["setting"], row["relative_error"]) for row in kind.table(study)] == [("one_step_at_five", 0.2)] * 2


@pytest.mark.parametrize(("claim", "plugin"), [("unrolling", "unrolled"), ("neumann", "truncated")])
def test_a_curve_does_not_end_in_its_judge(claim, plugin):
    kind, errors = CLAIMS[claim], {1: 0.5, 10: 0.2, 100: 0.1, 1000: 0.0}
    study = {"m": lengths(plugin, errors, references=(f"{plugin}_1000", "direct"))}
    assert [row["sweeps"] for row in kind.table(study)] == [1, 10, 100]
    assert "not finite" not in kind.describe(study).lower()
    # its memory is as good as any
    if plugin == "unrolled":
        assert [row["sweeps"] for row in CLAIMS["memory"].table(study)] == [1, 10, 100, 1000]
    few = {"m": lengths(plugin, {1: 0.5, 10: 0.2, 100: 0.0}, references=(f"{plugin}_100",))}
    assert not kind.applies(few)
    assert np.isfinite([row["relative_error"] for row in kind.table(study)]).all()


def test_growth_that_does_not_end_is_not_said_to_fall():
    kind = CLAIMS["unrolling"]
    words = kind.describe({"m": lengths("unrolled", {1: 0.1, 3: 0.5, 10: 3.0, 30: 9.0})})
    assert "before it falls" not in words
    assert "It grows, and has not fallen again by the most sweeps, at m (to 9 at 30)." in words
    words = kind.describe({"m": lengths("unrolled", {1: 0.1, 3: 0.5, 10: 3.0, 30: 0.2})})
    assert "It grows before it falls at m (to 3 at 10)." in words
    assert "has not fallen" not in words
    assert "grows" not in kind.describe({"m": lengths("unrolled", {1: 0.5, 3: 0.2, 10: 0.1})})


@pytest.mark.parametrize(("claim", "plugin"), [("unrolling", "unrolled"), ("neumann", "truncated")])
def test_what_is_not_finite_is_named(claim, plugin):
    kind, study = CLAIMS[claim], {"m": lengths(plugin, {1: 0.5, 2: np.nan, 3: 0.2, 10: 0.1, 30: np.inf})}
    assert f"not drawn: m's {plugin}_2 (not a number) and m's {plugin}_30 (infinite)." in kind.describe(study)
    assert "Not drawn: 2 without a finite error" in words_of(kind.draw(study))
    errors = [row["relative_error"] for row in kind.table(study)]
    np.testing.assert_equal(errors, [0.5, np.nan, 0.2, 0.1, np.inf])
    # of a model without a curve too, beside one that has one
    study["n"] = lengths(plugin, {1: 0.5, 3: np.inf, 10: np.inf}, name="n")
    assert f"n's {plugin}_10 (infinite)" in kind.describe(study)
    assert [row["model"] for row in kind.table(study)] == ["m"] * 5 + ["n"] * 3
    assert not kind.applies({"n": study["n"]})
    assert kind.draw({"n": study["n"]}) is None


def test_a_curve_is_of_one_inference_and_one_set_of_parameters():
    kind, counts = CLAIMS["neumann"], (1, 10, 100)
    chosen = {f"{at}_{n}": gradient(plugin="truncated", at=at, sweeps=n) for at in ("five", "newton") for n in counts}
    errors = {name: (0.5 if name.startswith("five") else 0.1) / k for k, name in enumerate(chosen, 1)}
    rates = {"five": residual((0.5,)), "newton": residual((0.9,))}
    study = {
        "m": ModelResults(
            "m", residual=rates, gradient=chosen, comparison=comparison(errors | {"direct": 0.0}),
        )
    }  # fmt: skip
    assert [(row["at"], row["sweeps"]) for row in kind.table(study)] == [(a, n) for a in rates for n in counts]
    assert [row["contraction_rate"] for row in kind.table(study)] == [0.5] * 3 + [0.9] * 3
    words = kind.describe(study)
    assert "m at five falls by" in words
    assert "m at newton falls by" in words
    assert "m at newton" in words_of(kind.draw(study))
    # too few of each are no curve, though together they are enough
    few = {name: found for name, found in chosen.items() if not name.endswith("_100")}
    assert not kind.applies({"m": ModelResults("m", gradient=few, comparison=comparison(errors | {"direct": 0.0}))})


def test_curves_of_one_model_are_told_apart_by_their_parameters():
    chosen = {
        f"u{n}_{d}": gradient(plugin="unrolled", at=None, sweeps=n, damping=d, seed=1)
        for d in (0.5, 1)
        for n in (1, 3, 9)
    }
    errors = {name: 1 / k for k, name in enumerate(chosen, 1)} | {"direct": 0.0}
    study = {"m": ModelResults("m", gradient=chosen, comparison=comparison(errors))}
    words = CLAIMS["unrolling"].describe(study)
    assert "m with damping 0.5 from 1 to 0.333; m with damping 1 from 0.25 to 0.167." in words
    assert len(CLAIMS["memory"].table(study)) == 6


def test_estimators_without_a_finite_error_are_counted_and_named():
    kind, errors = FIGURES["gradient_errors"], {"direct": 0.0, "a": np.nan, "b": 1e-9, "c": np.inf}
    words = kind.describe(ModelResults("m", comparison=comparison(errors)))
    assert "1 of 3 estimators are within 10⁻⁶ (b)." in words
    assert "Without a finite error: a (not a number) and c (infinite). Of the others, the worst is b" in words
    words = kind.describe(ModelResults("m", comparison=comparison({"direct": 0.0, "b": 1e-9})))
    assert "1 of 1 estimators are within 10⁻⁶ (b). The worst is b" in words
    assert "finite" not in words
    found = comparison({"direct": 0.0, "b": 1e-9})
    found["relative_l2"].loc[{"estimator": "b", "group": "initial"}] = np.inf
    assert "The largest finite error of a single group is" in kind.describe(ModelResults("m", comparison=found))


def test_a_certificate_of_an_infinite_error_does_not_hold():
    kind, bounds = FIGURES["certificates"], {"a": 0.1, "b": 0.1, "c": 0.1}
    errors = {"direct": 0.0, "a": np.inf, "b": 0.01, "c": np.nan}
    results = ModelResults("m", comparison=comparison(errors, certificates=bounds))
    words = kind.describe(results)
    assert words.startswith("1 of 2 certificates hold. Broken: a (error infinite, bound 0.1).")
    assert "Of unknown error, and so not counted: c." in words
    assert {row["estimator"]: row["holds"] for row in kind.table(results)} == {"a": False, "b": True, "c": None}
    assert "broken, of infinite error: a; 1 of unknown error" in words_of(kind.draw(results))
    # alone, it is no reason to show nothing
    results = ModelResults("m", comparison=comparison({"direct": 0.0, "a": np.inf}, certificates=bounds))
    assert kind.applies(results)
    assert kind.describe(results) == "0 of 1 certificates hold. Broken: a (error infinite, bound 0.1)."
    assert "no estimator with a finite one has a finite error" in words_of(kind.draw(results))


@pytest.mark.parametrize("plugin", ["elbo", "linear"])
def test_of_gradients_of_the_bound_it_is_said_that_they_test_no_claim(plugin):
    """One step gives these at any contraction rate: theory.md, section "Envelope theorem"."""
    dataset = xr.Dataset(attrs={"settings": json.dumps({"objective": {"plugin": plugin}})})
    page = SimpleNamespace(results={"m": ModelResults("m", gradient={"one": dataset})})
    assert _of_the_bound(page) == (plugin == "elbo")


def test_a_certificate_is_not_broken_by_the_references_own_error():
    """As the verdict has it: finite differences resolve 1e-9 here, and certificates are smaller."""
    kind = FIGURES["certificates"]
    found = comparison({"direct": 0.0, "a": 5e-10, "b": 1e-8}, certificates={"a": 1e-12, "b": 1e-12})
    found["resolution"][:] = 1e-9
    results = ModelResults("m", comparison=found)
    words = kind.describe(results)
    assert words.startswith("1 of 2 certificates hold. Broken: b (error 10⁻⁸, bound 10⁻¹²).")
    assert "The error of a is no larger than that of direct itself, up to 10⁻⁹." in words
    assert {row["estimator"]: row["holds"] for row in kind.table(results)} == {"a": True, "b": False}
    assert "errors up to 10⁻⁹ are its own" in words_of(kind.draw(results))


@pytest.mark.parametrize(
    ("largest", "meaning"),
    [
        (0.0, "not above 0: one sweep forgets where it started"),
        (-1e-17, "not above 0: one sweep forgets where it started"),
        (0.5, "every 3.3 sweeps gain a decimal digit"),
        (0.1874, "every 1.4 sweeps gain a decimal digit"),
        (0.9, "every 22 sweeps gain a decimal digit"),
        (0.01, "each sweep gains 2.0 decimal digits"),
        (1.0, "at least 1: sweeps would leave this state"),
        (np.inf, None),
    ],
)
def test_what_the_largest_eigenvalue_means(largest, meaning):
    words = FIGURES["spectrum"].describe(ModelResults("m", residual={"some": residual((largest, -1.0))}))
    assert (meaning or "No setting has a finite eigenvalue.") in words
    assert ("no strict maximum" in words) == (largest == 1)


def test_models_that_one_step_cannot_be_drawn_of_are_named():
    kind = CLAIMS["one_step"]
    study = {name: one_step(name, {"direct": 0.0, "one_step": 0.2}, "direct") for name in ("m1", "m2", "m4")}
    assert "Not drawn" not in kind.describe(study)
    study["m3"] = one_step("m3", {"direct": 0.0, "one_step": np.inf}, "direct")
    study["m4"].residual["some"] = residual((1.0,))
    words = kind.describe(study)
    assert "2 of 2 models are below the line." in words
    assert words.endswith("m4 (error 0.2, ρ = 1.0000) and m3 (error infinite, ρ = 0.9000).")


def test_a_caption_says_which_models_are_above_the_line_and_how_many_it_leaves_out():
    """Of eight models the second and the last are above 0.9/0.1: not those whose numbers are given."""
    kind = CLAIMS["one_step"]
    errors = [0.2, 20.0, 0.3, 0.4, 0.5, 0.6, 0.7, 30.0]
    study = {f"m{k}": one_step(f"m{k}", {"direct": 0.0, "one_step": e}, "direct") for k, e in enumerate(errors)}
    words = kind.describe(study)
    assert "6 of 8 models are below the line. Above it: m1 and m7. Errors, in the study's order: m0 0.2 at" in words
    assert "m5 0.6 at ρ = 0.9000; and 2 more models, in the figure's data." in words
    assert "more" not in kind.describe({name: study[name] for name in ("m0", "m2")})


@pytest.mark.parametrize(
    ("claim", "plugin"), [("unrolling", "unrolled"), ("neumann", "truncated"), ("memory", "unrolled")]
)
def test_a_caption_of_many_curves_says_how_many_it_leaves_out(claim, plugin):
    study = {f"m{k}": lengths(plugin, {1: 0.5, 3: 0.2, 10: 0.1}, name=f"m{k}") for k in range(7)}
    assert "; and 1 more curve, in the figure's data." in CLAIMS[claim].describe(study)


def test_a_legend_that_finds_no_room_lies_beside_the_panel():
    """Twelve models of long names in one place."""
    names = [f"a_model_of_a_name_as_grids_give_it_{k}" for k in range(12)]
    study = {name: one_step(name, {"direct": 0.0, "one_step": 0.2}, "direct") for name in names}
    figure = CLAIMS["one_step"].draw(study)
    (axes,) = figure.axes
    figure.draw_without_rendering()
    legend = axes.get_legend().get_window_extent()
    assert legend.x0 > axes.get_window_extent().x1
    assert legend.x1 < figure.bbox.x1
