"""NetCDF files: written whole or not at all, checked when read, each with its provenance."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr
from cachetools import LRUCache, cached

from slds_core.study import seal
from slds_core.study.contents import contents_hash
from slds_core.study.errors import StudyError
from slds_core.whole_file import whole_file

SCHEMA_VERSION = 1
KINDS = ("model", "inference", "residual", "gradient", "comparison")

_SMALL = 2**21  # bytes; larger files take longer to read than to take apart
_KEPT = 2**27  # bytes of datasets


def write(dataset: xr.Dataset, path: Path, kind: str, provenance: dict[str, Any]) -> None:
    """Writes a dataset: to a temporary file beside its place, flushed, then renamed. No reader sees half a file.

    Args:
        dataset: the contents; ``long_name`` and ``units`` are required of every variable.
        path: where to.
        kind: one of ``KINDS``.
        provenance: attributes of the file; what is not text or a number is stored as JSON.

    Raises:
        StudyError: the folder cannot be written, or the disk is full.
        ValueError: a variable is not described.
    """
    for name, variable in dataset.variables.items():
        if name not in dataset.dims and not {"long_name", "units"} <= set(variable.attrs):
            raise ValueError(f"variable '{name}' lacks long_name or units")
    attributes = {"Conventions": "CF-1.10", "slds_kind": kind, "slds_schema_version": SCHEMA_VERSION}
    attributes |= {key: _plain(value) for key, value in provenance.items()}
    attributes["contents_hash"] = contents_hash(dataset, provenance)
    dataset = dataset.assign_attrs(attributes | dataset.attrs | {"complete": 1})
    encoding = {
        name: {"fletcher32": True}
        for name, variable in dataset.variables.items()
        if variable.ndim and variable.dtype.kind in "fiu" and variable.size
    }
    try:
        with whole_file(path) as temporary:
            dataset.to_netcdf(temporary, engine="netcdf4", format="NETCDF4", encoding=encoding)
            seal.seal(temporary)
    except (OSError, RuntimeError) as error:  # the NetCDF library reports a full disk as "HDF error"
        raise StudyError(f"{path}: cannot be written: {error}{_room(path.parent)}") from error


def read(path: Path, kind: str) -> xr.Dataset:
    """Returns a file's dataset, loaded and closed.

    Raises:
        StudyError: the file is missing, unreadable, half-written, changed since, of another kind or another schema version.
    """
    dataset = read_any(path, expected=f"{_a(kind)} file")
    _require_kind(path, dataset.attrs, kind)
    return dataset


def read_any(path: Path, expected: str = "a file of this project") -> xr.Dataset:
    """Returns the dataset of a file of any kind, as ``read``; its kind is in the attribute ``slds_kind``."""
    path = Path(path)
    if not path.is_file():
        raise StudyError(f"{path}: no such file; expected {expected}")
    try:
        dataset, sealed = _opened(path)
    except StudyError as error:
        raise StudyError(f"{error}; if it is a result, delete it and run again") from error
    _require_result(path, dataset.attrs, sealed, expected)
    dataset.encoding["source"] = str(path)
    return dataset


def attributes(path: Path, kind: str) -> dict[str, Any]:
    """Returns a file's attributes, fast: of a large file nothing else is read, so that damage may go unnoticed.

    Raises:
        StudyError: as ``read``.
    """
    if not path.is_file():
        raise StudyError(f"{path}: no such file; expected {_a(kind)} file")
    sealed = seal.holds(path) if path.stat().st_size <= _SMALL else seal.is_there(path)
    if sealed is False:
        raise StudyError(f"{path}: the file is damaged, its checksum does not hold")
    try:
        with netCDF4.Dataset(path) as opened:
            found = {name: opened.getncattr(name) for name in opened.ncattrs()}
    except Exception as error:  # as in _opened
        raise StudyError(f"{path}: cannot be read as NetCDF, the file is damaged or foreign: {error}") from error
    _require_result(path, found, bool(sealed), f"{_a(kind)} file")
    _require_kind(path, found, kind)
    return found


def _require_result(path: Path, attributes: dict[str, Any], sealed: bool, expected: str) -> None:
    """Raises where a file is not a whole result of this version's."""
    if attributes.get("slds_kind") not in KINDS:
        raise StudyError(f"{path}: expected {expected}, found a NetCDF file of another origin")
    version = attributes.get("slds_schema_version")
    if version != SCHEMA_VERSION:
        raise StudyError(f"{path}: schema version {version}, expected {SCHEMA_VERSION}; rebuild it with this version")
    if attributes.get("complete") != 1:
        raise StudyError(f"{path}: the file is incomplete; delete it and run again")
    if not sealed:
        raise StudyError(
            f"{path}: has no checksum at its end: it was cut, changed by another program, or written by an older version;"
            " delete it and run again. A model that you changed on purpose can be used without the attribute slds_kind"
        )


def _require_kind(path: Path, attributes: dict[str, Any], kind: str) -> None:
    if attributes["slds_kind"] != kind:
        raise StudyError(f"{path}: expected {_a(kind)} file, found {_a(attributes['slds_kind'])} file")


def open_whole(path: Path, **options: Any) -> xr.Dataset:
    """Returns the dataset in any NetCDF file, loaded and closed.

    Args:
        path: the file.
        options: how xarray is to decode it.

    Raises:
        StudyError: the file cannot be read, or is not what this project wrote to it.
    """
    return _opened(path, **options)[0]


def _opened(path: Path, **options: Any) -> tuple[xr.Dataset, bool]:
    """Returns what ``open_whole`` does, and whether the file has a seal."""
    if not path.is_file():  # a pipe would be waited for
        raise StudyError(f"{path}: no such file; expected a NetCDF file")
    try:
        if path.stat().st_size <= _SMALL and not options:
            contents = path.read_bytes()
            if seal.intact(contents):
                return _decoded(contents).copy(deep=True), True
        sealed = seal.holds(path)
        if sealed is False:
            raise OSError("its checksum does not hold")
        return xr.load_dataset(path, engine="netcdf4", **options), bool(sealed)
    except MemoryError:
        raise
    except Exception as error:  # the libraries below answer a damaged file with errors of many types
        raise StudyError(f"{path}: cannot be read as NetCDF, the file is damaged or foreign: {error}") from error


@cached(LRUCache(_KEPT, getsizeof=lambda dataset: dataset.nbytes), key=seal.of)
def _decoded(contents: bytes) -> xr.Dataset:
    """Returns the dataset in a file's contents. Jobs that share a process read the same model and inference again and again."""
    return xr.load_dataset(contents, engine="netcdf4")


def read_all(paths: Iterable[Path], kind: str) -> dict[str, xr.Dataset]:
    """Returns several files' datasets by the setting that they are named after.

    Raises:
        StudyError: as ``read``, or two files have one name.
    """
    found: dict[str, xr.Dataset] = {}
    for path in map(Path, paths):
        if path.stem in found:
            raise StudyError(f"{path}: has the name of another file, {found[path.stem].encoding['source']}")
        found[path.stem] = read(path, kind)
    return found


def variable(dimensions: Any, values: Any, long_name: str, units: str = "1") -> xr.Variable:
    """Returns a described variable."""
    return xr.Variable(dimensions, np.asarray(values), {"long_name": long_name, "units": units})


def _room(folder: Path) -> str:
    """Returns how much room is left where a file could not be written, if that is likely to be the reason."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return ""
    return f"; {free} bytes are free on its disk" if free < 2**20 else ""


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float) else json.dumps(value, sort_keys=True)
