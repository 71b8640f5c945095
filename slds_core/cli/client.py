"""What the workflow's jobs start: it hands a command line to a process that lives on between jobs, or runs it in its own.

Starting Python, importing JAX and compiling cost seconds, most settings' arithmetic less than one. So the jobs of one run of Snakemake on
one machine share *workers*, as many as jobs run at once (``slds_core.cli.worker``). A job holds the lock of one of them while it
lasts. Nothing depends on a worker: where none can be had, or one dies, the job does its work itself.

This file is run as a script once a job and takes 9 ms, 7 of which Python takes to start. ``socket`` and ``json`` would take as long again,
so it speaks through what is below ``socket``, in words with zeros between.
"""

import _socket
import fcntl
import itertools
import os
import sys

FOLDER = "SLDS_WORKERS"
"""The environment variable with the folder of a run's locks and sockets; empty where each job is to have a process of its own."""

DECLINED = 255
"""What a worker answers that will not serve any more."""

INTERRUPTED = 130

_ALONE = (sys.executable, "-m", "slds_core.cli")
_WORKER = (sys.executable, "-m", "slds_core.cli.worker")


def main() -> None:
    """Runs the command line of this process, by a worker or alone."""
    arguments, folder = sys.argv[1:], os.environ.get(FOLDER, "")
    try:
        code = _by_a_worker(folder, arguments) if folder else DECLINED
    except OSError:  # no sockets, no room for them, or the worker died between two messages
        code = DECLINED
    except KeyboardInterrupt:  # which the worker, of the same terminal, has been told as well
        code = INTERRUPTED
    if code == DECLINED:
        os.execv(_ALONE[0], [*_ALONE, *arguments])
    sys.exit(code)


def _by_a_worker(folder: str, arguments: list[str]) -> int:
    # what was started for another number of threads cannot change it
    name = os.path.join(folder, os.environ.get("OMP_NUM_THREADS", "1"))
    for number in itertools.count():
        lock = os.open(f"{name}-{number}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until this process ends, however it does
        except BlockingIOError:
            os.close(lock)
            continue
        return _ask(f"{name}-{number}.socket", arguments)
    raise AssertionError


def _ask(path: str, arguments: list[str]) -> int:
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        try:
            connection.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            _start(path)
            connection.connect(path)
        request = b"\0".join(map(os.fsencode, [os.getcwd(), *arguments]))
        streams = b"".join(stream.to_bytes(4, sys.byteorder) for stream in (1, 2))  # it writes where this process would
        connection.sendmsg([len(request).to_bytes(8, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
        connection.sendall(request)
        answer = connection.recv(1)
    finally:
        connection.close()
    if not answer:
        print("slds: the shared process died; its job begins again in one of its own", file=sys.stderr, flush=True)
    return answer[0] if answer else DECLINED


def _start(path: str) -> None:
    """Starts a worker that takes its jobs from a socket at ``path``; it is open before the worker is there."""
    import socket

    if os.path.exists(path):
        os.unlink(path)  # of one that is no more
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(1)
        listener.set_inheritable(True)
        silent = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_RDWR, 0) for stream in (0, 1, 2)]
        command = [*_WORKER, str(listener.fileno()), os.path.dirname(path)]
        os.posix_spawn(command[0], command, os.environ, file_actions=silent)


if __name__ == "__main__":
    main()
