"""Where a file came from: settings, code, versions, platform. No times, so that equal work gives equal files."""

import hashlib
import json
import os
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from slds_core.study.sources import PACKAGE, closure, digest

_MODULES = {
    "model": "study/stages/build_model.py",
    "inference": "study/stages/infer.py",
    "residual": "study/stages/residual.py",
    "gradient": "study/stages/gradient.py",
    "comparison": "study/stages/compare.py",
    "report": "report/render.py",
}
"""Where each stage begins; editing any file that it imports reruns it. Plugins count apart: ``registry.identity``."""

_PACKAGES = ("slds-core", "jax", "jaxlib", "equinox", "lineax", "flax", "numpy", "optax", "scipy", "xarray", "netCDF4")


@cache
def code_hash(stage: str) -> str:
    """Returns a hash of the source files that a stage runs, and of the versions of the packages below them."""
    files = set(closure(PACKAGE / _MODULES[stage], PACKAGE))
    if stage == "report":  # its sections are found by name, its templates and styles are no modules
        kinds = {".py", ".j2", ".css", ".mplstyle", ".js"}
        files |= {path for path in (PACKAGE / "report").rglob("*") if path.suffix in kinds}
    return settings_hash({"files": digest(files), "packages": versions()})


def versions() -> dict[str, str]:
    """Returns the versions of the packages that results depend on."""
    return {package: version(package) for package in _PACKAGES}


def file_hash(path: Path) -> str:
    """Returns the SHA-256 of a file's contents."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def settings_hash(settings: Any) -> str:
    """Returns a hash of a slice of the configuration."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def provenance(stage: str, *, settings: dict[str, Any], precision: str, backend: str) -> dict[str, Any]:
    """Returns the attributes that say how a file was made.

    Args:
        stage: ``"model"``, ``"inference"``, ``"residual"``, ``"gradient"``, ``"comparison"`` or ``"report"``.
        settings: the slice of the configuration that the stage ran with.
        precision: ``"float32"`` or ``"float64"``.
        backend: JAX's platform and what computes the chains, ``"cpu, native chains"``; ``"none"`` where JAX took no part.
    """
    return {
        "settings": settings,
        "settings_hash": settings_hash(settings),
        "code_hash": code_hash(stage),
        "precision": precision,
        "platform": f"{backend}, {platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "packages": versions(),
    }
