"""What a plugin may need of a model. Where the model lacks it, the plugin declines: the study goes on without it."""

from typing import Any

from slds_core.plugins.base import Declined, Plugin


def needs_mean_field(plugin: Plugin, problem: Any) -> None:
    """Raises where the model has not the two halves, and with them the Fisher products, of a mean field.

    Raises:
        Declined: says which plugin asked, and which model was found.
    """
    from slds_core.fixed_point import MeanField

    if not isinstance(problem, MeanField):
        raise Declined(f"{type(plugin).__name__} needs a mean-field model, found {type(problem).__name__}")


def needs_monitor(plugin: Plugin, problem: Any, parameters: Any, state: Any, monitor: str) -> None:
    """Raises where the model does not trace a monitor of that name.

    Raises:
        Declined: names the monitors that there are.
        ValueError: one of them has nearly that name: it was misspelt, and the study would go on without what was asked for.
    """
    import difflib

    import jax

    posterior = jax.eval_shape(problem.posterior, parameters, state)
    known = ["elbo", *jax.eval_shape(problem.monitors, posterior)]
    if monitor in known:
        return
    if meant := difflib.get_close_matches(monitor.lower(), ["residual", *known], n=1, cutoff=0.7):
        raise ValueError(f"criterion: no monitor '{monitor}' in {type(problem).__name__}; did you mean '{meant[0]}'?")
    raise Declined(
        f"{type(plugin).__name__} needs the monitor '{monitor}', found only {', '.join(known)} in {type(problem).__name__}"
    )
