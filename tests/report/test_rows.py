"""What the tables and the answer say of results that are not what they should be."""

import math

import pytest

from slds_core.report.rows import GradientRow, _inference_verdict
from slds_core.report.sections.answer import trust


def row(setting, verdict, error=None):
    return GradientRow(setting, verdict, "", error, run_seconds=1.0)


@pytest.mark.parametrize("residual", [math.nan, math.inf])
def test_a_residual_that_is_not_finite_is_no_convergence(residual):
    found = _inference_verdict("converged", "", residual, None, "float64")
    assert found == ("nonfinite", "says 'converged', but one more sweep is not finite")


def test_a_residual_that_was_not_measured():
    assert _inference_verdict("converged", "met", None, None, "float64") == ("converged", "met")


@pytest.mark.parametrize(
    ("rows", "tone", "answer"),
    [
        ([row("a", "failed")], "bad", "None"),
        ([row("w", "approximate"), row("a", "not judged")], "open", "None, but for what is said below"),
        ([row("w", "disputed"), row("a", "not judged")], "open", "Not known: the witness cannot judge"),
        ([row("w", "witness"), row("a", "unresolved", 0.05)], "open", "Not known: the witness is too coarse"),
        ([row("w", "witness"), row("a", "exact", 1e-9)], "good", "a"),
    ],
)
def test_answers(rows, tone, answer):
    found = trust(rows)
    assert (found.tone, found.answer) == (tone, answer)
