"""A training's lines of progress: how they are written, and what the last one in a log says of a training that was interrupted."""

import re

_WHICH = r"(?:baseline (?P<name>\w+): )?"
_LINE = re.compile(rf"{_WHICH}(?:goes on after )?(?P<epoch>epoch \d+(?: of \d+(?=: bound ))?)(?:$|: bound )")


def after_epoch(epoch: int, last: int, bound: float, left: float, baseline: str = "") -> str:
    """Returns what is said after an epoch: bound and seconds left, and of which baseline, if it is one that is trained."""
    return f"{_label(baseline)}epoch {epoch} of {last}: bound {bound:.4f} nats per entry, {left:.0f} s left"


def resumed(epoch: int, baseline: str = "") -> str:
    """Returns what is said where a training goes on that was stopped after an epoch."""
    return f"{_label(baseline)}goes on after epoch {epoch}"


def interruption(line: str) -> str | None:
    """Returns where a training was interrupted whose log ends in a line; ``None`` where the line is none of progress.

    An interrupted or killed job has no time to say so: its log ends where it was.
    """
    found = _LINE.match(line)
    if found is None:
        return None
    which = f" of the baseline {found['name']}" if found["name"] else ""
    return f"interrupted after {found['epoch']}{which}; run again to go on"


def _label(baseline: str) -> str:
    return f"baseline {baseline}: " if baseline else ""
