"""The bound of a trained model with inference converged, as variables of its file: the same judge whatever estimator trained it."""

import equinox as eqx
import jax.numpy as jnp

from slds_core.learning.factors import divergence
from slds_core.learning.judge import converged_bound
from slds_core.learning.run import Progress, Run
from slds_core.study.evaluation import Variables


def final_bound(run: Run, progress: Progress) -> Variables:
    """Returns the bound on the data that were learnt from, per observed entry, its standard error, and how far inference converged."""
    found = eqx.filter_jit(converged_bound)(progress.model, run.whole(), jnp.asarray(run.marginals(progress)))
    shared = float(eqx.filter_jit(divergence)(progress.model.factors, run.learner.prior))
    bound = (float(found.likelihood - found.local_divergence) - shared) / run.entries
    error = float(found.standard_error) / run.entries
    return {
        "training_final_bound": (
            (),
            bound,
            "bound after the last epoch, inference converged, per observed entry",
            "nat",
        ),
        "training_final_bound_standard_error": (
            (),
            error,
            "its standard error, of the samples that a decoder with a network draws",
            "nat",
        ),
        "training_final_residual": ((), float(found.residual), "largest change in one more sweep there", "1"),
    }
