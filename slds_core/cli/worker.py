"""A process that runs the command lines of one job after another, so that imports and compiled programs are paid for once.

It is started by the first job that finds none (``slds_core.cli.client``), serves one job at a time, and ends with the run of Snakemake
that it belongs to, after a minute without work, or when it should not go on: see ``_spent``. A job that fails costs itself alone. A job
that is killed takes its worker with it, so that nothing goes on in the dark; the next job starts another.
"""

import contextlib
import os
import shutil
import socket
import sys
import threading
import time
import traceback
from pathlib import Path

from slds_core.cli import execute
from slds_core.cli.client import DECLINED, INTERRUPTED
from slds_core.study.worker_folder import alive

_STARTED = time.time()
_GLANCE = 0.5  # seconds between looks at whether the run is over
_IDLE = 60.0  # seconds without work after which memory is given back
_MAPPINGS, _MOST_MAPPINGS = Path("/proc/self/maps"), 30_000
"""Each compiled program maps memory; Linux allows a process 65,530 mappings, and XLA crashes when there are no more."""


def main() -> None:
    """Serves the socket of the first argument, for the run whose folder is the second."""
    descriptor, folder = int(sys.argv[1]), Path(sys.argv[2])
    silence = os.open(os.devnull, os.O_RDWR)
    with socket.socket(fileno=descriptor) as listener:
        listener.settimeout(_GLANCE)
        idle_since = time.monotonic()
        while _runs(folder) and time.monotonic() - idle_since < _IDLE:
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection:
                code = DECLINED if _outdated() else _serve(connection, silence)
                connection.sendall(bytes([code]))
            if code in (DECLINED, INTERRUPTED) or _spent():
                break
            idle_since = time.monotonic()


def _serve(connection: socket.socket, silence: int) -> int:
    """Runs one job, its output where the job's own would go, and returns its exit code."""
    connection.setblocking(True)
    size, streams, _, _ = socket.recv_fds(connection, 8, 2)
    folder, *arguments = map(os.fsdecode, _received(connection, int.from_bytes(size, "big")).split(b"\0"))
    done = threading.Event()
    threading.Thread(target=_end_with, args=(connection, done), daemon=True).start()
    for stream, descriptor in zip(streams, (1, 2), strict=True):
        os.dup2(stream, descriptor)
        os.close(stream)
    os.chdir(folder)
    try:
        return execute(arguments)
    except BaseException:  # with --debug
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor in (1, 2):
            os.dup2(silence, descriptor)  # whoever reads the job's output waits for its end
        done.set()


def _received(connection: socket.socket, size: int) -> bytes:
    message = b""
    while len(message) < size:
        part = connection.recv(size - len(message))
        if not part:
            raise ConnectionError("the job was killed while it asked")
        message += part
    return message


def _end_with(connection: socket.socket, done: threading.Event) -> None:
    """Ends this process if the job ends before its work does: it was killed."""
    with contextlib.suppress(OSError):
        connection.recv(1)  # a job says nothing more; this returns when it ends
    if not done.is_set():
        os._exit(1)


def _runs(folder: Path) -> bool:
    """Returns whether the run is alive that the folder belongs to. Where it was killed, nobody else removes the folder."""
    if not alive(folder):
        shutil.rmtree(folder, ignore_errors=True)
        return False
    return folder.is_dir()


def _outdated() -> bool:
    """Returns whether a source file in use was edited since this process began: a result would bear the name of other code."""
    installed = (sys.prefix, sys.base_prefix)
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    own = [file for file in files if file and not file.startswith(installed)]
    return any(not os.path.exists(file) or os.stat(file).st_mtime > _STARTED for file in own)


def _spent() -> bool:
    """Returns whether the next job should have another worker: mappings run out, or it holds most of a GPU's memory, taken in advance."""
    jax = sys.modules.get("jax")
    in_advance = os.environ.get("XLA_PYTHON_CLIENT_PREALLOCATE") not in ("false", "False", "0")
    if jax is not None and in_advance and jax.default_backend() != "cpu":
        return True
    return _MAPPINGS.exists() and _MAPPINGS.read_bytes().count(b"\n") > _MOST_MAPPINGS


if __name__ == "__main__":
    main()
