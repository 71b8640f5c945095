"""The plan: what its estimates rest on."""

import pytest

from slds_core.study.configuration import read_configuration
from slds_core.study.plan import describe

BUILT = {"plugin": "random_slds", "time": 12}
LEARNT = {"plugin": "svae", "data": "macrodata"}  # its sizes are those of its data


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ({"a": BUILT}, "for the largest model, of"),
        ({"a": BUILT, "b": LEARNT}, "for the largest model of known size (1 of unknown size is left out), of"),
        ({"a": BUILT, "b": LEARNT, "c": LEARNT}, "model of known size (2 of unknown size are left out), of"),
        ({"b": LEARNT}, "for the largest model, of"),
    ],
)
def test_models_that_the_memory_is_not_estimated_for_are_told(models, words):
    text = describe(
        read_configuration(
            {
                "models": models,
                "inference": {"newton": {"plugin": "newton_cg"}},
                "objective": {"plugin": "linear"},
                "gradients": {"unrolled": {"plugin": "unrolled", "sweeps": 20}},
            }
        )
    )
    assert words in text
    assert ("memory unknown" in text) == ("a" not in models)
