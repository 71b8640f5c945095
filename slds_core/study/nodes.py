"""Which type of machine this is."""

import hashlib
import platform
from pathlib import Path


def node_type(description: Path = Path("/proc/cpuinfo")) -> str:
    """Returns a name that two machines share if one can run what was compiled on the other.

    Args:
        description: the kernel's account of the processors; where there is none, Python's shorter one is used.
    """
    try:
        lines = description.read_text().splitlines()
    except OSError:
        lines = []
    kept = sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))})
    known = "\n".join(kept) or platform.processor()
    return f"{platform.machine()}-{hashlib.sha256(known.encode()).hexdigest()[:8]}"
