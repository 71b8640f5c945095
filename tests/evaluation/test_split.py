"""What is held out: in parts, by name where it cannot be, and scored by hand."""

import numpy as np
import pytest

from slds_core.data import Interval, series
from slds_core.data.synthetic_slds import synthetic_slds
from slds_core.evaluation.prediction import Prediction, from_interpolation, interpolate, scores
from slds_core.evaluation.split import hold_out, split

SERIES = synthetic_slds(lengths=[8, 6, 7], channels=2, missing=0.2)


def test_sequences_that_are_held_out_are_not_learnt_from():
    found = split(SERIES, sequences=1, horizon=2, masked=(1, 3), share=0.3)
    assert found.unseen
    assert found.training.lengths == (8, 6)
    np.testing.assert_array_equal(found.training.observed, SERIES.observed[:2])
    assert found.judged.lengths == (7,)
    np.testing.assert_array_equal(found.judged.values[0], SERIES.values[2, :7])
    assert found.given.lengths == (5,)
    assert not found.given.observed[:, 1:3].any()
    np.testing.assert_array_equal(found.hidden[:, 1:3], found.judged.observed[:, 1:3])
    np.testing.assert_array_equal(found.ahead[:, :5], False)
    np.testing.assert_array_equal(found.ahead[:, 5:], found.judged.observed[:, 5:])
    assert not (found.hidden & found.ahead).any()


def test_without_sequences_training_does_not_see_what_is_asked():
    found = split(SERIES, horizon=1, share=0.5, seed=1)
    assert not found.unseen
    assert found.training.lengths == (7, 5, 6)
    kept = SERIES.observed[:, :7] & ~found.hidden[:, :7] & ~found.ahead[:, :7]
    np.testing.assert_array_equal(found.training.observed, kept)
    assert not found.training.values[~kept].any()
    # nothing is lost: what is given, imputed and forecast is what there was
    assert found.training.observed.sum() + found.hidden.sum() + found.ahead.sum() == SERIES.observed.sum()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sequences": 3}, "held_out_sequences: expected at least 0 and less than the data's 3, found 3"),
        ({"sequences": -1}, "held_out_sequences: .* found -1"),
        ({"horizon": 6}, "horizon: expected at least 0 and less than 6, .* found 6"),
        ({"horizon": -1}, "horizon: .* found -1"),
        ({"share": float("nan")}, "held_out: expected a share from 0 to 1, found nan"),
        ({"share": 2.0}, "held_out: .* found 2.0"),
        ({"masked": (2, 7)}, r"masked: .* between 0 and 6, found \[2, 7\]"),
        ({"masked": (3, 3)}, r"masked: .* found \[3, 3\]"),
        ({"masked": (0, 4), "horizon": 3}, r"masked: .* between 0 and 3, found \[0, 4\]"),
    ],
)
def test_what_cannot_be_held_out_is_told(wrong, message):
    with pytest.raises(ValueError, match=message):
        split(SERIES, **wrong)


def test_a_channel_of_which_nothing_is_left_is_named():
    short = series([np.array([[1.0, np.nan], [2.0, np.nan], [3.0, 1.0]])], ["a", "b"])
    with pytest.raises(ValueError, match="channel 'b': nothing of it is left"):
        split(short, horizon=1)


def test_interpolation_by_hand():
    values = np.array([[0.0, 1.0], [9.0, 9.0], [4.0, 3.0], [9.0, 9.0]])
    observed = np.array([[True, False], [False, False], [True, False], [False, False]])
    np.testing.assert_array_equal(interpolate(values, observed), [[0, 0], [2, 0], [4, 0], [4, 0]])
    chosen = hold_out(np.ones((1, 1000, 10), bool), 0.2, 0)
    assert chosen.mean() == pytest.approx(0.2, abs=0.02)


def test_scores_by_hand():
    whole = series([np.array([[0.0], [1.0], [2.0], [6.0]])], ["a"], standardise=False)
    found = split(whole, masked=(1, 2), horizon=1)
    guess = Prediction(np.array([[[0.0], [3.0], [0.0], [2.0]]]), np.full((1, 4, 1), 4.0))
    imputed, forecast = (scores(found, guess, asked) for asked in (found.hidden, found.ahead))
    assert (imputed.pooled, forecast.pooled) == (2.0, 4.0)
    np.testing.assert_array_equal(forecast.error, [4.0])
    assert imputed.log_density == pytest.approx(-0.5 * (np.log(8 * np.pi) + 1))
    straight = from_interpolation(found)
    np.testing.assert_array_equal(straight.mean[0, :, 0], [0, 1, 2, 2])
    assert np.isnan(scores(found, straight, found.ahead).log_density)


def test_series_are_cut_with_their_labels_and_intervals():
    marks = (Interval(0, 0, 2, "early"), Interval(1, 1, 3, "late"))
    values = [np.arange(3.0)[:, None], np.arange(3.0)[:, None]]
    whole = series(values, ["a"], labels=["abc", "def"], intervals=marks, units=["%"])
    cut = whole.cut(1)
    assert cut.lengths == (2, 2)
    assert cut.labels == (("a", "b"), ("d", "e"))
    assert cut.intervals == (marks[0], Interval(1, 1, 2, "late"))
    assert whole.cut(2).intervals == (Interval(0, 0, 1, "early"),)
    assert whole.select([1]).intervals == (Interval(0, 1, 3, "late"),)
    with pytest.raises(ValueError, match=r"less than 3 steps, .* found 3"):
        whole.cut(3)
    with pytest.raises(ValueError, match="intervals: expected steps of a sequence"):
        series(values, ["a"], intervals=[Interval(2, 0, 1, "x")])
    with pytest.raises(ValueError, match="units: expected one for each of 1 channels"):
        series(values, ["a"], units=["%", "$"])
