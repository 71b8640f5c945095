# The checked configuration, and how a setting becomes a command line.
import atexit
import shlex
import shutil
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

from slds_core.study import looks, registry, worker_folder
from slds_core.study.assignments import as_text
from slds_core.study.compiler import xla_flags
from slds_core.study.configuration import read_files
from slds_core.study.errors import StudyError
from slds_core.study.nodes import node_type
from slds_core.study.provenance import code_hash
from slds_core.study.registry import available
from slds_core.study.resolve import input_files
from slds_core.study.sources import PACKAGE
from slds_core.study.trainings import checkpoint_before, learnt_models

try:
    STUDY = read_files(map(Path, workflow.configfiles), config)
except StudyError as error:
    raise WorkflowError(str(error))

# Compiled programs outlive their process: the second job that needs one takes it from here. They hold instructions of the
# processor that compiled them, so each type of node has its own; a job reads this file on the node that it runs on.
CACHE = os.path.abspath(os.environ.get("SLDS_CACHE", ".cache"))
COMPILED = shlex.quote(os.path.join(CACHE, "jax", node_type()))
# A killed training goes on from here: what it leaves in results/ is removed.
TRAINING = shlex.quote(os.path.join(CACHE, "training"))
FLAGS = shlex.quote(xla_flags(os.environ.get("XLA_FLAGS", "")))


def literal(text):
    """A text in which Snakemake finds nothing to fill in."""
    return text.replace("{", "{{").replace("}", "}}")


# Jobs of this run share processes; they end with it, and with the folder of their sockets.
WORKERS = "" if os.environ.get("SLDS_PROCESS_PER_JOB") else worker_folder.make()
if WORKERS:
    atexit.register(shutil.rmtree, WORKERS, ignore_errors=True)

CLIENT = shlex.quote(str(PACKAGE / "cli" / "client.py"))

# `slds` is this environment's, activated or not; XLA takes its number of threads from NPROC, matplotlib caches
# fonts, and jobs at once on one GPU share its memory: by itself, JAX takes three quarters of it
PREFIX = (
    f'slds() ( exec {shlex.quote(sys.executable)} -S {CLIENT} "$@" ); '
    f"export SLDS_WORKERS={shlex.quote(WORKERS)} XLA_FLAGS={FLAGS} JAX_COMPILATION_CACHE_DIR={COMPILED} JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0 "
    f"TRAINING={TRAINING} MPLCONFIGDIR={shlex.quote(os.path.join(CACHE, 'matplotlib'))} NPROC=$OMP_NUM_THREADS "
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES=-1 TF_CPP_MIN_LOG_LEVEL=2 "
    "XLA_PYTHON_CLIENT_PREALLOCATE=${XLA_PYTHON_CLIENT_PREALLOCATE:-false}; set -euo pipefail; "
)
shell.prefix(literal(PREFIX))


wildcard_constraints:
    model="|".join(map(re.escape, STUDY.models)),
    setting="[^/]+",


def cores(rule):
    """How many cores a rule's jobs use."""
    return STUDY.needs(rule).get("threads", 1)


def needs(rule, mem_mb, runtime):
    """What a rule's jobs ask of a scheduler; one that is tried again, perhaps for want of memory, asks for more of it."""
    asked = {"mem_mb": mem_mb, "runtime": runtime} | STUDY.needs(rule)
    asked.pop("threads", None)
    memory = asked["mem_mb"]
    return asked | {"mem_mb": lambda wildcards, attempt: memory * attempt}


def plugin(setting, plugin="--plugin", parameter="--set"):
    """The options that name a setting's plugin and its parameters, sorted: their order in the file changes nothing."""
    options = [plugin, setting.plugin]
    for key, value in sorted(setting.parameters.items()):
        options += [parameter, as_text(key, value)]
    return shlex.join(options)


def named(settings, kind):
    """A setting by the wildcard's name; an error that names the alternatives where there is none."""

    def lookup(wildcards):
        if wildcards.setting not in settings:
            raise WorkflowError(
                f"{kind}: no setting '{wildcards.setting}' in the configuration; expected one of: {', '.join(settings)}"
            )
        return settings[wildcards.setting]

    return lookup


# of the state that the run begins with, for all jobs alike
identity = cache(registry.identity)

# Some models are built, others learnt, by a rule each; whatever comes after takes either.
MODEL = "results/{model}/model.nc"
LEARNT = learnt_models(STUDY)


def one_of(names):
    """A wildcard's pattern that matches these names, nothing where there are none."""
    return "|".join(map(re.escape, names)) or "(?!)"


def plugin_of_model(wildcards):
    """What tells one state of the model's plugin from another: editing it reruns what used it, and nothing else."""
    return identity("models", STUDY.models[wildcards.model].plugin)


inference_setting = named(STUDY.inference, "inference")
gradient_setting = named(STUDY.gradients, "gradients")


def differentiated_at(wildcards):
    """The inference file that an implicit estimator differentiates at; none for those that start from the model."""
    setting = gradient_setting(wildcards).at
    return (
        [] if setting is None else f"results/{wildcards.model}/inference/{setting}.nc"
    )


def finished_part():
    """The report's job and what is there of its input, where jobs that it waits for did not finish; nothing otherwise."""
    job = next((job for job in workflow.dag.jobs if job.rule.name == "report"), None)
    if job is None or not workflow.dag.needrun(job):
        return None
    # what an unfinished job should have made anew may still be there, out of date
    missing = {path for other in workflow.dag.needrun_jobs() for path in other.output}
    there = [path for path in job.input if path not in missing]
    return (job, there) if len(there) < len(job.input) else None
