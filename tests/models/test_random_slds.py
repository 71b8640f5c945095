"""Random problems: what cannot be drawn is refused by name."""

import pytest

from slds_core.models.random_slds import random_sequences, random_slds


@pytest.mark.parametrize(
    ("flaw", "complaint"),
    [
        ({"time": 0}, "time: expected at least 1, found 0"),
        ({"latent": 0}, "latent: expected at least 1, found 0"),
        ({"states": 0}, "states: expected at least 1, found 0"),
        ({"observation_precision": 0.0}, r"observation_precision: expected a number above 0, found 0\.0"),
        ({"observation_precision": float("nan")}, "observation_precision: expected a number above 0, found nan"),
        ({"stickiness": 1.5}, r"stickiness: expected a probability, found 1\.5"),
        ({"spread": -0.1}, r"spread: expected a number of at least 0, found -0\.1"),
        ({"spread": float("nan")}, "spread: expected a number of at least 0, found nan"),
        ({"time": 2.5}, r"time: expected a whole number, found 2\.5"),
    ],
)
def test_impossible_recipes(flaw, complaint):
    with pytest.raises(ValueError, match=complaint):
        random_slds(**{"time": 5, "latent": 2, "states": 2} | flaw)


@pytest.mark.parametrize("lengths", [(), (3, 0)])
def test_impossible_lengths(lengths):
    with pytest.raises(ValueError, match="lengths: expected at least 1, found 0"):
        random_sequences(lengths=lengths, latent=2, states=2)
