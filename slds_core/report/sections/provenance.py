"""Provenance: what the results were made from and with, and how to make them again."""

import json
from dataclasses import dataclass
from typing import Any

import xarray as xr
from markupsafe import Markup

from slds_core.report.load import StudyResults, settings
from slds_core.report.page import Page, Section
from slds_core.report.tables import Table, text

_NAMES = {"platform": "Platform", "precision": "Precision", "xla_flags": "XLA flags"}


@dataclass(frozen=True)
class _File:
    name: str
    attributes: dict[str, Any]
    sha256: str


def _datasets(results: StudyResults) -> dict[str, xr.Dataset]:
    """Returns all datasets by the place of their files."""
    named = {}
    for name, found in results.items():
        for kind in ("model", "comparison"):
            if getattr(found, kind) is not None:
                named[f"{name}/{kind}.nc"] = getattr(found, kind)
        for kind in ("inference", "residual", "gradient"):
            named |= {f"{name}/{kind}/{setting}.nc": dataset for setting, dataset in getattr(found, kind).items()}
    return named


def _render(page: Page) -> Markup:
    datasets = _datasets(page.results)
    hashes = {file.path.rpartition("results/")[2]: file.sha256 for file in page.study.files}
    rows = [_File(name, dict(dataset.attrs), hashes.get(name, "")) for name, dataset in datasets.items()]
    facts = {title: _all(datasets, key) for key, title in _NAMES.items()}
    packages = [json.loads(text) for text in _all(datasets, "packages")]
    facts["Versions"] = [", ".join(f"{name} {version}" for name, version in versions.items()) for versions in packages]
    facts["Seeds"] = _seeds(datasets)
    inputs = _inputs(datasets)
    facts["Input files"] = [f"{file}, SHA-256 {digest}" for file, digest in inputs]
    table = Table(
        "files",
        "Every file that this report rests on",
        [
            text("file", "in the folder of results", lambda row: row.name),
            text("made by", "plugin and parameters", lambda row: row.attributes.get("settings", ""), quiet=True),
            text("settings", "hash of them", lambda row: row.attributes.get("settings_hash", "")),
            text("code", "hash of the sources that ran", lambda row: row.attributes.get("code_hash", "")),
            text("SHA-256", "of the file, its first half", lambda row: row.sha256[:32]),
        ],
        rows,
    )
    version = next((versions.get("slds-core") for versions in packages), None)
    example = next((f"results/{name}" for name in datasets if "/residual/" in name), None)
    facts = {title: values for title, values in facts.items() if values}
    return page.template(
        __package__, "provenance.html.j2", facts=facts, table=table, version=version, example=example, inputs=inputs
    )


def _all(datasets: dict[str, xr.Dataset], key: str) -> list[str]:
    """Returns the different values of an attribute; more than one is worth knowing."""
    values = dict.fromkeys(str(dataset.attrs[key]) for dataset in datasets.values() if dataset.attrs.get(key))
    # a comparison takes no part in JAX, and says so
    return [value for value in values if not value.startswith("none,")] or list(values)


def _inputs(datasets: dict[str, xr.Dataset]) -> list[tuple[str, str]]:
    """Returns the files that models were made from besides those of the study, each with its hash; one file may have had several."""
    used = [json.loads(dataset.attrs.get("input_files", "{}")) for dataset in datasets.values()]
    return list(dict.fromkeys(pair for files in used for pair in files.items()))


def _seeds(datasets: dict[str, xr.Dataset]) -> list[str]:
    seeds: dict[str, None] = {}
    for name, dataset in datasets.items():
        chosen = settings(dataset)
        for what, setting in ((name, chosen), ("the objective", chosen.get("objective") or {})):
            seed = (setting.get("parameters") or {}).get("seed")
            if seed is not None:
                seeds[f"{what.removesuffix('.nc')} {seed}"] = None
    return [", ".join(seeds)] if seeds else []


SECTION = Section("Provenance", 90, _render)
