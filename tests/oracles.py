"""Independent truth in float64 NumPy: dense joint Gaussians and enumerated paths. Slow, and too simple to be wrong.

Nothing here shares code with the package beyond its containers.
"""

import itertools
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp
from tolerances import dense

from slds_core.chains.gaussian import GaussianStatistics
from slds_core.chains.hmm import HMMPotentials, HMMStatistics


class Moments(NamedTuple):
    """Log-partition, mean and covariance of a joint Gaussian over all steps."""

    log_partition: float
    mean: np.ndarray
    covariance: np.ndarray


def joint_gaussian(potentials) -> Moments:
    """Returns the joint Gaussian of a chain, assembled densely."""
    potentials = dense(potentials)
    time, latent = potentials.linear.shape
    precision = np.zeros((time, latent, time, latent))
    for t in range(time):
        precision[t, :, t, :] -= potentials.quadratic[t] + potentials.quadratic[t].T
    for t in range(time - 1):
        precision[t, :, t + 1, :] -= potentials.cross[t]
        precision[t + 1, :, t, :] -= potentials.cross[t].T
    return integrate(precision.reshape(time * latent, -1), potentials.linear.ravel())


def integrate(precision, linear) -> Moments:
    """Returns log-partition and moments of ``exp(-½ zᵀ precision z + linearᵀ z)``."""
    assert np.all(np.linalg.eigvalsh(precision) > 0), "the oracle needs a positive definite precision"
    covariance = np.linalg.inv(precision)
    mean = covariance @ linear
    log_determinant = np.linalg.slogdet(precision)[1]
    return Moments(0.5 * (linear @ mean + linear.size * np.log(2 * np.pi) - log_determinant), mean, covariance)


def gaussian_statistics(joint: Moments, time: int) -> GaussianStatistics:
    """Returns a chain's expected statistics, read off its joint Gaussian."""
    latent = joint.mean.size // time
    second = (joint.covariance + np.outer(joint.mean, joint.mean)).reshape(time, latent, time, latent)
    return GaussianStatistics(
        second_moment=np.stack([second[t, :, t, :] for t in range(time)]),
        cross_moment=np.array([second[t, :, t + 1, :] for t in range(time - 1)]).reshape(time - 1, latent, latent),
        mean=joint.mean.reshape(time, latent),
    )


def gaussian_fisher(joint: Moments, time: int) -> np.ndarray:
    """Returns the covariance matrix of a chain's sufficient statistics, by Isserlis' theorem.

    Each statistic is ``z_i z_j`` or ``z_i``; a constant 1 appended to ``z`` makes the second a case of the first. With the
    raw second moments ``S`` and the means ``m``, ``Cov(z_i z_j, z_k z_l) = S_ik S_jl + S_il S_jk - 2 m_i m_j m_k m_l``.
    """
    size = joint.mean.size
    mean = np.append(joint.mean, 1.0)
    second = np.pad(joint.covariance, (0, 1)) + np.outer(mean, mean)
    index = np.arange(size).reshape(time, -1)
    pairs = [(i, j) for t in range(time) for i in index[t] for j in index[t]]
    pairs += [(i, j) for t in range(time - 1) for i in index[t] for j in index[t + 1]]
    pairs += [(i, size) for i in range(size)]
    i, j = np.array(pairs).T
    products = mean[i] * mean[j]
    return (
        second[np.ix_(i, i)] * second[np.ix_(j, j)]
        + second[np.ix_(i, j)] * second[np.ix_(j, i)]
        - 2 * np.outer(products, products)
    )


class Paths(NamedTuple):
    """All paths of a discrete chain."""

    paths: np.ndarray  # (path, time)
    log_weight: np.ndarray  # unnormalised, (path,)

    @property
    def log_partition(self) -> float:
        return float(logsumexp(self.log_weight))

    @property
    def probability(self) -> np.ndarray:
        return np.exp(self.log_weight - self.log_partition)


def enumerate_paths(potentials) -> Paths:
    """Returns every path with its log-weight; a chain of no steps has one path, of weight one."""
    potentials = dense(potentials)
    time, state = potentials.unary.shape
    paths = np.array(list(itertools.product(range(state), repeat=time)), int).reshape(state**time, time)
    if time == 0:
        return Paths(paths, np.zeros(1))
    transition = np.broadcast_to(potentials.transition, (time - 1, state, state))
    weight = potentials.initial[paths[:, 0]]
    for t in range(time):
        weight = weight + potentials.unary[t, paths[:, t]]
    for t in range(time - 1):
        weight = weight + transition[t, paths[:, t], paths[:, t + 1]]
    return Paths(paths, weight)


def indicators(paths: Paths, potentials) -> np.ndarray:
    """Returns each path's sufficient statistics as a row, in the order of the log-potentials."""
    time, state = potentials.unary.shape
    one = np.eye(state)[paths.paths]  # (path, time, state)
    moves = np.einsum("pti,ptj->ptij", one[:, :-1], one[:, 1:])
    if potentials.transition.ndim == 2:
        moves = moves.sum(1)
    first = one[:, 0] if time else np.zeros((1, state))
    return np.concatenate([first, moves.reshape(len(one), -1), one.reshape(len(one), -1)], axis=1)


def hmm_statistics(paths: Paths, potentials) -> HMMStatistics:
    """Returns a discrete chain's expected statistics."""
    time, state = potentials.unary.shape
    flat = paths.probability @ indicators(paths, potentials)
    shape = potentials.transition.shape
    initial, transition, marginals = np.split(flat, [state, state + int(np.prod(shape))])
    return HMMStatistics(initial, transition.reshape(shape), marginals.reshape(time, state))


def hmm_fisher(paths: Paths, potentials) -> np.ndarray:
    """Returns the covariance matrix of a discrete chain's sufficient statistics."""
    rows = indicators(paths, potentials)
    centred = rows - paths.probability @ rows
    return centred.T @ (paths.probability[:, None] * centred)


class SLDSTruth(NamedTuple):
    """One sweep of mean field and its bounds."""

    joint: Moments
    gaussian: GaussianStatistics
    unary: np.ndarray
    discrete: HMMStatistics
    discrete_log_partition: float
    elbo: float
    kl: float


def slds_sweep(potentials, marginals) -> SLDSTruth:
    """Returns one sweep from ``marginals``: dense joint Gaussian, enumerated paths, the bound term by term."""
    potentials, marginals = dense(potentials), dense(marginals)
    time, latent = potentials.recognition.linear.shape
    joint = integrate(*_assemble(potentials, marginals))
    statistics = gaussian_statistics(joint, time)

    p, second, cross, mean = potentials.dynamics, *vars(statistics).values()
    unary = np.zeros(marginals.shape)
    for t, k in np.ndindex(unary.shape):
        unary[t, k] = (
            p.linear_current[k] @ mean[t]
            + np.sum(p.quadratic_current[k] * second[t])
            + np.sum(p.cross[k] * cross[t])
            + np.sum(p.quadratic_next[k] * second[t + 1])
            + p.linear_next[k] @ mean[t + 1]
            + p.constant[k]
        )
    chain = HMMPotentials(potentials.discrete.initial, potentials.discrete.transition, unary)
    paths = enumerate_paths(chain)
    states = hmm_statistics(paths, chain)

    # E_q[log p(z, k)]: first step, transitions, discrete chain; then the two entropies
    first, recognition = potentials.initial, potentials.recognition
    energy = -0.5 * np.sum(first.precision * second[0]) + first.linear @ mean[0] - first.normalizer
    energy += np.sum(unary * states.marginals) - 0.5 * (time - 1) * latent * np.log(2 * np.pi)
    energy += _finite_sum(chain.initial, states.initial) + _finite_sum(chain.transition, states.transition)
    entropy = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * joint.covariance)[1]
    entropy -= _finite_sum(np.log(paths.probability), paths.probability)
    evidence = np.sum(recognition.quadratic * second) + np.sum(recognition.linear * mean)
    return SLDSTruth(
        joint, statistics, unary, states, paths.log_partition, evidence + energy + entropy, -energy - entropy
    )


def slds_log_evidence(potentials) -> float:
    """Returns ``log Σ_k ∫ p(z, k) Π_t ψ_t(z_t) dz``: one dense Gaussian integral for each path of the states."""
    potentials = dense(potentials)
    time, latent = potentials.recognition.linear.shape
    state = potentials.discrete.initial.size
    chain = HMMPotentials(
        potentials.discrete.initial,
        potentials.discrete.transition,
        np.tile(potentials.dynamics.constant, (time - 1, 1)),
    )
    paths = enumerate_paths(chain)
    integrals = [integrate(*_assemble(potentials, np.eye(state)[path])).log_partition for path in paths.paths]
    normalizer = potentials.initial.normalizer + 0.5 * (time - 1) * latent * np.log(2 * np.pi)
    return float(logsumexp(paths.log_weight + np.array(integrals))) - normalizer


def _finite_sum(potential, statistic) -> float:
    """Returns ``Σ potential × statistic``, where an impossible event counts nothing."""
    return float(np.sum(np.where(statistic > 0, potential, 0) * statistic))


def _assemble(potentials, weights):
    """Returns the joint precision and linear term of ``z``, with the states' dynamics weighted."""
    time, latent = potentials.recognition.linear.shape
    precision = np.zeros((time, latent, time, latent))
    linear = potentials.recognition.linear.copy()

    def add(t, s, block):
        precision[t, :, s, :] -= block
        precision[s, :, t, :] -= block.T

    for t in range(time):
        add(t, t, potentials.recognition.quadratic[t])
    add(0, 0, -0.5 * potentials.initial.precision)
    linear[0] += potentials.initial.linear
    p = potentials.dynamics
    for t in range(time - 1):
        for k, weight in enumerate(weights[t]):
            add(t, t, weight * p.quadratic_current[k])
            add(t, t + 1, weight * p.cross[k])
            add(t + 1, t + 1, weight * p.quadratic_next[k])
            linear[t] += weight * p.linear_current[k]
            linear[t + 1] += weight * p.linear_next[k]
    return precision.reshape(time * latent, -1), linear.ravel()
