"""Pickles of arrays are read, and nothing in them is run."""

import io
import os
import pickle
import struct
from collections import OrderedDict

import jax.numpy as jnp
import numpy as np
import pytest

from slds_core.study.array_pickle import PickledArray, RefusedPickle, read_arrays

CONTENTS = {
    "float64": np.linspace(0, 1, 6).reshape(2, 3),
    "float32": np.ones((2, 3, 1), np.float32),
    "fortran": np.arange(6.0).reshape(2, 3).T,
    "strided": np.arange(12.0).reshape(3, 4)[::2, ::3],
    "big endian": np.arange(3, dtype=">f8"),
    "half": np.arange(3, dtype=np.float16),
    "integers": np.arange(3, dtype=np.int8),
    "booleans": np.array([True, False]),
    "scalar": np.float64(2.5),
    "no axes": np.array(3.0),
    "empty": np.zeros((0, 3)),
    "jax": jnp.arange(4.0),
    "jax scalar": jnp.float32(1.5),
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", CONTENTS)
def test_arrays(name, protocol):
    array = CONTENTS[name]
    found = read_arrays(pickle.dumps(array, protocol))
    assert isinstance(found, PickledArray)
    assert found.values.dtype == np.asarray(array).dtype
    np.testing.assert_array_equal(found.values, array, strict=True)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_containers(protocol):
    shared = np.arange(3.0)
    value = (shared, [shared, {"text": "é", "number": 1.5, 2: None}], -(10**30), True, ())
    found = read_arrays(pickle.dumps(value, protocol))
    assert found[1][1:] == value[1][1:]
    assert found[2:] == value[2:]
    assert found[0] is found[1][0]


@pytest.mark.parametrize("protocol", [2, 5])
@pytest.mark.parametrize(
    ("module", "function"),
    [
        ("jax._src.device_array", "reconstruct_device_array"),  # JAX 0.3.11 and later
        ("jax.experimental.array", "_reconstruct_array"),  # the first jax.Array
        ("jax._src.array", "_reconstruct_array"),  # JAX 0.4 and later
    ],
)
@pytest.mark.parametrize("package", ["numpy.core", "numpy._core"])
def test_every_version_of_jax_and_numpy(module, function, package, protocol):
    """What other versions would have written: the same calls by other paths."""
    written = pickle.dumps(jnp.arange(6.0).reshape(2, 3), protocol)
    with_paths = renamed(written, "jax._src.array", module)
    with_paths = renamed(with_paths, "_reconstruct_array", function)
    with_paths = renamed(with_paths, "numpy._core.multiarray", f"{package}.multiarray")
    np.testing.assert_array_equal(read_arrays(with_paths).values, np.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize("package", ["numpy.core", "numpy._core"])
def test_in_band_buffers(package):
    written = renamed(pickle.dumps(np.arange(3.0), 5), "numpy._core.numeric", f"{package}.numeric")
    np.testing.assert_array_equal(read_arrays(written).values, np.arange(3.0))


def renamed(pickled, old, new):
    """Replaces a name in a pickle, whichever way the protocol writes it, and drops the frame that would no longer fit."""
    if pickled[2:3] == pickle.FRAME:
        pickled = pickled[:2] + pickled[11:]
    for before, after in ((f"c{old}\n", f"c{new}\n"), (f" {old}\n", f" {new}\n"), (f"\n{old}\n", f"\n{new}\n")):
        pickled = pickled.replace(before.encode(), after.encode())

    def short(text):
        return pickle.SHORT_BINUNICODE + struct.pack("<B", len(text)) + text.encode()

    return pickled.replace(short(old), short(new))


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Frozen(dict):
    """Some package's container."""


def load(*arguments):
    raise AssertionError("a pickle ran code")


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Calls(os.system, "touch pwned"), f"{os.system.__module__}.system"),
        (Calls(eval, "open('pwned', 'w')"), "eval"),
        (Calls(exec, "open('pwned', 'w')"), "exec"),
        (Calls(getattr, "", "join"), "getattr"),
        (Calls(bytearray, 10**12), "bytearray"),
        (Calls(np.load, "evil.npy", None, True), "numpy.load"),
        (Calls(np.fromfile, "/etc/passwd"), "numpy.fromfile"),
        (Calls(np.ones, (10**9, 10**9)), "numpy.ones"),
        (Calls(np.memmap, "pwned"), "numpy.memmap"),
        (Calls(pickle.loads, b""), "pickle.loads"),
        (Calls(load, 1), f"{__name__}.load"),
        (np.array([1, "text", None], object), "type 'O8'"),
        (np.array(["text"]), "type 'U4'"),
        (np.zeros(2, [("x", "f8")]), "type 'V8'"),
        (np.datetime64("2000-01-01"), "type 'M8'"),
        (OrderedDict(a=1), "collections.OrderedDict"),
        (jnp.ones(2, jnp.bfloat16), "ml_dtypes.bfloat16"),
        (1j, "complex"),
    ],
)
def test_refused_by_name(value, name, protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RefusedPickle) as caught:
        read_arrays(pickle.dumps((np.ones(2), value), protocol))
    assert name in str(caught.value)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("protocol", [2, 5])  # the older ones call a helper of Python's by its name first
def test_a_packages_own_container(protocol):
    with pytest.raises(RefusedPickle, match=r"the pickle calls for 'test_array_pickle\.Frozen'"):
        read_arrays(pickle.dumps(Frozen(a=1), protocol))


def test_what_a_refusal_says():
    with pytest.raises(RefusedPickle) as caught:
        read_arrays(pickle.dumps(Calls(np.load, "evil.npy")))
    assert str(caught.value) == (
        "the pickle calls for 'numpy.load'; only arrays of NumPy and JAX, tuples, lists, dicts, text and numbers are read, "
        "and nothing was run"
    )


def array_call(shape, dtype=b"f8", contents=b"\0" * 16, order=b"<"):
    """A NumPy array in protocol 2, with any state."""
    return (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R(K\x01"
        + pickle.dumps(shape, 2)[2:-1]
        + b"cnumpy\ndtype\nX"
        + struct.pack("<I", len(dtype))
        + dtype
        + b"\x89\x88\x87R(K\x03X\x01\0\0\0"
        + order
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89B"
        + struct.pack("<I", len(contents))
        + contents
        + b"tb."
    )


def test_the_handwritten_array_is_right():
    np.testing.assert_array_equal(read_arrays(array_call((2, 1))).values, np.zeros((2, 1)))


@pytest.mark.parametrize(
    ("pickled", "message"),
    [
        (array_call((10**15,)), "has an array of shape (1000000000000000,) and type float64 in 16 bytes"),
        (array_call((-1, -2)), "has an array of shape (-1, -2) and type float64 in 16 bytes"),
        (array_call((2.0,)), "has an array of shape (2.0,) and type float64 in 16 bytes"),
        (array_call((3,)), "has an array of shape (3,) and type float64 in 16 bytes"),
        (array_call((2,), dtype=b"O8"), "has an array of type 'O8', expected numbers"),
        (array_call((2,), order=b"?"), "has an array of a compound type, expected numbers"),
        (array_call([2]), "has an array that is not described by type, shape and bytes"),
        (b"\x80\x02c__builtin__\nbytes\nJ\xff\xff\xff\x7f\x85R.", "is damaged: _no_bytes() takes 0 positional"),
        (b"\x80\x02cnumpy\nndarray\nJ\xff\xff\xff\x7f\x85R.", "makes an array by its class"),
        (b"\x80\x02cnumpy\ndtype\n}X\x01\0\0\0aK\x01sb.", "sets attributes of a function"),
        (b"\x80\x02c_codecs\nencode\nX\x01\0\0\0aX\x03\0\0\0zip\x86R.", "encodes text as 'zip', expected 'latin1'"),
        (b"\x80\x02Nr\xff\xff\xff\xff.", "asks for 4294967295 places in memory at byte 3"),
        (b"N0" * 10_001 + b"N.", "has more than 20000 operations"),
        (b"\x80\x02\x82\x01.", "uses an extension code at byte 2"),
    ],
)
def test_refused_by_what_it_asks_for(pickled, message):
    with pytest.raises(RefusedPickle) as caught:
        read_arrays(pickled)
    assert str(caught.value).startswith(f"the pickle {message}")


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".",  # a bytearray of a terabyte
        b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b".",  # bytes likewise
        b"",
        b"not a pickle",
        b"\x89HDF\r\n\x1a\n",
    ],
)
def test_no_pickle(pickled):
    with pytest.raises(RefusedPickle, match=r"^the file is no pickle, or cut off: "):
        read_arrays(pickled)


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x02Pid\n.",  # refers to something outside
        b"\x80\x02h\x05.",  # refers to what is not there
        b"\x80\x02K\x01K\x02R.",  # calls a number
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n)RNb.",  # an array without a state
        b"\x80\x05\x97.",  # a buffer that lies elsewhere
        b"0.",
    ],
)
def test_damaged(pickled):
    with pytest.raises(RefusedPickle):
        read_arrays(pickled)


def written():
    stream = io.BytesIO()
    pickle.dump((jnp.arange(3.0), [np.arange(4.0), np.float32(2)], {"a": np.ones((2, 2), np.float32)}), stream)
    return stream.getvalue()


def test_cut_off_anywhere():
    whole = written()
    for length in range(len(whole)):
        with pytest.raises(RefusedPickle):
            read_arrays(whole[:length])


def test_flipped_bytes_are_read_or_refused():
    """A wrong byte may change a number; it never gets past the refusals, nor raises anything else."""
    whole, generator, refusals = written(), np.random.default_rng(0), 0
    for _ in range(2000):
        pickled = bytearray(whole)
        for position in generator.integers(len(whole), size=generator.integers(1, 4)):
            pickled[position] = generator.integers(256)
        try:
            read_arrays(bytes(pickled))
        except RefusedPickle:
            refusals += 1
    assert 200 < refusals < 2000
