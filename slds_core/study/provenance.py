"""Where a file came from: settings, code, versions, platform. No times, so that equal work gives equal files."""

import hashlib
import json
import os
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOMS: dict[str, tuple[str, ...]] = {
    "model": ("expfam", "models", "plugins", "study"),
    "inference": ("chains", "fixed_point", "models", "plugins", "study"),
    "residual": ("chains", "fixed_point", "gradients", "models", "objectives", "study"),
    "gradient": ("chains", "fixed_point", "gradients", "models", "objectives", "plugins", "study"),
    "comparison": ("study",),
    "report": ("report", "study"),
}
"""The rooms of the package whose code a stage runs; editing any file in them reruns it."""

_PACKAGES = ("slds-core", "jax", "jaxlib", "equinox", "lineax", "flax", "numpy", "xarray", "netCDF4")


@cache
def code_hash(stage: str) -> str:
    """Returns a hash of the source files that a stage runs."""
    package = Path(__file__).parent.parent
    digest = hashlib.sha256()
    rooms = [path for room in ROOMS[stage] for path in sorted((package / room).rglob("*"))]
    for path in [package / "directions.py", package / "trees.py", *rooms]:
        if path.suffix in {".py", ".j2", ".css", ".mplstyle"}:
            digest.update(str(path.relative_to(package)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def settings_hash(settings: Any) -> str:
    """Returns a hash of a slice of the configuration."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def provenance(stage: str, *, settings: dict[str, Any], precision: str, backend: str) -> dict[str, Any]:
    """Returns the attributes that say how a file was made.

    Args:
        stage: one of ``ROOMS``.
        settings: the slice of the configuration that the stage ran with.
        precision: ``"float32"`` or ``"float64"``.
        backend: JAX's platform, ``"cpu"`` or ``"gpu"``; ``"none"`` where JAX took no part.
    """
    return {
        "settings": settings,
        "settings_hash": settings_hash(settings),
        "code_hash": code_hash(stage),
        "precision": precision,
        "platform": f"{backend}, {platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "packages": {package: version(package) for package in _PACKAGES},
    }
