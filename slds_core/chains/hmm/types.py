"""Natural parameters and expected statistics of a hidden Markov model."""

import equinox as eqx
from jaxtyping import Array, Float


class HMMPotentials(eqx.Module):
    """Log-potentials; none needs to be normalised, and ``-inf`` forbids a state or a transition.

    ``transition`` is shared by all steps, or has a leading axis with one matrix a step.
    """

    initial: Float[Array, "*chain state"]
    transition: Float[Array, "*step state state"]  # from row to column
    unary: Float[Array, "time state"]


class HMMStatistics(eqx.Module):
    """Expected statistics, in the order and the shapes of the log-potentials."""

    initial: Float[Array, "*chain state"]  # P(k_0); zero for a chain of no steps
    transition: Float[Array, "*step state state"]  # P(k_t, k_{t+1}), summed over t where the potentials are shared
    marginals: Float[Array, "time state"]  # P(k_t)


class HMMResiduals(eqx.Module):
    """What the Fisher product needs of a finished smoothing."""

    transition: Float[Array, "*step state state"]  # the log-potentials
    filtered: Float[Array, "time state"]  # log P(k_t | unary potentials up to t)
    predicted: Float[Array, "transition state"]  # log-normaliser of P(k_t | k_{t+1}, …), by k_{t+1}
    marginals: Float[Array, "time state"]
