"""Compiles the kernels; run at installation, or by hand: ``python -m slds_core.chains.native.build``."""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FOLDER = Path(__file__).parent
LIBRARY = FOLDER / "kernels.so"
SOURCES = ("gaussian.cpp", "hmm.cpp")


class NoCompiler(Exception):
    """There is nothing to compile the kernels with, or it failed; the message says why."""


def build(library: Path = LIBRARY) -> Path:
    """Returns the path of the library, compiled anew and moved into its place when it is whole.

    Args:
        library: where it goes.

    Raises:
        NoCompiler: no C++17 compiler was found (``CXX`` names one), the headers of JAX are not installed, or compiling failed.
    """
    options = ["-std=c++17", "-O3", *target(), "-fPIC", "-isystem", _headers()]
    with tempfile.TemporaryDirectory(dir=library.parent, prefix=".kernels-") as work, ThreadPoolExecutor() as pool:
        objects = [f"{work}/{source}.o" for source in SOURCES]
        commands = [
            [*compiler(), *options, "-c", str(FOLDER / source), "-o", made]
            for source, made in zip(SOURCES, objects, strict=True)
        ]
        list(pool.map(_run, commands))
        _run([*compiler(), "-shared", *objects, "-o", f"{work}/library"])
        os.replace(f"{work}/library", library)
    return library


def compiler() -> list[str]:
    """Returns the command of a C++ compiler: what ``CXX`` says, or the first that is installed.

    Raises:
        NoCompiler: there is none.
    """
    named = shlex.split(os.environ.get("CXX", ""))
    for command in [named] if named else [["g++"], ["clang++"], ["c++"]]:
        if shutil.which(command[0]):
            return command
    raise NoCompiler(f"no C++ compiler found: {' '.join(named) or 'g++, clang++ or c++'}")


def target() -> list[str]:
    """Returns the options for the processor: on x86-64, its third level, with AVX2 and FMA.

    Intel's Core processors have had it since 2013, AMD's since 2015, Atoms only since 2021. The library asks before it is used.
    """
    return ["-march=x86-64-v3"] if sysconfig.get_platform().endswith("x86_64") else []


def _headers() -> str:
    try:
        import jaxlib
    except ImportError as error:
        raise NoCompiler("jaxlib, whose headers the kernels need, is not installed") from error
    return str(Path(jaxlib.__file__).parent / "include")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise NoCompiler(f"{shlex.join(command)} failed:\n{done.stderr}")


if __name__ == "__main__":
    try:
        print(build())
    except NoCompiler as error:
        sys.exit(str(error))
