"""What is kept back from training, and what is asked of a model with it."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool

from slds_core.data import Series


@dataclass(frozen=True)
class Split:
    """Series to learn from, and series to be judged by.

    Where sequences are kept back, those are judged; else all are, by what training did not see of them.
    """

    training: Series
    judged: Series  # with all that is known of it
    hidden: Bool[np.ndarray, "sequence time channel"]  # entries of the judged series to impute
    horizon: int  # last steps of each judged sequence, to forecast
    unseen: bool  # whether training saw nothing of the judged sequences

    @property
    def given(self) -> Series:
        """Returns what imputations and forecasts may know."""
        cut = self.judged.cut(self.horizon)
        return cut.hide(self.hidden[:, : max(cut.lengths)])

    @property
    def ahead(self) -> Bool[np.ndarray, "sequence time channel"]:
        """Returns which observed entries of the judged series are to be forecast."""
        ends = np.array(self.judged.lengths)[:, None, None] - self.horizon
        return self.judged.observed & (np.arange(self.judged.values.shape[1])[None, :, None] >= ends)


def split(
    series: Series,
    *,
    sequences: int = 0,
    horizon: int = 0,
    masked: tuple[int, int] | None = None,
    share: float = 0.0,
    seed: int = 0,
) -> Split:
    """Returns the data in two parts.

    Args:
        series: all data.
        sequences: how many of the last sequences training does not see.
        horizon: how many of the last steps of each judged sequence to forecast.
        masked: first of the steps to impute, and the step after the last.
        share: of the judged entries, to impute as well; drawn at random.
        seed: of that draw.

    Raises:
        ValueError: there are not so many sequences or steps, the share is none, or nothing is left to learn of a channel. The message
            names the key, or the channel.
    """
    count = len(series.lengths)
    if not 0 <= sequences < count:
        raise ValueError(f"held_out_sequences: expected at least 0 and less than the data's {count}, found {sequences}")
    if not 0 <= share <= 1:
        raise ValueError(f"held_out: expected a share from 0 to 1, found {share}")
    judged = series.select(range(count - sequences, count)) if sequences else series
    shortest = min(judged.lengths)
    if not 0 <= horizon < shortest:
        raise ValueError(
            f"horizon: expected at least 0 and less than {shortest}, the steps of the shortest sequence, found {horizon}"
        )
    hidden = hold_out(judged.observed, share, seed)
    if masked is not None:
        start, stop = masked
        if not 0 <= start < stop <= shortest - horizon:
            raise ValueError(
                f"masked: expected first step and step after the last, between 0 and {shortest - horizon}, found [{start}, {stop}]"
            )
        hidden[:, start:stop] |= judged.observed[:, start:stop]
    ends = np.array(judged.lengths)[:, None, None] - horizon
    hidden &= np.arange(hidden.shape[1])[None, :, None] < ends
    whole = Split(series, judged, hidden, horizon, unseen=bool(sequences))
    training = series.select(range(count - sequences)) if sequences else whole.given
    unknown = np.flatnonzero(~np.any(training.observed, axis=(0, 1)))
    if unknown.size:
        raise ValueError(f"channel '{series.channels[unknown[0]]}': nothing of it is left to learn from")
    return replace(whole, training=training)


def hold_out(
    observed: Bool[np.ndarray, "sequence time channel"], share: float, seed: int
) -> Bool[np.ndarray, "sequence time channel"]:
    """Returns a random choice of about that share of the observed entries."""
    return observed & (np.random.default_rng(seed).random(observed.shape) < share)
