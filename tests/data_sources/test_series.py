"""The container of time series: nothing hidden can be read, and standardisation comes undone."""

from dataclasses import replace

import numpy as np
import pytest

from slds_core.data import Interval, Series, series


def ragged(seed=0):
    generator = np.random.default_rng(seed)
    sequences = [3 + 2 * generator.standard_normal((length, 2)) for length in (4, 7)]
    sequences[0][1, 0] = np.nan
    return sequences


def test_padding_and_missing_entries_are_zero_and_not_observed():
    found = series(ragged(), ["a", "b"])
    assert found.values.shape == (2, 7, 2)
    assert found.observed.sum() == (4 + 7) * 2 - 1
    assert not found.observed[0, 1, 0]
    assert not found.observed[0, 4:].any()
    assert np.all(found.values[~found.observed] == 0)


def test_standardisation_comes_undone():
    sequences = ragged()
    found = series(sequences, ["a", "b"])
    together = np.concatenate(sequences)
    np.testing.assert_allclose(found.scaling.location, np.nanmean(together, 0), rtol=1e-14)
    seen = found.values[found.observed[..., 0], 0]
    assert abs(seen.mean()) < 1e-14
    assert abs(seen.std() - 1) < 1e-14
    for number, sequence in enumerate(sequences):
        np.testing.assert_allclose(found.original[number, : len(sequence)], sequence, rtol=1e-13)


def test_a_constant_channel_keeps_its_scale():
    found = series([np.full((3, 1), 5.0)], ["a"])
    np.testing.assert_array_equal(found.values, 0)
    np.testing.assert_array_equal(found.original[0], 5)


def test_a_constant_that_its_mean_misses_by_rounding_keeps_its_scale():
    assert series([np.full((3, 1), 0.1)], ["a"]).scaling.scale == 1


def test_entries_whose_squares_overflow():
    with pytest.raises(
        ValueError, match=r"channel 'b': its variance is (inf|nan), expected entries that can be squared"
    ):
        series([np.array([[1.0, 1e308], [2.0, -1e308]])], ["a", "b"])


def test_hidden_values_are_gone():
    found = series(ragged(), ["a", "b"])
    hidden = np.zeros(found.observed.shape, bool)
    hidden[1, 2:5, 1] = True
    masked = found.hide(hidden)
    assert np.all(masked.values[1, 2:5, 1] == 0)
    assert masked.observed.sum() == found.observed.sum() - 3


def test_select():
    found = series(ragged(), ["a", "b"], names=["first", "second"]).select([0])
    assert found.values.shape == (1, 4, 2)
    assert (found.lengths, found.names) == ((4,), ("first",))


@pytest.mark.parametrize(
    ("sequences", "complaint"),
    [
        ([], "at least one sequence"),
        ([np.zeros((0, 1))], "at least one step"),
        ([np.full((3, 1), np.nan)], "channel 'a': no entry is observed"),
        ([np.array([[1.0], [np.inf]])], "channel 'a': entry 1 is infinite"),
        ([np.zeros((3, 2))], "expected 1 channels"),
    ],
)
def test_refused(sequences, complaint):
    with pytest.raises(ValueError, match=complaint):
        series(sequences, ["a"])


def test_sequences_counted_from_the_end_keep_their_intervals():
    found = series(ragged(), ["a", "b"], names=["first", "second"])
    found = replace(found, intervals=(Interval(1, 0, 1, "here"),)).select([-1])
    assert (found.names, found.intervals) == (("second",), (Interval(0, 0, 1, "here"),))


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"observed": np.ones((2, 7, 2), bool)}, "observed: expected false after the end of each sequence"),
        (
            {"values": np.full((2, 7, 2), np.nan), "observed": np.ones((2, 7, 2), bool)},
            "values: expected finite numbers",
        ),
        ({"names": ("one",)}, "names: expected one for each of 2 sequences, found 1"),
        ({"labels": (("a",),) * 3}, "labels: expected one for each of 2 sequences, found 3"),
    ],
)
def test_what_contradicts_itself_is_refused(wrong, complaint):
    with pytest.raises(ValueError, match=complaint):
        replace(series(ragged(), ["a", "b"]), **wrong)


def test_values_where_nothing_is_observed_are_refused():
    found = series(ragged(), ["a", "b"])
    with pytest.raises(ValueError, match="expected zero where nothing is observed"):
        Series(found.values + 1, found.observed, found.lengths, found.channels, found.scaling)
