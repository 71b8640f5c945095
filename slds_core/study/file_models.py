"""Models from files of one's own, as plugins. They stand here, and not in ``plugins/``, because files enter in ``study/``."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from slds_core.plugins import BuiltModel, ModelPlugin


class NetCDF(ModelPlugin):
    """An SLDS from a file of your own: potentials under the names of the ``model`` files, and optionally a start.

    A file with the variable ``length`` holds many sequences.
    """

    path: Path = Field(description="the NetCDF file, relative to the configuration's folder")

    def build(self) -> BuiltModel:
        from slds_core.study.model_file import read_model_file

        return BuiltModel(self.problem(), *_in_float64(read_model_file(self.path)))

    def problem(self):
        from slds_core.models.slds import slds_problem
        from slds_core.study.model_file import read_lengths

        return slds_problem(read_lengths(self.path))

    def rebuild(self, dataset):
        from slds_core.models.slds import slds_problem

        # the file that was read may be elsewhere by now
        return slds_problem(dataset["length"].values if "length" in dataset else None)

    def input_files(self) -> list[Path]:
        return [self.path]

    def sizes(self):
        from netCDF4 import Dataset

        try:
            with Dataset(self.path) as file:
                found = {name: len(dimension) for name, dimension in file.dimensions.items()}
                lengths = int(file["length"][:].sum()) if "length" in file.variables else None
        except (OSError, TypeError, ValueError):  # building it will say what is wrong
            return None
        if not {"time", "latent", "state"} <= found.keys():
            return None
        return {
            "time": found["time"] if lengths is None else lengths,
            "latent": found["latent"],
            "states": found["state"],
        }


class SLDSPickle(ModelPlugin):
    """An SLDS from the pickle that the seed notebook loads, read without running anything in it."""

    path: Path = Field(description="the pickle, relative to the configuration's folder")
    start: Literal["notebook", "uniform"] = Field(
        "notebook", description="'notebook': the draw that the notebook starts from; 'uniform': equal probabilities"
    )

    def build(self) -> BuiltModel:
        from slds_core.study.notebook_pickle import read_notebook_pickle

        return BuiltModel(self.problem(), *_in_float64(read_notebook_pickle(self.path, self.start)))

    def problem(self):
        from slds_core.models.slds import SLDS

        return SLDS()

    def input_files(self) -> list[Path]:
        return [self.path]


def _in_float64(tree: Any) -> Any:
    """Returns NumPy arrays as JAX arrays in float64 whatever JAX's setting."""
    import jax

    with jax.enable_x64(True):
        return jax.tree.map(jax.numpy.asarray, tree)
