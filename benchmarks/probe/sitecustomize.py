"""Counts a worker's processor time in programs: tracing, compiling and running them. Python imports this file when it starts.

It stands apart from ``pipeline.py``, which puts its folder on the workers' path, since Python looks for it by name.
"""

import atexit
import json
import os
import sys
import time
from contextlib import contextmanager

FOLDER = os.environ.get("PROBE_FOLDER", "")


def count() -> None:
    import jax

    from slds_core.study import programs

    spent = {"programs": 0.0, "elsewhere": 0.0}
    inside = []

    @contextmanager
    def counted():
        inside.append(True)
        begin = time.process_time()
        try:
            yield
        finally:
            spent["programs"] += time.process_time() - begin
            inside.pop()

    compile_program, run = programs.compiled, programs.Program.__call__

    def counted_compile(*arguments):
        with counted():
            return compile_program(*arguments)

    def counted_run(self, *arguments):
        with counted():
            return jax.block_until_ready(run(self, *arguments))

    def compiled_elsewhere(event: str, seconds: float, **_: object) -> None:
        if not inside and event.startswith("/jax/core/compile/"):  # what builds a model has programs of its own
            spent["elsewhere"] += seconds

    programs.compiled = counted_compile  # before the stages take it from there
    programs.Program.__call__ = counted_run
    jax.monitoring.register_event_duration_secs_listener(compiled_elsewhere)
    atexit.register(_write, spent)


def _write(spent: dict[str, float]) -> None:
    with open(os.path.join(FOLDER, f"{os.getpid()}.json"), "w") as stream:
        json.dump(spent | {"all": time.process_time()}, stream)


if FOLDER and "slds_core.cli.worker" in sys.orig_argv:
    count()
