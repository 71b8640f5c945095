"""Studies of 200 settings: how much of their processor time is numerical work, that is tracing, compiling and running programs.

Snakemake, its shells and clients are counted as this process's children, the workers by what they write when they end (``probe``).
"""

import csv
import json
import os
import resource
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from timing import write

STUDY = Path(__file__).parents[1] / "examples" / "studies" / "accuracy.yaml"
PROBE = Path(__file__).parent / "probe"


def _random(time: int, latent: int, states: int) -> dict[str, Any]:
    return {"plugin": "random_slds", "time": time, "latent": latent, "states": states}


MODELS = {
    "notebook": {"notebook": {"plugin": "notebook"}},
    "random_1000": {"random_1000": _random(1000, 5, 4)},
    "random_10000": {"random_10000": _random(10_000, 5, 4)},
    "five models": {
        "notebook": {"plugin": "notebook"},
        "random_100": _random(100, 5, 4),
        "random_1000": _random(1000, 5, 4),
        "random_d10": _random(1000, 10, 10),
        "random_d20": _random(1000, 20, 10),
    },
}
FEWER: dict[str, Any] = {
    "inference": {
        "sweeps": {"plugin": "coordinate_ascent", "max_sweeps": [50, 150, 300]},
        "converged": {"plugin": "newton_cg", "tolerance": 1.0e-13},
    },
    "gradients": {
        "fisher_cg": {
            "plugin": "fisher_cg",
            "at": ["sweeps", "converged"],
            "tolerance": [1.0e-2, 1.0e-4, 1.0e-6, 1.0e-10],
        },
        "bicgstab": {"plugin": "bicgstab", "at": ["sweeps", "converged"], "tolerance": [1.0e-2, 1.0e-4, 1.0e-6]},
        "truncated": {"plugin": "truncated", "at": ["sweeps", "converged"], "sweeps": 5},
        "unrolled": {"plugin": "unrolled", "sweeps": [25, 50, 100, 200]},
    },
    "references": ["fisher_cg_converged_tolerance_1e-10"],
}
"""36 gradients at 4 states, so that five models make 200 settings; the study of one model has as many of its own."""


def measure(name: str, models: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Returns processor seconds of a study of these models, run from nothing: no result, no compiled program."""
    configuration = yaml.safe_load(STUDY.read_text()) | {"models": models} | (FEWER if len(models) > 1 else {})
    (folder / "config.yaml").write_text(yaml.safe_dump(configuration))
    counts = folder / "counts"
    counts.mkdir()
    environment = os.environ | {
        "SLDS_CACHE": str(folder / "cache"),
        "PROBE_FOLDER": str(counts),
        "PYTHONPATH": str(PROBE),
    }
    before, begin = _children(), time.perf_counter()
    subprocess.run(["slds", "run", "--cores", "2"], cwd=folder, env=environment, check=True, capture_output=True)
    seconds, snakemake = time.perf_counter() - begin, _children() - before
    time.sleep(2)  # workers look every half second whether the run is over
    workers = [json.loads(path.read_text()) for path in counts.iterdir()]
    programs = sum(worker["programs"] + worker["elsewhere"] for worker in workers)
    jobs = sum(worker["all"] for worker in workers)
    return {
        "models": name,
        "wall_seconds": seconds,
        "programs": programs,
        "jobs_elsewhere": jobs - programs,
        "of_these_the_report": _report(folder),
        "snakemake_shells_clients": snakemake,
        "outside": 1 - programs / (jobs + snakemake),
    }


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _report(folder: Path) -> float:
    with open(folder / "results" / "benchmark" / "report.tsv", newline="") as stream:
        return float(next(csv.DictReader(stream, delimiter="\t"))["cpu_time"])


def main() -> None:
    rows = []
    for name, models in MODELS.items():
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(name, models, Path(folder)))
        print(rows[-1], flush=True)
    write("pipeline", rows)


if __name__ == "__main__":
    main()
