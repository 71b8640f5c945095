"""A training from its first epoch or from where it was stopped, with a clock, a line of progress now and then, and files to go on from."""

import sys
import time

import numpy as np

from slds_core.learning.run import Progress, Run
from slds_core.study.progress_lines import after_epoch, resumed
from slds_core.study.training_files import Records, TrainingFiles

_EVERY = 10  # epochs between files
_SAY = 5.0  # seconds between lines of progress

_ENTRY = "per observed entry"
QUANTITIES = {
    "bound": ("nat", f"bound in training, {_ENTRY}; each batch's before its update"),
    "likelihood": ("nat", f"expected log-likelihood of the data, {_ENTRY}"),
    "local_divergence": ("nat", f"divergence of the sequences' states and paths from the model, {_ENTRY}"),
    "global_divergence": ("nat", f"divergence of the global factors from their prior, {_ENTRY}"),
    "effective_states": ("1", "effective states: exponential of the entropy of the states' use"),
    "sweeps": ("1", "sweeps and products of inference, all batches"),
    "products": ("1", "products of the gradient estimator, all batches"),
    "adjoint_residual": ("1", "relative residual of the adjoint system, the worst batch's; NaN where none is solved"),
    "forward_residual": ("1", "largest change of the state in one more sweep, the worst batch's"),
    "unconverged": ("1", "batches whose inference did not converge"),
    "unsolved": ("1", "batches whose gradient was neither solved nor exact nor approximate by design"),
    "fell_back": ("1", "batches of these whose estimator put another method's gradient in its place"),
    "gradient_norm": ("1", "Euclidean norm of the gradient with respect to all potentials, the largest of the batches"),
    "natural_rate": ("1", "size of the natural-gradient step that was taken, the smallest of the batches"),
    "seconds": ("s", "run time of the epoch, compilation apart"),
    "cpu_seconds": ("s", "processor time of the epoch, compilation apart"),
    "gradient_error": ("1", "relative error of the gradient that a step would take; NaN where it was not judged"),
    "converged_bound": ("nat", f"bound with inference converged, {_ENTRY}; NaN where it was not judged"),
}
"""What is recorded of each epoch, its units and what it is: the fields of ``EpochRecord`` in their order, times, what the judge found."""


def train(
    run: Run, progress: Progress, last: int, files: TrainingFiles | None, judge: int = 0, baseline: str = ""
) -> tuple[Progress, Records]:
    """Returns the progress after an epoch, and the records of all.

    Args:
        run, progress: the training, and the progress before its first epoch.
        last: the epoch.
        files: to go on from, read and written; none if ``None``.
        judge: epochs between judgements, none if zero. They count to no epoch's time.
        baseline: what it is trained as, where it is no model of the study: its lines say so.

    Raises:
        NonFinite: names epoch, batch and the first quantity that is not finite.
    """
    records = np.zeros((0, len(QUANTITIES)))
    if files is not None:
        progress, records = files.latest(last, progress, len(QUANTITIES))
    first = int(progress.epoch)
    if first:
        _tell(resumed(first, baseline))
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
        said = _say(epoch + 1, first, last, record.bound, started, said, baseline)
        if files is not None and ((epoch + 1) % _EVERY == 0 or epoch + 1 == last):
            files.save(epoch + 1, progress, records)
    return progress, records


def _say(epoch: int, first: int, last: int, bound: float, started: float, said: float, baseline: str) -> float:
    """Writes a line of progress, now and then, and returns when the last one was written."""
    now = time.monotonic() - started
    if now - said < _SAY and epoch < last:
        return said
    left = now / (epoch - first) * (last - epoch)
    _tell(after_epoch(epoch, last, bound, left, baseline))
    return now


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
