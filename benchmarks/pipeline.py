"""A study of 200 settings: how much of its processor time is numerical work, that is tracing, compiling and running programs.

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
MODELS = {
    "notebook": {"plugin": "notebook"},
    "random_1000": {"plugin": "random_slds", "time": 1000, "latent": 5, "states": 4},
    "random_10000": {"plugin": "random_slds", "time": 10_000, "latent": 5, "states": 4},
}


def measure(name: str, model: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Returns processor seconds of a study of one model, run from nothing: no result, no compiled program."""
    configuration = yaml.safe_load(STUDY.read_text()) | {"models": {name: model}}
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
        "model": name,
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
    for name, model in MODELS.items():
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(name, model, Path(folder)))
        print(rows[-1], flush=True)
    write("pipeline", rows)


if __name__ == "__main__":
    main()
