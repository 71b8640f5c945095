"""A training from its first epoch or from where it was stopped, with a clock, a line of progress now and then, and files to go on from."""

import sys
import time

import numpy as np

from slds_core.learning.run import EpochRecord, Progress, Run
from slds_core.study.training_files import Records, TrainingFiles

_EVERY = 10  # epochs between files
_SAY = 5.0  # seconds between lines of progress

QUANTITIES = dict.fromkeys(EpochRecord._fields, "1") | {
    "seconds": "s",
    "cpu_seconds": "s",
    "gradient_error": "1",
    "converged_bound": "1",
}
"""What is recorded of each epoch, with its units: what it did, how long it took, and where it was judged, what the judge found."""


def train(
    run: Run, progress: Progress, last: int, files: TrainingFiles | None, judge: int = 0
) -> tuple[Progress, Records]:
    """Returns the progress after an epoch, and the records of all.

    Args:
        run, progress: the training, and the progress before its first epoch.
        last: the epoch.
        files: to go on from, read and written; none if ``None``.
        judge: epochs between judgements, none if zero. They count to no epoch's time.

    Raises:
        NonFinite: names epoch, batch and the first quantity that is not finite.
    """
    records = np.zeros((0, len(QUANTITIES)))
    if files is not None:
        progress, records = files.latest(last, progress, len(QUANTITIES))
    first = int(progress.epoch)
    if first:
        _tell(f"goes on after epoch {first}")
    if first < last:
        run.prepare(progress)
        if judge:
            run.judge(progress)  # compiles it too, so that the time left is guessed from epochs alone
    started, said = time.monotonic(), 0.0
    for epoch in range(first, last):
        judged = run.judge(progress) if judge and epoch % judge == 0 else (np.nan, np.nan)
        clock, processor = time.monotonic(), time.process_time()
        progress, record = run.epoch(progress)
        taken = time.monotonic() - clock, time.process_time() - processor
        records = np.concatenate([records, [[*record, *taken, *judged]]])
        said = _say(epoch + 1, first, last, record.bound, started, said)
        if files is not None and ((epoch + 1) % _EVERY == 0 or epoch + 1 == last):
            files.save(epoch + 1, progress, records)
    return progress, records


def _say(epoch: int, first: int, last: int, bound: float, started: float, said: float) -> float:
    """Writes a line of progress, now and then, and returns when the last one was written."""
    now = time.monotonic() - started
    if now - said < _SAY and epoch < last:
        return said
    left = now / (epoch - first) * (last - epoch)
    _tell(f"epoch {epoch} of {last}: bound {bound:.4f} nats an entry, {left:.0f} s left")
    return now


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
