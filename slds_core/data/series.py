"""Time series of unequal lengths with missing entries: what every source of data returns. NumPy only.

What is not observed is zero in ``values`` and false in ``observed``, so that nothing downstream can read a NaN by accident.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float


@dataclass(frozen=True)
class Scaling:
    """How each channel was standardised: ``stored = (original - location) / scale``."""

    location: Float[np.ndarray, " channel"]
    scale: Float[np.ndarray, " channel"]

    def apply(self, original: Float[np.ndarray, "*batch channel"]) -> Float[np.ndarray, "*batch channel"]:
        """Returns values in the stored units."""
        return (original - self.location) / self.scale

    def undo(self, stored: Float[np.ndarray, "*batch channel"]) -> Float[np.ndarray, "*batch channel"]:
        """Returns values in the original units."""
        return stored * self.scale + self.location


@dataclass(frozen=True)
class Interval:
    """Steps of a sequence that have a name, such as a recession: known beside the data, and shown beside what is learnt."""

    sequence: int
    start: int  # the first step
    stop: int  # the step after the last
    label: str


@dataclass(frozen=True)
class Series:
    """Sequences side by side, padded to the longest."""

    values: Float[np.ndarray, "sequence time channel"]  # standardised; zero where not observed
    observed: Bool[np.ndarray, "sequence time channel"]  # false in padding too
    lengths: tuple[int, ...]  # time steps of each sequence
    channels: tuple[str, ...]  # their names
    scaling: Scaling
    names: tuple[str, ...] = ()  # of the sequences
    labels: tuple[tuple[str, ...], ...] = ()  # of each sequence's steps, such as dates; none where there are none
    truth: Mapping[str, np.ndarray] = field(
        default_factory=dict
    )  # known beside the data: (sequence, time or transition, …)
    intervals: tuple[Interval, ...] = ()
    units: tuple[str, ...] = ()  # of each channel's original values; none where they are not known

    def __post_init__(self) -> None:
        shape = (len(self.lengths), max(self.lengths, default=0), len(self.channels))
        for name, array in (("values", self.values), ("observed", self.observed)):
            if array.shape != shape:
                raise ValueError(f"{name}: expected shape {shape} (sequence, time, channel), found {array.shape}")
        if not shape[0] or not shape[2] or min(self.lengths) < 1:
            raise ValueError(f"expected at least one sequence, step and channel, found lengths {self.lengths}")
        if np.any(self.values[~self.observed] != 0):
            raise ValueError("values: expected zero where nothing is observed")
        if not np.all(np.isfinite(self.values)):
            raise ValueError("values: expected finite numbers; what is missing is zero, and not observed")
        padding = np.arange(shape[1]) >= np.array(self.lengths)[:, None]
        if np.any(self.observed[padding]):
            raise ValueError(f"observed: expected false after the end of each sequence, with lengths {self.lengths}")
        for name, found in (("names", self.names), ("labels", self.labels)):
            if found and len(found) != shape[0]:
                raise ValueError(f"{name}: expected one for each of {shape[0]} sequences, found {len(found)}")
        for own in self.intervals:
            if not (0 <= own.sequence < shape[0] and 0 <= own.start < own.stop <= self.lengths[own.sequence]):
                raise ValueError(f"intervals: expected steps of a sequence, found {own} with lengths {self.lengths}")
        if self.units and len(self.units) != shape[2]:
            raise ValueError(f"units: expected one for each of {shape[2]} channels, found {self.units}")

    def hide(self, hidden: Bool[np.ndarray, "sequence time channel"]) -> "Series":
        """Returns the series without the entries that ``hidden`` marks: their values are gone, not only masked."""
        observed = self.observed & ~np.asarray(hidden, bool)
        return replace(self, values=np.where(observed, self.values, 0.0), observed=observed)

    def select(self, sequences: Sequence[int]) -> "Series":
        """Returns some of the sequences, in the order given, padded to the longest of them."""
        chosen = [range(len(self.lengths))[number] for number in sequences]  # negative ones count from the end
        lengths = tuple(self.lengths[i] for i in chosen)
        longest = max(lengths, default=0)
        return replace(
            self,
            values=self.values[chosen, :longest],
            observed=self.observed[chosen, :longest],
            lengths=lengths,
            names=tuple(self.names[i] for i in chosen) if self.names else (),
            labels=tuple(self.labels[i] for i in chosen) if self.labels else (),
            truth={name: array[chosen] for name, array in self.truth.items()},
            intervals=tuple(
                replace(interval, sequence=number)
                for number, sequence in enumerate(chosen)
                for interval in self.intervals
                if interval.sequence == sequence
            ),
        )

    def cut(self, steps: int) -> "Series":
        """Returns the series without the last steps of each sequence. What is known beside the data keeps its padding.

        Raises:
            ValueError: a sequence has no step left.
        """
        shortest = min(self.lengths)
        if not 0 <= steps < shortest:
            raise ValueError(
                f"expected at least 0 and less than {shortest} steps, the shortest sequence's, found {steps}"
            )
        lengths = tuple(length - steps for length in self.lengths)
        kept = np.arange(max(lengths)) < np.array(lengths)[:, None]
        observed = self.observed[:, : max(lengths)] & kept[:, :, None]
        clipped = (replace(own, stop=min(own.stop, lengths[own.sequence])) for own in self.intervals)
        return replace(
            self,
            values=np.where(observed, self.values[:, : max(lengths)], 0.0),
            observed=observed,
            lengths=lengths,
            labels=tuple(own[:length] for own, length in zip(self.labels, lengths, strict=False)),
            intervals=tuple(own for own in clipped if own.start < own.stop),
        )

    @property
    def original(self) -> Float[np.ndarray, "sequence time channel"]:
        """The values in their original units, NaN where not observed."""
        return np.where(self.observed, self.scaling.undo(self.values), np.nan)


def series(
    sequences: Sequence[Float[np.ndarray, "time channel"]],
    channels: Sequence[str],
    *,
    standardise: bool = True,
    names: Sequence[str] = (),
    labels: Sequence[Sequence[str]] = (),
    truth: Mapping[str, np.ndarray] | None = None,
    intervals: Sequence[Interval] = (),
    units: Sequence[str] = (),
) -> Series:
    """Returns sequences as a ``Series``.

    Args:
        sequences: one array each, NaN where an entry is missing.
        channels: names along the second axis.
        standardise: whether to give each channel mean zero and variance one over all that is observed of it.
        names, labels, truth, intervals, units: as in ``Series``.

    Raises:
        ValueError: a channel has no observed entry, or holds an infinity; names it.
    """
    lengths = tuple(len(sequence) for sequence in sequences)
    if not lengths or min(lengths) < 1:
        raise ValueError(f"expected at least one sequence of at least one step, found lengths {lengths}")
    together = np.concatenate([np.asarray(sequence, np.float64) for sequence in sequences])
    if together.shape[1:] != (len(channels),):
        raise ValueError(f"expected {len(channels)} channels, found shape {together.shape}")
    for name, column in zip(channels, together.T, strict=True):
        if np.any(np.isinf(column)):
            raise ValueError(
                f"channel '{name}': entry {int(np.argmax(np.isinf(column)))} is infinite, expected a number"
            )
        if np.all(np.isnan(column)):
            raise ValueError(f"channel '{name}': no entry is observed, expected at least one")
    if standardise:
        with np.errstate(over="ignore", invalid="ignore"):
            location, spread = np.nanmean(together, axis=0), np.nanstd(together, axis=0)
        for name, value in zip(channels, spread, strict=True):
            if not np.isfinite(value):
                raise ValueError(f"channel '{name}': its variance is {value}, expected entries that can be squared")
        constant = np.nanmin(together, axis=0) == np.nanmax(together, axis=0)
        # a constant stays one: what its mean is off by rounding is no spread
        scaling = Scaling(location, np.where(constant | (spread == 0), 1.0, spread))
    else:
        scaling = Scaling(np.zeros(len(channels)), np.ones(len(channels)))
    padded = np.full((len(lengths), max(lengths), len(channels)), np.nan)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = scaling.apply(np.asarray(sequence, np.float64))
    observed = ~np.isnan(padded)
    return Series(
        np.where(observed, padded, 0.0),
        observed,
        lengths,
        tuple(channels),
        scaling,
        tuple(names),
        tuple(tuple(own) for own in labels),
        truth or {},
        tuple(intervals),
        tuple(units),
    )
