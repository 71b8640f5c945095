"""How XLA compiles a study's programs: most jobs spend more time in the compiler than in what it makes."""

from importlib.metadata import version

_FEWEST_OPTIMISATIONS = (
    "--xla_backend_optimization_level=1"  # as fast programs as the last level's, compiled in 0.8 to 1.1 of the time
)
_OLDER_GENERATOR = (
    "--xla_cpu_use_fusion_emitters=false"  # as fast programs as the newer one's, in 0.4 to 0.8 of the time
)
_KNOWN_IN = (
    "0.10."  # XLA ends a process that gives it a flag which it does not know, so later versions have to be tried first
)


def xla_flags(own: str = "", jaxlib: str | None = None) -> str:
    """Returns the flags for the environment variable ``XLA_FLAGS``.

    Args:
        own: those of whoever runs the study; they come last, and so win.
        jaxlib: its version, by default the installed one's.
    """
    known = (jaxlib or version("jaxlib")).startswith(_KNOWN_IN)
    return " ".join([_FEWEST_OPTIMISATIONS, *([_OLDER_GENERATOR] if known else []), own]).strip()
