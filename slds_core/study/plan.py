"""What a study is going to do, before it does it: jobs, most sweeps, memory."""

from typing import Any

from slds_core.study import registry
from slds_core.study.guard import failures_of
from slds_core.study.schema import Configuration, Setting
from slds_core.study.trainings import learnt_models

_PROGRAM_SWEEPS = 4  # what a compiled program keeps at a time beside what it stores, in sweeps


def describe(study: Configuration) -> str:
    """Returns the plan as text.

    Args:
        study: a checked configuration.
    """
    models, inference, gradients = len(study.models), len(study.inference), len(study.gradients)
    learnt = len(learnt_models(study))
    jobs = {
        "build_model": models - learnt,
        "fit": learnt,
        "infer": models * inference,
        "residual": models * inference,
        "gradient": models * gradients,
        "compare": models if gradients else 0,
        "report": 1,
    }
    counted = ", ".join(f"{rule} {count}" for rule, count in jobs.items() if count)
    blocks = [f"{study.title} ({study.precision})", f"Jobs: {sum(jobs.values())} ({counted})"]
    blocks.append(_table("Models", [(name, _plugin(s), _sizes(s)) for name, s in study.models.items()]))
    blocks.append(
        _table("Inference", [(name, _plugin(s), _limit("inference", s)) for name, s in study.inference.items()])
    )
    rows = [
        (name, f"{_plugin(s)} at {s.at}" if s.at else _plugin(s), f"{_limit('gradients', s)}, {_memory(study, s)}")
        for name, s in study.gradients.items()
    ]
    if rows:
        blocks.append(_table("Gradients", rows))
        blocks.append(f"References: {', '.join(study.references) or 'each gradient in turn, but finite differences'}")
    blocks.append(
        f"Memory is an estimate for the largest model{_left_out(study)}, of the mathematics alone: "
        "each job's Python and JAX take some 400 MiB."
    )
    return "\n\n".join(blocks)


def sweep_bytes(sizes: dict[str, int], item: int) -> int:
    """Returns about how much one sweep of an SLDS leaves behind for its derivative (bytes): chains' residuals and statistics.

    Args:
        sizes: ``time``, ``latent`` and ``states``.
        item: bytes of one number.
    """
    return sizes["time"] * (7 * sizes["latent"] ** 2 + 8 * sizes["states"]) * item


def _memory(study: Configuration, setting: Setting) -> str:
    item = 8 if study.precision == "float64" else 4
    needed = []
    for model in study.models.values():
        sizes = _ask("models", model, "sizes")
        if sizes is not None:
            sweep, unknowns = sweep_bytes(sizes, item), sizes["time"] * sizes["states"]
            needed.append(_PROGRAM_SWEEPS * sweep + _ask("gradients", setting, "stored_bytes", sweep, unknowns, item))
    if not needed:
        return "memory unknown before the model is built"
    mebibytes = max(needed) / 2**20
    return f"about {mebibytes:.1f} MiB" if mebibytes < 10 else f"about {mebibytes:.0f} MiB"


def _left_out(study: Configuration) -> str:
    """Returns how many models the estimates leave out since their sizes are unknown, where some are known; else nothing."""
    unknown = [_ask("models", model, "sizes") is None for model in study.models.values()]
    count = sum(unknown)
    if not count or all(unknown):
        return ""
    return f" of known size ({count} of unknown size {'is' if count == 1 else 'are'} left out)"


def _limit(kind: str, setting: Setting) -> str:
    effort = _ask(kind, setting, "effort")
    return "no limit on sweeps" if effort is None else f"at most {effort} sweeps and products"


def _sizes(setting: Setting) -> str:
    sizes = _ask("models", setting, "sizes")
    return "sizes known once built" if sizes is None else ", ".join(f"{name} {size}" for name, size in sizes.items())


def _ask(kind: str, setting: Setting, method: str, *arguments: Any) -> Any:
    """Returns what a setting's plugin answers.

    Raises:
        StudyError: it fails, which is told as its own failure.
    """
    plugin = registry.make(kind, setting.plugin, setting.parameters)
    with failures_of(setting.plugin, type(plugin)):
        return getattr(plugin, method)(*arguments)


def _plugin(setting: Setting) -> str:
    return setting.plugin.rpartition("/")[2]


def _table(title: str, rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = [
        "  " + "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join([title, *lines])
