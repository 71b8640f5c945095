"""A small study that stopped half-way: made once, without Snakemake."""

from pathlib import Path

import yaml

from slds_core.study.stages.build_model import build_model
from slds_core.study.stages.compare import compare
from slds_core.study.stages.gradient import gradient
from slds_core.study.stages.infer import infer
from slds_core.study.stages.residual import residual

NASTY = "<script>alert(1)<script>"  # a model's name; "/" can be in no file's
MODEL = {"plugin": "random_slds", "parameters": {"time": 12, "latent": 2, "states": 2}}
CONFIGURATION = {
    "title": "A study & its <half>",
    "models": {"tiny": {"plugin": "random_slds", "time": 12, "latent": 2, "states": 2}},
    "inference": {
        "five": {"plugin": "coordinate_ascent", "max_sweeps": 5},
        "newton": {"plugin": "newton_cg"},
        "later": {"plugin": "coordinate_ascent", "max_sweeps": 50},
    },
    "objective": {"plugin": "linear"},
    "gradients": {
        "unrolled": {"plugin": "unrolled", "sweeps": 20},
        "fisher_cg": {"plugin": "fisher_cg", "at": "newton"},
        "richardson": {"plugin": "richardson", "at": "newton"},
    },
    "references": ["fisher_cg"],
}
OBJECTIVE = {"plugin": "linear", "parameters": {}}


def write_study(folder: Path) -> Path:
    """Writes a configuration, results, logs and benchmarks: one gradient failed, one inference has not run."""
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIGURATION, sort_keys=False))
    results = folder / "results"
    tiny = results / "tiny"
    build_model("tiny", MODEL, "float64", tiny / "model.nc")
    for name, plugin, parameters in (("five", "coordinate_ascent", {"max_sweeps": 5}), ("newton", "newton_cg", {})):
        chosen = {"plugin": plugin, "parameters": parameters}
        infer(tiny / "model.nc", name, chosen, tiny / "inference" / f"{name}.nc")
        residual(tiny / "model.nc", tiny / "inference" / f"{name}.nc", name, tiny / "residual" / f"{name}.nc")
    newton = tiny / "inference" / "newton.nc"
    for name, parameters, at in (("unrolled", {"sweeps": 20}, None), ("fisher_cg", {}, newton)):
        chosen = {"plugin": name, "parameters": parameters}
        gradient(tiny / "model.nc", at, name, chosen, OBJECTIVE, tiny / "gradient" / f"{name}.nc")
    compare(
        [tiny / "gradient" / f"{name}.nc" for name in ("unrolled", "fisher_cg")], ["fisher_cg"], tiny / "comparison.nc"
    )
    build_model(NASTY, MODEL, "float64", results / "nasty" / "model.nc")
    log = results / "log" / "tiny" / "gradient" / "richardson.log"
    log.parent.mkdir(parents=True)
    log.write_text("a line of the log before it\nslds gradient: the machine ran out of memory\n")
    for name, seconds in (("five", 3.5), ("newton", 4.25)):
        place = results / "benchmark" / "tiny" / "inference" / f"{name}.tsv"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"s\th:m:s\tmax_rss\tcpu_time\n{seconds}\t0:00:03\t400.5\t3.0\n")
    return folder
