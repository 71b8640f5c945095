"""Stage ``import_pickle``: the notebook's pickle → ``model.nc``."""

from pathlib import Path

from slds_core.study.notebook_pickle import Start
from slds_core.study.stages.build_model import build_model


def import_pickle(
    source: Path, output: Path, *, name: str = "", start: Start = "notebook", precision: str = "float64"
) -> str:
    """Writes the model in the notebook's pickle as a model file, the one that a study with the plugin ``slds_pickle`` has.

    Args:
        source: the pickle. It is read without running anything in it.
        output: the file to write.
        name: what the model is called; the pickle's name if left out.
        start: ``"notebook"``, the draw that the notebook starts from, or ``"uniform"``.
        precision: of all arrays, ``"float32"`` or ``"float64"``.

    Returns:
        A sentence on what was written.

    Raises:
        StudyError: a file cannot be used; names the array, index, value found and what was expected.
    """
    settings = {"plugin": "slds_pickle", "parameters": {"path": str(source), "start": start}}
    return build_model(name or source.stem, settings, precision, output)
