"""What is said of published claims, from results made by hand: nothing is judged by itself, joined or left out without a word."""

import numpy as np
import pytest
from test_figures_degenerate import comparison, gradient, residual

from slds_core.report.figures.catalogue import CLAIMS
from slds_core.report.load import ModelResults


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
