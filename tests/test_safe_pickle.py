"""The restricted unpickler: plain values come through, from pickles and files of numpy."""

from __future__ import annotations

import collections
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from graphmatch.errors import ConfigError, FormatError
from graphmatch.raw_array import plain_dtype, raw_array
from graphmatch.safe_pickle import read_object_npy, read_object_stream, safe_loads

PROTOCOLS = range(6)

# plain values


def same(a, b):
    """Equal in value and type, arrays and NaN included."""
    if isinstance(a, np.ndarray):
        if not isinstance(b, np.ndarray) or a.dtype != b.dtype or a.shape != b.shape:
            return False
        if a.dtype.hasobject:
            return all(same(x, y) for x, y in zip(a.flat, b.flat, strict=True))
        return a.tobytes() == b.tobytes()
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return list(map(repr, a)) == list(map(repr, b)) and same([*a.values()], [*b.values()])
    if isinstance(a, np.generic):
        return a.dtype == b.dtype and a.tobytes() == b.tobytes()
    return repr(a) == repr(b) if isinstance(a, (float, complex)) else a == b


keys = (
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=5)
    | st.binary(max_size=5) | st.floats(allow_nan=False)
)  # fmt: skip
numbers = arrays.arrays(
    st.sampled_from(["<f4", ">f4", "<f8", "f2", "i8", ">i2", "u1", "bool", "c8", "<U3", "S4"]),
    arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
)
leaves = (
    keys | st.integers() | st.floats() | st.complex_numbers() | numbers
    | st.binary(max_size=300).map(bytearray) | st.sets(keys) | st.frozensets(keys)
    | st.sampled_from([np.float32(1.5), np.int64(-3), np.bool_(1), np.str_("ab"), np.bytes_("x")])
)  # fmt: skip
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(keys, inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@settings(max_examples=60)
@given(value=values)
@example(value=[2**2000, -(2**100), "a" * 70000, b"b" * 300, "ünï\0\n\\", "\U0001f600"])
@example(value=np.asfortranarray(np.arange(6.0).reshape(2, 3)))
@example(value=[[np.arange(3)] * 2, [{}] * 2, [()] * 2])
def test_plain_values_come_through(value, protocol):
    assert same(safe_loads(pickle.dumps(value, protocol)), value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_arrays_of_objects_come_through(protocol):
    array = np.empty((2, 2), object)
    array[0] = {"image_w": 640, "image_h": 480}, None
    array[1, 0], array[1, 1] = "a", [1, np.arange(3.0)]
    assert same(safe_loads(pickle.dumps(array, protocol)), array)
    fortran = np.asfortranarray(array)
    assert same(safe_loads(pickle.dumps(fortran, protocol)), array)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_dicts_of_the_standard_library_become_dicts(protocol):
    ordered = collections.OrderedDict([("b", 1), ("a", 2)])
    counted = collections.defaultdict(list, {"a": [1]})
    result = safe_loads(pickle.dumps([ordered, counted], protocol))
    assert result == [{"b": 1, "a": 2}, {"a": [1]}]
    assert [type(x) for x in result] == [dict, dict]
    assert [*result[0]] == ["b", "a"]


def test_what_is_shared_stays_shared():
    shared = [1]
    result = safe_loads(pickle.dumps([shared, shared]))
    assert result[0] is result[1]
    array = np.arange(3)
    result = safe_loads(pickle.dumps([array, array], 2))
    assert result[0] is result[1]


def test_a_list_that_holds_itself():
    value = []
    value.append(value)
    result = safe_loads(pickle.dumps(value))
    assert result[0] is result


@pytest.mark.parametrize("protocol", range(6))
def test_long_strings_of_numpy(protocol):
    for value in (np.bytes_(b"x" * 2000), np.str_("\u00e9" * 500)):
        assert safe_loads(pickle.dumps(value, protocol=protocol)) == value


# pickles of Python 2


PYTHON_2_SIZES = (  # as cPickle of Python 2.7 writes it, protocol 2
    b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87R"
    b"q\x03(K\x01K\x02\x85cnumpy\ndtype\nq\x04U\x02O8K\x00K\x01\x87Rq\x05(K\x03U\x01|NNNJ\xff\xff"
    b"\xff\xffJ\xff\xff\xff\xffK?tb\x89]q\x06(}q\x07(U\x07image_wq\x08M\x80\x02U\x07image_hq\tM\xe0"
    b"\x01u}q\n(h\x08M\xf4\x01h\tMM\x01uetb."
)


def test_a_pickle_of_python_2():
    value = safe_loads(PYTHON_2_SIZES)
    assert value.dtype == object
    assert [*value] == [{"image_w": 640, "image_h": 480}, {"image_w": 500, "image_h": 333}]
    value = safe_loads(PYTHON_2_SIZES, encoding="bytes")
    assert value[1] == {b"image_w": 500, b"image_h": 333}


def test_a_numeric_array_of_python_2():
    content = np.array([[1.5, -2.0]], "<f4").tobytes()
    binary = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b"
        b"\x87Rq\x03(K\x01K\x01K\x02\x86cnumpy\ndtype\nq\x04U\x02f4K\x00K\x01\x87Rq\x05(K\x03U\x01<"
        b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x08" + content + b"tb."
    )
    text = (  # protocol 0; the bytes are a literal with escapes
        b"cnumpy.core.multiarray\n_reconstruct\np1\n(cnumpy\nndarray\np2\n(I0\ntS'b'\ntRp3\n"
        b"(I1\n(I1\nI2\ntcnumpy\ndtype\np4\n(S'f4'\nI0\nI1\ntRp5\n(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
        b"I00\nS'\\x00\\x00\\xc0?\\x00\\x00\\x00\\xc0'\ntb."
    )
    for pickled in (binary, text):
        for encoding in ("latin1", "bytes"):
            value = safe_loads(pickled, encoding=encoding)
            assert value.dtype == np.float32
            assert value.tolist() == [[1.5, -2.0]]


def test_strings_of_python_2():
    pickled = b"(lp1\nS'caf\\xe9'\naS\"it's\"\naL12L\naI01\na."
    assert safe_loads(pickled) == ["café", "it's", 12, True]
    assert safe_loads(pickled, encoding="bytes")[:2] == [b"caf\xe9", b"it's"]
    with pytest.raises(ConfigError, match="did you mean 'latin1'"):
        safe_loads(pickled, encoding="latin-1")


# .npy files of objects


def write_python_2_npy(path, pickled=PYTHON_2_SIZES, shape=(2,), descr="|O"):
    with path.open("wb") as stream:
        header = {"descr": descr, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        stream.write(pickled)
    return path


def test_read_object_npy_of_python_2(tmp_path):
    path = write_python_2_npy(tmp_path / "dev_ims_size.npy")
    array = read_object_npy(path)
    assert array.shape == (2,)
    assert array[0] == {"image_w": 640, "image_h": 480}
    # and numpy itself, which runs the pickle, reads the same
    with path.open("rb") as stream:
        stream.seek(len(path.read_bytes()) - len(PYTHON_2_SIZES))
        assert [*pickle.load(stream, encoding="latin1")] == [*array]


def test_read_object_npy_of_any_shape(tmp_path):
    np.save(tmp_path / "a.npy", np.array({"a": 1}, object), allow_pickle=True)
    assert read_object_npy(tmp_path / "a.npy").item() == {"a": 1}
    np.savez(tmp_path / "b.npz", info={"objects_id": np.arange(2)})
    with zipfile.ZipFile(tmp_path / "b.npz") as archive, archive.open("info.npy") as stream:
        assert read_object_stream(stream, "info").item()["objects_id"].tolist() == [0, 1]


def test_damaged_object_files(tmp_path):
    path = tmp_path / "a.npy"
    for pickled, shape, descr, message in (
        (PYTHON_2_SIZES[:-20], (2,), "|O", "damaged|truncated"),
        (PYTHON_2_SIZES, (3,), "|O", "shape"),
        (pickle.dumps([1, 2]), (2,), "|O", "shape"),
        (PYTHON_2_SIZES, (2,), "<f4", "array of objects"),
        (b"cos\nsystem\n(S'true'\ntR.", (2,), "|O", "os.system"),
    ):
        write_python_2_npy(path, pickled, shape, descr)
        with pytest.raises(FormatError, match=message):
            read_object_npy(path)
    path.write_bytes(b"no numpy")
    with pytest.raises(FormatError, match="npy"):
        read_object_npy(path)
    with pytest.raises(FormatError, match="no such file"):
        read_object_npy(tmp_path / "b.npy")


# raw arrays


def test_raw_array_checks_its_shape():
    content = np.arange(6, dtype="<f4").tobytes()
    assert raw_array(content, np.dtype("<f4"), [2, 3]).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert raw_array(content, np.dtype("<f4"), (2, 3), order="F")[0].tolist() == [0, 2, 4]
    for shape in ([5], [2, 4], [-1], [True, 6], ["a"], [2**70], [6.0], [0]):
        with pytest.raises(FormatError):
            raw_array(content, np.dtype("<f4"), shape)
    with pytest.raises(FormatError, match="6 bytes"):
        raw_array(content[:6], np.dtype("<f4"), [1])
    for code in ("O", "V4", "f16", "M8[s]", "U0", "f4,f4", "(2,)f4", 4, None, b"O8", "f4\n"):
        with pytest.raises(FormatError):
            plain_dtype(code)
    assert plain_dtype(b">i2") == np.dtype(">i2")


# the module


def test_no_heavy_import():
    code = "import graphmatch.safe_pickle, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
