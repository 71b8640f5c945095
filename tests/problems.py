"""Random well-posed potentials, drawn in NumPy: the same in every precision, up to its rounding."""

import jax
import jax.numpy as jnp
import numpy as np
from tolerances import DTYPE

from slds_core.chains.gaussian import GaussianPotentials
from slds_core.chains.hmm import HMMPotentials
from slds_core.expfam.mniw import MatrixNormalInverseWishart
from slds_core.expfam.niw import NormalInverseWishart
from slds_core.fixed_point import Field, FixedPoint
from slds_core.models.slds import RecognitionPotentials, SLDSPotentials, expected_potentials


def as_jax(tree):
    """Returns a tree of NumPy arrays as JAX arrays of the run's precision."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, DTYPE), tree)


def direction_like(tree, seed):
    """Returns a random tree of the same shapes."""
    generator = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jnp.asarray(generator.standard_normal(np.shape(leaf)), DTYPE), tree)


def positive_definite(generator, size, batch=()):
    """Returns symmetric matrices with eigenvalues between 1 and about 1 + 4."""
    root = generator.standard_normal((*batch, size, size)) / np.sqrt(size)
    return root @ np.swapaxes(root, -1, -2) + np.eye(size)


def gaussian_chain(time, latent, seed=0, *, missing=()) -> GaussianPotentials:
    """Returns a chain whose precision is positive definite, being that of linear dynamics and observations.

    ``quadratic`` has an antisymmetric part, which must not matter.

    Args:
        missing: time steps without an observation: nothing but the dynamics acts on them.
    """
    generator = np.random.default_rng(seed)
    steps = max(time - 1, 0)
    matrix = 0.8 * generator.standard_normal((steps, latent, latent)) / np.sqrt(latent)
    noise = positive_definite(generator, latent, (steps,))
    quadratic = -0.5 * positive_definite(generator, latent, (time,))
    linear = generator.standard_normal((time, latent))
    quadratic[list(missing)], linear[list(missing)] = 0, 0
    quadratic[:-1] -= 0.5 * np.swapaxes(matrix, -1, -2) @ noise @ matrix
    quadratic[1:] -= 0.5 * noise
    skew = generator.standard_normal((time, latent, latent))
    return as_jax(
        GaussianPotentials(
            quadratic=quadratic + skew - np.swapaxes(skew, -1, -2),
            cross=np.swapaxes(matrix, -1, -2) @ noise,
            linear=linear,
        )
    )


def discrete_chain(time, state, seed=0, *, varying=False, spread=1.0) -> HMMPotentials:
    """Returns log-potentials, normalised nowhere."""
    generator = np.random.default_rng(seed)
    step = (max(time - 1, 0),) if varying else ()
    return as_jax(
        HMMPotentials(
            initial=spread * generator.standard_normal(state),
            transition=spread * generator.standard_normal((*step, state, state)),
            unary=spread * generator.standard_normal((time, state)),
        )
    )


def slds(time, latent, state, seed=0, *, missing=()) -> tuple[SLDSPotentials, jax.Array]:
    """Returns the potentials of an SLDS with random global factors, and random marginals to start from.

    Args:
        missing: time steps whose recognition potentials are zero.
    """
    generator = np.random.default_rng(seed)
    quadratic = -0.5 * positive_definite(generator, latent, (time,))
    linear = 2 * generator.standard_normal((time, latent))
    quadratic[list(missing)], linear[list(missing)] = 0, 0
    first_step = NormalInverseWishart(
        scale=positive_definite(generator, latent),
        location=generator.standard_normal(latent),
        strength=np.array(2.0),
        degrees=np.array(latent + 3.0),
    )
    location = np.concatenate([0.8 * np.eye(latent), np.zeros((latent, 1))], axis=1)
    dynamics = MatrixNormalInverseWishart(
        scale=positive_definite(generator, latent, (state,)),
        location=location + 0.5 * generator.standard_normal((state, latent, latent + 1)),
        strength=5 * positive_definite(generator, latent + 1, (state,)),
        degrees=np.full(state, latent + 4.0),
    )
    concentrations = generator.uniform(0.5, 3, state), generator.uniform(0.5, 3, (state, state))
    start = generator.dirichlet(np.ones(state), max(time - 1, 0)).reshape(-1, state)
    recognition = RecognitionPotentials(quadratic, linear)
    return expected_potentials(*as_jax((recognition, first_step, dynamics, *concentrations))), as_jax(start)


class Affine(FixedPoint):
    """``x = A x + b``, with ``A`` no symmetric matrix and ``x`` in two pieces: a stranger's model, solvable by hand."""

    def posterior(self, parameters, state):
        old = jnp.concatenate([state["head"], state["tail"]])
        new = parameters["matrix"] @ old + parameters["offset"]
        # A is a contraction in the Euclidean norm: minus the squared step never falls, as a bound must not
        return {"state": {"head": new[:1], "tail": new[1:]}, "elbo": -jnp.sum((new - old) ** 2)}

    def state(self, posterior):
        return posterior["state"]

    def elbo(self, posterior):
        return posterior["elbo"]

    def statistics(self, posterior):
        return posterior["state"]

    def parameter_fields(self):
        return {"matrix": Field(("row", "column"), "A"), "offset": Field(("row",), "b")}

    def state_fields(self):
        return {"head": Field(("first",), "first entry of x"), "tail": Field(("rest",), "other entries of x")}

    def statistics_fields(self):
        return self.state_fields()


def affine(size=4, seed=0, contraction=0.5):
    """Returns parameters of ``Affine`` with spectral norm ``contraction``, and a state to start from."""
    generator = np.random.default_rng(seed)
    matrix = generator.standard_normal((size, size))
    matrix *= contraction / np.linalg.norm(matrix, 2)
    parameters = {"matrix": matrix, "offset": generator.standard_normal(size)}
    return as_jax(parameters), as_jax({"head": np.zeros(1), "tail": np.zeros(size - 1)})
