"""Files that a training goes on from after it was killed, or to a later epoch: whole or not at all."""

from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Float

from slds_core.whole_file import whole_file

Records = Float[np.ndarray, "epoch quantity"]


class TrainingFiles:
    """The files of one training in a folder that it may share with others, one for each epoch that was kept."""

    def __init__(self, folder: Path, key: str) -> None:
        """Takes the folder, made when it is first needed, and what tells this training from all others."""
        self._folder, self._key = folder, key

    def save(self, epoch: int, progress: Any, records: Records) -> None:
        """Writes the progress after an epoch, and the records of all epochs up to it."""
        with whole_file(self._path(epoch)) as temporary, temporary.open("wb") as stream:
            eqx.tree_serialise_leaves(stream, (progress, records))

    def latest(self, last: int, progress: Any, quantities: int) -> tuple[Any, Records]:
        """Returns the furthest progress that is kept, no further than an epoch, and its records; else what was given, and none.

        Args:
            last: the epoch.
            progress: that before the first epoch, in whose structure files are read.
            quantities: how many are recorded each epoch.
        """
        for epoch in range(last, 0, -1):
            if (path := self._path(epoch)).is_file():
                with open(path, "rb") as stream:
                    return eqx.tree_deserialise_leaves(stream, (progress, np.zeros((epoch, quantities))))
        return progress, np.zeros((0, quantities))

    def _path(self, epoch: int) -> Path:
        return self._folder / f"{self._key}_{epoch:07d}.eqx"
