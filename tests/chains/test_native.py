"""The compiled kernels: how they are found, what they refuse, and what watches them."""

import subprocess
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from backends import NATIVE
from problems import discrete_chain, gaussian_chain
from tolerances import DTYPE, assert_close

from slds_core.chains import gaussian, hmm, native
from slds_core.chains.native import build, library

needs_kernels = NATIVE.marks[0]


@pytest.fixture
def missing(monkeypatch):
    """Kernels that were never built."""
    for module in (library, native):
        monkeypatch.setattr(module, "why_not", lambda: "they were not built")
    library.available.cache_clear()
    yield
    library.available.cache_clear()


@pytest.mark.usefixtures("missing")
def test_without_kernels_the_scan_serves_and_a_warning_comes_once(recwarn):
    chain = gaussian_chain(3, 2)
    with pytest.warns(library.NativeUnavailable, match="without compiled kernels: they were not built"):
        found = gaussian.smooth(chain)
    gaussian.smooth(chain)
    hmm.smooth(discrete_chain(3, 2))
    assert not recwarn.list
    np.testing.assert_array_equal(found.statistics.mean, gaussian.smooth(chain, backend="scan").statistics.mean)
    with pytest.raises(ValueError, match="backend: 'native' is not available: they were not built"):
        gaussian.smooth(chain, backend="native")


def test_a_file_that_is_no_library_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(library, "LIBRARY", tmp_path / "kernels.so")
    assert "not built at installation" in library.why_not.__wrapped__()
    library.LIBRARY.write_bytes(b"\x7fELF, but half of it")
    assert f"{library.LIBRARY} cannot be loaded" in library.why_not.__wrapped__()


@pytest.mark.parametrize(
    ("compiler", "message"), [("no-such-compiler", "no C.. compiler found: no-such-compiler"), ("false", "failed")]
)
def test_no_compiler(monkeypatch, tmp_path, compiler, message):
    monkeypatch.setenv("CXX", compiler)
    with pytest.raises(build.NoCompiler, match=message):
        build.build(tmp_path / "kernels.so")
    assert not list(tmp_path.iterdir())


def test_half_precision_is_left_to_the_scan():
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), discrete_chain(3, 2))
    assert hmm.smooth(half).log_partition.dtype == jnp.bfloat16
    with pytest.raises(ValueError, match="expected arrays of float32 or float64, found bfloat16"):
        hmm.smooth(half, backend="native")


def test_precisions_are_promoted_together():
    chain = gaussian_chain(3, 2)
    mixed = gaussian.GaussianPotentials(chain.quadratic.astype(jnp.float32), chain.cross, chain.linear)
    assert gaussian.smooth(mixed).log_partition.dtype == DTYPE


@needs_kernels
@pytest.mark.parametrize("of", [gaussian, hmm])
def test_a_batch_is_each_chain_alone_to_the_last_bit(of):
    chains = [gaussian_chain(5, 3, seed) if of is gaussian else discrete_chain(5, 3, seed) for seed in range(33)]
    smooth = jax.jit(lambda chain: of.smooth(chain, backend="native"))
    together = jax.jit(jax.vmap(smooth))(jax.tree.map(lambda *leaves: jnp.stack(leaves), *chains))
    for number, chain in enumerate(chains):
        alone = jax.tree.leaves(smooth(chain))
        for found, wanted in zip(jax.tree.leaves(together), alone, strict=True):
            np.testing.assert_array_equal(found[number], wanted)


@needs_kernels
@pytest.mark.parametrize("exponent", [-1, 1])
@pytest.mark.parametrize("latent", [1, 2, 5, 8, 13])
def test_precisions_of_any_scale(latent, exponent):
    """Two pivots are eliminated at once; where their minor would leave the range of numbers, one by one."""
    scale = 2.0 ** (exponent * np.finfo(DTYPE).maxexp * 0.3125)  # its square is in range, that of a minor is not
    chain = gaussian_chain(4, latent)
    stretched = gaussian.GaussianPotentials(chain.quadratic * scale**2, chain.cross * scale**2, chain.linear * scale)
    found, wanted = (gaussian.smooth(own, backend="native") for own in (stretched, chain))
    square = found.statistics.second_moment * scale**2, found.statistics.cross_moment * scale**2
    assert_close(square, (wanted.statistics.second_moment, wanted.statistics.cross_moment), ulps=200)
    assert_close(found.statistics.mean * scale, wanted.statistics.mean, ulps=200)
    nats = 4 * latent * np.log(scale)
    assert_close(found.log_partition + nats, wanted.log_partition, ulps=200, scale=abs(nats) + 1)


@needs_kernels
@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
def test_each_pivot_is_looked_at(place, value):
    """The leading minors are positive up to one that is ``value``."""
    factor = np.tril(np.random.default_rng(0).normal(size=(5, 5)), -1) + np.eye(5)
    middle = np.ones(5)
    middle[place] = value
    precision = factor @ np.diag(middle) @ factor.T if np.isfinite(value) else np.diag(middle)
    if value == 0:
        precision[place, place] -= 1e-3
    quadratic = jnp.asarray(-0.5 * precision, DTYPE)[None]
    chain = gaussian.GaussianPotentials(quadratic, jnp.zeros((0, 5, 5), DTYPE), jnp.ones((1, 5), DTYPE))
    found = gaussian.smooth(chain, backend="native")
    assert all(np.all(np.isnan(leaf)) for leaf in jax.tree.leaves(found))


def numbers(*shape, dtype=DTYPE):
    return jnp.ones(shape, dtype)


@needs_kernels
@pytest.mark.parametrize(
    ("target", "results", "arguments", "message"),
    [
        ("slds_gaussian_smooth", ((), (2, 2, 2), (1, 2, 2), (2, 2)), ((3, 2, 2), (1, 2, 2), (2, 2)), "quadratic: expected"),
        ("slds_gaussian_smooth", ((), (2, 2, 2), (2, 2, 2), (2, 2)), ((2, 2, 2), (1, 2, 2), (2, 2)), "cross_moment: expected"),
        ("slds_gaussian_smooth", ((), (0, 2, 2), (0, 2, 2), (0, 2)), ((0, 2, 2), (0, 2, 2), (0, 2)), "time ≥ 1"),
        ("slds_gaussian_smooth", ((), (2, 0, 0), (1, 0, 0), (2, 0)), ((2, 0, 0), (1, 0, 0), (2, 0)), "latent ≥ 1"),
        ("slds_gaussian_smooth", ((), (2, 2, 2), (1, 2, 2), (2,)), ((2, 2, 2), (1, 2, 2), (2,)), "linear: expected"),
        ("slds_gaussian_smooth", ((9,), (2, 2, 2), (1, 2, 2), (2, 2)), ((2, 2, 2), (1, 2, 2), (2, 2)), "log_partition: exp"),
        ("slds_hmm_smooth", ((), (2,), (2, 2), (3, 2)), ((2,), (3, 3), (3, 2)), "transition: expected"),
        ("slds_hmm_linearise", ((), (2,), (2, 2), *4 * [(3, 2)], (2, 2)), ((2,), (2, 2), (3, 2)), "predicted: expected"),
        ("slds_hmm_linearise", ((), (2,), (2, 2), (3, 2), (3, 2), *3 * [(2, 2)]), ((2,), (2, 2), (3, 2)), "probability: expected"),
    ],
)  # fmt: skip
def test_hostile_shapes_are_refused(target, results, arguments, message):
    """As a mistake of ours would send them: the public functions refuse such shapes before."""
    attributes = {"varying": False} if "hmm" in target else {}
    shapes = [jax.ShapeDtypeStruct(shape, DTYPE) for shape in results]
    with pytest.raises(Exception, match=message):
        jax.block_until_ready(native.call(target, shapes, *(numbers(*shape) for shape in arguments), **attributes))


@needs_kernels
@pytest.mark.parametrize("lengths", [(2, 2), (4, -1), (2, 2, -1)])
@pytest.mark.parametrize("kind", ["gaussian", "hmm"])
def test_lengths_that_do_not_add_up_are_refused(kind, lengths):
    chains = len(lengths)
    own = {"gaussian": ((3, 2, 2), (3 - chains, 2, 2)), "hmm": ((chains, 2), (chains, 2, 2))}
    results = [jax.ShapeDtypeStruct(shape, DTYPE) for shape in ((chains,), *own[kind], (3, 2))]
    attributes = {"varying": False} if kind == "hmm" else {}
    arrays = [numbers(*shape.shape) for shape in results[1:]]
    with pytest.raises(Exception, match="lengths that add up to time"):
        jax.block_until_ready(native.call(f"slds_{kind}_smooth", results, *arrays, lengths=lengths, **attributes))


@needs_kernels
def test_hostile_precisions_are_refused():
    shapes = [jax.ShapeDtypeStruct(shape, DTYPE) for shape in ((), (2, 2, 2), (1, 2, 2), (2, 2))]
    arrays = numbers(2, 2, 2, dtype=jnp.bfloat16), numbers(1, 2, 2), numbers(2, 2)
    with pytest.raises(Exception, match="quadratic: expected the precision of all other arrays"):
        jax.block_until_ready(native.call("slds_gaussian_smooth", shapes, *arrays))


@pytest.mark.slow
def test_sanitizers_find_nothing(tmp_path):
    """Address and undefined-behaviour sanitizers watch every kernel on arrays of exactly the right size."""
    try:
        compiler = build.compiler()
    except build.NoCompiler as reason:
        pytest.skip(str(reason))
    watched = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-D_GLIBCXX_ASSERTIONS"]
    program, source = tmp_path / "sanitized", Path(__file__).with_name("sanitized.cpp")
    options = ["-std=c++17", "-O1", *build.target(), f"-I{build.FOLDER}", *watched]
    subprocess.run([*compiler, *options, str(source), "-o", str(program)], check=True)
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "clean\n"), done.stderr
