"""Compiles the native kernels when the package is built or installed; without a compiler the package works without them."""

import importlib.util
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_FOLDER = Path("slds_core", "chains", "native")


class NativeKernels(BuildHookInterface):
    """Puts the compiled library beside its sources, and into the wheel, which then fits this platform only."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        # by its path: the package itself would import JAX, which need not be installed to build it
        place = Path(self.root, _FOLDER, "build.py")
        spec = importlib.util.spec_from_file_location("build_native", place)
        assert spec is not None
        assert spec.loader is not None
        native = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(native)
        try:
            library = native.build()
        except native.NoCompiler as reason:
            self.app.display_warning(f"slds-core is built without its compiled kernels: {reason}")
            return
        build_data["artifacts"].append(library.relative_to(self.root).as_posix())
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
