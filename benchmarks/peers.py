"""The same smoothing by others: dynamax, NumPy with LAPACK, and plain C++ compiled on the spot."""

import ctypes
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from dynamax.hidden_markov_model.inference import hmm_posterior_sample, hmm_smoother
from dynamax.hidden_markov_model.parallel_inference import hmm_smoother as parallel_hmm_smoother
from dynamax.linear_gaussian_ssm import LinearGaussianSSM
from dynamax.linear_gaussian_ssm.inference import lgssm_posterior_sample, lgssm_smoother
from dynamax.linear_gaussian_ssm.parallel_inference import lgssm_smoother as parallel_lgssm_smoother
from scipy.linalg import cho_factor, cho_solve

from slds_core.chains.gaussian import GaussianPotentials, homogeneous


def linear_gaussian(time: int, latent: int, dtype: Any) -> tuple[GaussianPotentials, tuple[Any, Any]]:
    """Returns a chain as natural parameters, and the same chain as dynamax's parameters and observations."""
    generator = np.random.default_rng(0)
    dynamics = 0.9 * np.linalg.qr(generator.standard_normal((latent, latent)))[0]
    data = generator.standard_normal((time, latent))
    identity = np.eye(latent)
    model = LinearGaussianSSM(latent, latent)
    parameters, _ = model.initialize(
        jax.random.PRNGKey(0),
        initial_mean=jnp.zeros(latent, dtype),
        initial_covariance=jnp.asarray(identity, dtype),
        dynamics_weights=jnp.asarray(dynamics, dtype),
        dynamics_bias=jnp.zeros(latent, dtype),
        dynamics_covariance=jnp.asarray(identity, dtype),
        emission_weights=jnp.asarray(identity, dtype),
        emission_bias=jnp.zeros(latent, dtype),
        emission_covariance=jnp.asarray(identity, dtype),
    )
    quadratic = np.tile(-0.5 * identity, (time, 1, 1))
    quadratic[0] -= 0.5 * identity
    potentials = homogeneous(
        jnp.asarray(quadratic, dtype),
        jnp.asarray(data, dtype),
        quadratic_current=jnp.asarray(-0.5 * dynamics.T @ dynamics, dtype),
        cross=jnp.asarray(dynamics.T, dtype),
        quadratic_next=jnp.asarray(-0.5 * identity, dtype),
        linear_current=jnp.zeros(latent, dtype),
        linear_next=jnp.zeros(latent, dtype),
    )
    return potentials, (parameters, jnp.asarray(data, dtype))


def dynamax_smoother(arguments: tuple[Any, Any]) -> Any:
    """Returns dynamax's posterior of a linear Gaussian state-space model."""
    return lgssm_smoother(*arguments)


def dynamax_parallel(arguments: tuple[Any, Any]) -> Any:
    """Returns the same, by its smoother that is parallel in time."""
    return parallel_lgssm_smoother(*arguments)


def dynamax_path(key: Any, arguments: tuple[Any, Any]) -> Any:
    """Returns dynamax's draw of a path of a linear Gaussian state-space model."""
    return lgssm_posterior_sample(key, *arguments)


def dynamax_states(key: Any, arguments: tuple[Any, Any, Any]) -> Any:
    """Returns dynamax's draw of a path of a hidden Markov model."""
    return hmm_posterior_sample(key, *arguments)


def dynamax_hmm(arguments: tuple[Any, Any, Any]) -> Any:
    """Returns dynamax's posterior of a hidden Markov model."""
    return hmm_smoother(*arguments)


def dynamax_parallel_hmm(arguments: tuple[Any, Any, Any]) -> Any:
    """Returns the same, by its smoother that is parallel in time."""
    return parallel_hmm_smoother(*arguments)


def lapack(potentials: GaussianPotentials) -> Callable[[], np.ndarray]:
    """Returns a call that smooths by block Cholesky factors in NumPy, a LAPACK call a step, and returns the means."""
    quadratic, cross, linear = (np.asarray(x) for x in (potentials.quadratic, potentials.cross, potentials.linear))
    time, latent = linear.shape

    def call() -> np.ndarray:
        precision = -(quadratic + quadratic.transpose(0, 2, 1))
        from_past, linear_from_past = np.zeros((latent, latent)), np.zeros(latent)
        conditional, gain, offset = np.empty_like(quadratic), np.zeros_like(quadratic), np.empty_like(linear)
        for t in range(time):
            factor = cho_factor(precision[t] + from_past, lower=True, check_finite=False)
            conditional[t] = cho_solve(factor, np.eye(latent), check_finite=False)
            offset[t] = conditional[t] @ (linear[t] + linear_from_past)
            if t + 1 < time:
                gain[t] = conditional[t] @ cross[t]
                from_past, linear_from_past = -cross[t].T @ gain[t], cross[t].T @ offset[t]
        mean, covariance = np.zeros(latent), np.zeros((latent, latent))
        means, second, between = np.empty_like(linear), np.empty_like(quadratic), np.empty_like(cross)
        for t in reversed(range(time)):
            next_mean, cross_covariance = mean, gain[t] @ covariance
            mean = offset[t] + gain[t] @ next_mean
            covariance = conditional[t] + cross_covariance @ gain[t].T
            means[t], second[t] = mean, covariance + np.outer(mean, mean)
            if t + 1 < time:
                between[t] = cross_covariance + np.outer(mean, next_mean)
        return means

    return call


def plain_cpp(potentials: GaussianPotentials) -> Callable[[], np.ndarray]:
    """Returns a call of ``limit.cpp``, compiled for this size, precision and processor; it returns the means."""
    arrays = [np.ascontiguousarray(x) for x in (potentials.quadratic, potentials.cross, potentials.linear)]
    time, latent = arrays[2].shape
    dtype = arrays[2].dtype
    number = {"float64": "double", "float32": "float"}[dtype.name]
    source = Path(__file__).with_name("limit.cpp")
    folder = tempfile.mkdtemp()
    flags = ["-O3", "-march=native", "-ffast-math", "-shared", "-fPIC", f"-DSIZE={latent}", f"-DNUMBER={number}"]
    subprocess.run(["c++", *flags, str(source), "-o", f"{folder}/limit.so"], check=True)
    smooth = ctypes.CDLL(f"{folder}/limit.so").smooth
    smooth.restype = ctypes.c_double
    outputs = [np.empty_like(array) for array in arrays] + [np.empty(2 * time * latent**2 + time * latent, dtype)]
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (*arrays, *outputs)]

    def call() -> np.ndarray:
        smooth(ctypes.c_long(time), *pointers)
        return outputs[2]

    return call
