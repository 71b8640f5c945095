"""Gaussian chains against a dense joint Gaussian."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from backends import BACKENDS, NATIVE, native
from jax.flatten_util import ravel_pytree
from problems import as_jax, direction_like, gaussian_chain, positive_definite
from tolerances import EPS, assert_close, ravel

from slds_core.chains import gaussian
from slds_core.chains.gaussian import GaussianPotentials

# 13: beyond the fused arithmetic, by Cholesky factors
SIZES = [
    (backend, time, latent) for backend in ("scan", "associative") for time in (1, 2, 3, 6) for latent in (1, 2, 3)
]
SIZES += [(backend, 3, 13) for backend in ("scan", "associative")]
# every size that the kernels are compiled for, and some between
SIZES += [native(3, latent) for latent in (1, 2, 3, 4, 5, 6, 7, 8, 10, 13)]
SIZES += [native(*size) for size in ((1, 2), (1, 7), (2, 3), (6, 3), (2, 16), (2, 20))]

# The precisions have condition numbers of about 10 to 100, which is what they may cost over some dozen operations a step.
ULPS = 500

each_backend = pytest.mark.parametrize("backend", BACKENDS)


@partial(jax.jit, static_argnums=1)
def smooth(potentials, backend):
    return gaussian.smooth(potentials, backend=backend)


def log_partition(potentials, backend):
    return smooth(potentials, backend).log_partition


def statistics(potentials, backend):
    return smooth(potentials, backend).statistics


@partial(jax.jit, static_argnums=2)
def product(potentials, direction, backend):
    """Returns the posterior and its derivative along a direction."""
    return jax.jvp(lambda p: gaussian.smooth(p, backend=backend), (potentials,), (direction,))


@pytest.mark.parametrize(("backend", "time", "latent"), SIZES)
def test_dense_joint(backend, time, latent):
    """Log-partition, statistics and Fisher product."""
    potentials = gaussian_chain(time, latent, seed=time + 10 * latent)
    direction = direction_like(potentials, seed=5)
    joint = oracles.joint_gaussian(potentials)
    expected = oracles.gaussian_statistics(joint, time)
    fisher = oracles.gaussian_fisher(joint, time)

    posterior, change = product(potentials, direction, backend)
    assert_close(posterior.log_partition, joint.log_partition, ulps=ULPS, scale=abs(joint.log_partition) + 1)
    assert_close(posterior.statistics, expected, ulps=ULPS)
    assert_close(posterior.statistics.covariance, expected.covariance, ulps=ULPS)
    assert_close(
        change.log_partition, ravel(direction) @ ravel(expected), ulps=ULPS, scale=np.sum(np.abs(ravel(expected)))
    )
    assert_close(ravel(change.statistics), fisher @ ravel(direction), ulps=ULPS)


@each_backend
def test_missing_steps(backend):
    potentials = gaussian_chain(7, 2, seed=3, missing=(2, 3, 4, 6))
    joint = oracles.joint_gaussian(potentials)
    posterior = gaussian.smooth(potentials, backend=backend)
    assert_close(posterior.log_partition, joint.log_partition, ulps=ULPS, scale=abs(joint.log_partition) + 1)
    assert_close(posterior.statistics, oracles.gaussian_statistics(joint, 7), ulps=ULPS)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("time", "latent"), [(1, 2), (2, 3), (8, 2), (25, 4)])
@pytest.mark.parametrize("backend", [NATIVE, "associative"])
def test_backends_agree(time, latent, seed, backend):
    potentials = gaussian_chain(time, latent, seed)
    direction = direction_like(potentials, seed + 1)
    found, scan = (product(potentials, direction, name) for name in (backend, "scan"))
    assert_close(found, scan, ulps=2 * ULPS)


@each_backend
@pytest.mark.parametrize(("time", "latent"), [(1, 1), (3, 2)])
def test_gradient_of_log_partition(time, latent, backend):
    potentials = gaussian_chain(time, latent, seed=1)
    gradient = jax.grad(log_partition)(potentials, backend)
    assert_close(gradient, statistics(potentials, backend), ulps=1)

    # central differences: truncation h² and rounding EPS / h balance at h = EPS^(1/3); 20 covers third derivatives here
    direction, h = direction_like(potentials, 2), EPS ** (1 / 3) / latent

    def along(step):
        moved = jax.tree.map(lambda a, d: a + step * d, potentials, direction)
        return float(log_partition(moved, backend))

    slope = ravel(direction) @ ravel(gradient)
    assert (along(h) - along(-h)) / (2 * h) == pytest.approx(
        slope, rel=0, abs=20 * latent**2 * EPS ** (2 / 3) * abs(slope)
    )


@each_backend
@pytest.mark.parametrize(("time", "latent"), [(4, 2), (3, 13)])
def test_reverse_mode_is_the_fisher_product(time, latent, backend):
    potentials = gaussian_chain(time, latent, seed=2 * time + latent)
    direction = direction_like(potentials, seed=5)

    @jax.jit
    def reverse(potentials, direction):
        _, pull_back = jax.vjp(lambda p: gaussian.smooth(p, backend=backend).statistics, potentials)
        return pull_back(gaussian.GaussianStatistics(direction.quadratic, direction.cross, direction.linear))[0]

    fisher = oracles.gaussian_fisher(oracles.joint_gaussian(potentials), time)
    assert_close(ravel(reverse(potentials, direction)), fisher @ ravel(direction), ulps=ULPS)


@each_backend
@pytest.mark.parametrize(("time", "latent"), [(1, 2), (4, 2)])
def test_fisher_matrix_is_a_covariance(time, latent, backend):
    potentials = gaussian_chain(time, latent, seed=7)
    flat, unravel = ravel_pytree(potentials)
    jacobian = jax.jit(jax.jacrev(lambda p: ravel_pytree(statistics(unravel(p), backend))[0]))
    fisher = np.asarray(jacobian(flat), np.float64)
    assert_close(fisher, oracles.gaussian_fisher(oracles.joint_gaussian(potentials), time), ulps=ULPS)
    scale = np.max(np.abs(fisher))
    assert_close(fisher, fisher.T, ulps=ULPS)
    assert np.min(np.linalg.eigvalsh(fisher + fisher.T)) > -ULPS * EPS * scale


@each_backend
def test_hessian_in_the_linear_potentials_is_the_covariance(backend):
    potentials = gaussian_chain(4, 2)

    def of_linear(linear):
        return log_partition(GaussianPotentials(potentials.quadratic, potentials.cross, linear), backend)

    hessian = jax.jit(jax.hessian(of_linear))(potentials.linear).reshape(8, 8)
    assert_close(hessian, oracles.joint_gaussian(potentials).covariance, ulps=ULPS)


@each_backend
def test_second_derivative_of_statistics(backend):
    """The derivative of a Fisher product, against central differences of that product."""
    potentials = gaussian_chain(4, 2, seed=4)
    weights, direction = direction_like(potentials, 1), direction_like(potentials, 2)

    @jax.jit
    def gradient(potentials):
        return jax.grad(lambda p: ravel_pytree(statistics(p, backend))[0] @ ravel_pytree(weights)[0])(potentials)

    h = EPS ** (1 / 3) / 10
    moved = [jax.tree.map(lambda a, d, s=step: a + s * d, potentials, direction) for step in (h, -h)]
    forward, backward = (ravel(gradient(p)) for p in moved)
    expected = (forward - backward) / (2 * h)
    _, actual = jax.jvp(gradient, (potentials,), (direction,))
    # EPS^(2/3) as above, times the growth of the fourth derivative and 1 / 10 of the optimal step
    assert_close(ravel(actual), expected, ulps=200 * EPS ** (-1 / 3))


@each_backend
def test_vmap_and_jit_compose_with_derivatives(backend):
    chains = [gaussian_chain(3, 2, seed) for seed in range(3)]
    directions = [direction_like(chain, seed) for seed, chain in enumerate(chains)]

    def along(potentials, direction):
        return product(potentials, direction, backend)

    def stack(trees):
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)

    one_by_one = stack([along(c, d) for c, d in zip(chains, directions, strict=True)])
    assert_close(jax.vmap(along)(stack(chains), stack(directions)), one_by_one, ulps=ULPS)
    shared = jax.vmap(along, in_axes=(None, 0))(chains[0], stack(directions))
    assert_close(shared, stack([along(chains[0], d) for d in directions]), ulps=ULPS)


def indefinite(where, latent):
    potentials = gaussian_chain(4, latent)
    if where == "cross":  # every block on the diagonal positive definite, the whole not
        return GaussianPotentials(potentials.quadratic, 50 * potentials.cross, potentials.linear)
    step = {"first": 0, "middle": 2, "last": 3}[where]
    return GaussianPotentials(potentials.quadratic.at[step].multiply(-1), potentials.cross, potentials.linear)


@each_backend
@pytest.mark.parametrize("latent", [2, 13])
@pytest.mark.parametrize("where", ["first", "middle", "last", "cross"])
def test_indefinite_precision_is_nan_everywhere(where, latent, backend):
    potentials = indefinite(where, latent)
    assert np.all(np.isnan(ravel(product(potentials, direction_like(potentials, 0), backend))))


@each_backend
def test_singular_precision_is_nan(backend):
    potentials = jax.tree.map(jnp.zeros_like, gaussian_chain(2, 2))
    assert np.all(np.isnan(ravel(smooth(potentials, backend))))


def test_inner_is_the_dual_pairing():
    """With it, log-partition minus ⟨η, μ⟩ is the entropy."""
    potentials = gaussian_chain(3, 2)
    joint = oracles.joint_gaussian(potentials)
    posterior = gaussian.smooth(potentials)
    entropy = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * joint.covariance)[1]
    found = posterior.log_partition - gaussian.inner(potentials, posterior.statistics)
    assert_close(found, entropy, ulps=ULPS, scale=abs(joint.log_partition) + 6)


@pytest.mark.parametrize("time", [1, 2, 5])
def test_homogeneous(time):
    generator = np.random.default_rng(0)
    noise, matrix = positive_definite(generator, 2), 0.5 * generator.standard_normal((2, 2))
    nodes = as_jax((-0.5 * positive_definite(generator, 2, (time,)), generator.standard_normal((time, 2))))
    transition = as_jax(
        {
            "quadratic_current": -0.5 * matrix.T @ noise @ matrix,
            "cross": matrix.T @ noise,
            "quadratic_next": -0.5 * noise,
            "linear_current": generator.standard_normal(2),
            "linear_next": generator.standard_normal(2),
        }
    )
    quadratic, linear = (np.array(node, np.float64) for node in nodes)
    shared = {name: np.asarray(array, np.float64) for name, array in transition.items()}
    for t in range(time - 1):
        quadratic[t] += shared["quadratic_current"]
        quadratic[t + 1] += shared["quadratic_next"]
        linear[t] += shared["linear_current"]
        linear[t + 1] += shared["linear_next"]
    cross = np.tile(shared["cross"], (time - 1, 1, 1))
    assert_close(gaussian.homogeneous(*nodes, **transition), GaussianPotentials(quadratic, cross, linear), ulps=4)

    gradient = jax.grad(lambda shared: gaussian.smooth(gaussian.homogeneous(*nodes, **shared)).log_partition)(
        transition
    )
    joint = oracles.joint_gaussian(GaussianPotentials(quadratic, cross, linear))
    expected = oracles.gaussian_statistics(joint, time)
    sums = {
        "quadratic_current": expected.second_moment[:-1].sum(0),
        "cross": expected.cross_moment.sum(0),
        "quadratic_next": expected.second_moment[1:].sum(0),
        "linear_current": expected.mean[:-1].sum(0),
        "linear_next": expected.mean[1:].sum(0),
    }
    assert_close(gradient, sums, ulps=ULPS)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("quadratic", (3, 1, 2)),
        ("linear", (3,)),
        ("cross", ()),
        ("linear_next", (1,)),
        ("quadratic_current", (3, 2, 2)),
    ],
)
def test_homogeneous_broadcasts_nothing(name, shape):
    shapes = {"quadratic": (3, 2, 2), "linear": (3, 2), "linear_current": (2,), "linear_next": (2,)}
    shapes |= dict.fromkeys(("quadratic_current", "cross", "quadratic_next"), (2, 2))
    with pytest.raises(ValueError, match=f"^{name}: expected shape"):
        gaussian.homogeneous(**{key: jnp.zeros(shape if key == name else shapes[key]) for key in shapes})


def test_homogeneous_takes_integers():
    nodes = -2 * np.tile(np.eye(2, dtype=int), (3, 1, 1)), np.ones((3, 2), int)
    half, ones = -0.5 * np.eye(2), np.zeros(2)
    found = gaussian.homogeneous(
        *nodes, quadratic_current=half, cross=half, quadratic_next=half, linear_current=ones, linear_next=ones
    )
    np.testing.assert_array_equal(found.quadratic[:, 0, 0], [-2.5, -3, -2.5])


def test_complex_potentials_are_refused():
    with pytest.raises(TypeError, match="potentials: expected real numbers, found complex"):
        gaussian.smooth(jax.tree.map(lambda array: array + 0j, gaussian_chain(3, 2)))


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("linear", ((2, 0, 0), (1, 0, 0), (2, 0))),
        ("linear", ((2, 2, 2), (1, 2, 2), (2,))),
        ("linear", ((0, 2, 2), (0, 2, 2), (0, 2))),
        ("quadratic", ((3, 2, 2), (1, 2, 2), (2, 2))),
        ("quadratic", ((2, 2, 3), (1, 2, 2), (2, 2))),
        ("cross", ((2, 2, 2), (2, 2, 2), (2, 2))),
        ("cross", ((2, 2, 2), (1, 2), (2, 2))),
    ],
)
def test_wrong_shapes_are_named(name, shapes):
    potentials = GaussianPotentials(*(jnp.zeros(shape) for shape in shapes))
    with pytest.raises(ValueError, match=f"^{name}: expected shape"):
        gaussian.smooth(potentials)


def test_unknown_backend():
    with pytest.raises(ValueError, match="backend: expected one of native, scan, associative, found 'quantum'"):
        gaussian.smooth(gaussian_chain(2, 1), backend="quantum")
