"""The restricted unpickler: plain values come through, nothing else, in bounded time and memory."""

from __future__ import annotations

import collections
import contextlib
import datetime
import functools
import os
import pathlib
import pickle
import struct
import subprocess
import sys
import tracemalloc
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


# anything else


class Calls:
    """An object whose pickle calls a function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


class Matrix(np.ndarray):
    pass


class Simple:
    def __init__(self):
        self.a = 1


class Slots:
    __slots__ = ("a",)

    def __getstate__(self):
        return None, {"a": 1}


def nested_objects():
    outer, inner = np.empty(1, object), np.empty(1, object)
    outer[0] = inner
    return outer


def attacks(path):
    return {
        "system": Calls(os.system, f"touch {path}"),
        "popen": Calls(subprocess.Popen, ["touch", str(path)]),
        "eval": Calls(eval, f"open({str(path)!r}, 'w')"),
        "exec": Calls(exec, f"open({str(path)!r}, 'w')"),
        "open": Calls(open, str(path), "w"),
        "touch": Calls(pathlib.Path.touch, path),
        "getattr": Calls(getattr, Calls(getattr, dict, "mro"), "__call__"),
        "partial": functools.partial(os.system, f"touch {path}"),
        "import": Calls(__import__, "os"),
        "numpy load": Calls(np.load, str(path)),
        "numpy save": Calls(np.save, str(path), [1]),
        "numpy tofile": Calls(np.ndarray.tofile, np.zeros(1), str(path)),
        "memmap": Calls(np.memmap, str(path), "u1", "w+", 0, (8,)),
        "fromfile": Calls(np.fromfile, str(path)),
        "array subclass": Calls(
            np._core.multiarray._reconstruct, Matrix, (0,), b"b"
        ),
        "array of a known class": Calls(
            np._core.multiarray._reconstruct, collections.OrderedDict, (0,), b"b"
        ),
        "array made at once": Calls(np.ndarray, (10**10,), "f8"),
        "list call": Calls(list, "abc"),
        "int call": Calls(int, "1"),
        "object": Calls(object),
        "exception": ValueError(1),
        "date": datetime.date(2020, 1, 1),
        "range": range(3),
        "slice": slice(3),
        "class": dict,
        "class in a list": [set],
        "class in a dict": {"a": [(1, (collections.OrderedDict,))]},
        "record dtype": np.zeros(2, [("a", "f4"), ("b", "O")]),
        "void": np.zeros(2, "V5"),
        "datetime array": np.zeros(2, "M8[s]"),
        "dtype alone": np.dtype("f4"),
        "copyreg": Simple(),
        "slots": Slots(),
        "other encoding": Calls(__import__("_codecs").encode, "abc", "zip"),
        "objects in objects": nested_objects(),
        "tuple as key": {(1, 2): 3},
        "large key": {2**61 - 1: 3},
    }  # fmt: skip


@pytest.mark.parametrize("name", attacks(None))
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_nothing_else_is_made(name, protocol, tmp_path):
    target = tmp_path / "made"
    if name == "slots":
        protocol = max(protocol, 2)
    value = attacks(target)[name]
    pickled = pickle.dumps(value, protocol)
    with pytest.raises(FormatError):
        safe_loads(pickled)
    with pytest.raises(FormatError):
        safe_loads(pickle.dumps([{"a": value}], protocol))
    assert [*tmp_path.iterdir()] == []


def test_the_attack_would_have_worked(tmp_path):
    pickle.loads(pickle.dumps(attacks(tmp_path / "made")["system"]))
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("pickled", "named"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "os.system"),
        (b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.", "posix.system"),
        (b"(S'true'\nios\nsystem\n.", "os.system"),
        (b"(cos\nsystem\nS'true'\no.", "os.system"),
        (b"c__builtin__\neval\n(S'1'\ntR.", "builtins.eval"),
        (b"\x80\x04\x8c\x08builtins\x8c\rset.__class__\x93.", "builtins.set.__class__"),
        (b"\x80\x02cnumpy\ndtype\n)\x81.", "NEWOBJ"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x02K\x01Q.", "BINPERSID"),
        (b"P1\n.", "PERSID"),
        (b"\x80\x05\x97.", "NEXT_BUFFER"),
        (b"(lp0\ncnumpy\nndarray\na.", "numpy.ndarray"),
        (b"}}b.", "damaged"),
        (b"})b.", "state of an object"),
        (b"K\x01)R.", "calls"),
        (b"", "truncated"),
        (b"\xff\xfe", "no pickle"),
        (b"hello", "damaged|no pickle|truncated"),
        (b"K\x01", "truncated"),
        (b"a.", "damaged"),
        (b".", "damaged"),
        (b"h\x00.", "damaged"),
        (b"K\x01t.", "damaged"),
        (b"}K\x01K\x02K\x03u.", "damaged"),
        (b"}(K\x01K\x02K\x03u.", "damaged"),
        (b"K\x01K\x02a.", "damaged"),
        (b"S'abc\n.", "quotes"),
        (b"Iabc\n.", "damaged"),
        (b"X\x03\x00\x00\x00\xff\xff\xff.", "damaged"),
        (b"\x80\x04\x93.", "damaged"),
        (b"\x80\x04K\x01K\x02\x93.", "damaged"),
        (b"cnumpy\ndtype\n(S'i9'\nI0\nI1\ntR.", "i9"),
        (b"cnumpy\ndtype\n(S'S0'\nI0\nI1\ntR.", "S0"),
        (b"ccollections\nOrderedDict\n(K\x01tR.", "damaged"),
        (b"ccollections\nOrderedDict\n(]K\x01K\x02K\x03K\x04K\x05tR.", "damaged"),
    ],
)  # fmt: skip
def test_the_error_says_what_is_wrong(pickled, named):
    with pytest.raises(FormatError, match=f"f.pkl, byte .*{named}"):
        safe_loads(pickled, name="f.pkl")


@pytest.mark.parametrize(
    ("shape", "content"),
    [
        (b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86", b"U\x041234"),
        (b"K\x02\x85", b"U\x041234"),
        (b"J\xff\xff\xff\xff\x85", b"U\x041234"),
        (b"U\x01a\x85", b"U\x041234"),
        (b"K\x00\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x3f\x86", b"U\x00"),
        (b"(" + b"K\x01" * 70 + b"t", b"U\x041234"),
        (b"K\x01\x85", b"]"),
        (b"K\x01\x85", b"N"),
        (b"N", b"U\x041234"),
    ],
)
def test_arrays_whose_shape_does_not_fit_their_bytes(shape, content):
    pickled = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
        + shape
        + b"cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
        b"K\x00tb\x89" + content + b"tb."
    )
    with pytest.raises(FormatError):
        safe_loads(pickled)


# time and memory

LONG = struct.pack("<q", 2**62)


def laughs(levels):
    """A tuple of two tuples of two tuples: 2^levels long if anybody walks it."""
    body = b")\x94"
    for level in range(levels):
        body += b"h" + bytes([level]) + b"h" + bytes([level]) + b"\x86\x94"
    return b"\x80\x04" + body


BOMBS = {
    "bytes": b"\x80\x04\x8e" + LONG + b"abc.",
    "text": b"\x80\x04\x8d" + LONG + b"abc.",
    "bytearray": b"\x80\x05\x96" + LONG + b"abc.",
    "long": b"\x80\x02\x8b\xff\xff\xff\x7f\x01.",
    "digits": b"I" + b"9" * 10**6 + b"\n.",
    "frame": b"\x80\x04\x95" + LONG + b".",
    "memo": b"K\x01r\xff\xff\xff\x7f" + b"]",
    "laughs as key": b"}" + laughs(60)[2:] + b"K\x01s.",
    "laughs in a set": b"\x80\x04\x8f(" + laughs(60)[2:] + b"\x90.",
    "lists": b"]" * 3_000_000,
    "sets": b"\x8f" * 3_000_000,
    "marks": b"(" * 1_000_000,
    "memos": b"\x80\x04]" + b"\x94" * 3_000_000,
    "one string encoded often": (
        b"X\x40\x42\x0f\x00" + b"a" * 10**6 + b"q\x00q\x01X\x06\x00\x00\x00latin1q\x01(h\x00(lp3\n"
        + b"c_codecs\nencode\nh\x00h\x01\x86Ra" * 5000 + b"t."
    ),
    "one list made a set often": (
        b"\x80\x02]q\x00(" + b"K\x01" * 10**6 + b"e(" + b"c__builtin__\nset\nh\x00\x85R" * 5000
        + b"t."
    ),
    "one list made an array often": (
        b"\x80\x02]q\x00(" + b"N" * 10**6 + b"ecnumpy\ndtype\nU\x01OK\x00K\x01\x87Rq\x01(" +
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(J\x40\x42\x0f\x00\x85h\x01\x89h\x00tb" * 3000 + b"t."
    ),
    "one literal": b"S'" + b"\\x00" * 10**6,
}  # fmt: skip
MILLIONS = ("sets", "lists", "memos", "marks")  # as many as there are bytes, up to a limit


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in MILLIONS)) for name in BOMBS],
)
def test_bombs_neither_hang_nor_eat_memory(name):
    tracemalloc.start()
    try:
        with pytest.raises(FormatError):
            safe_loads(BOMBS[name])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 700e6 if name in MILLIONS else peak < 40e6


def test_views_of_the_same_bytes_take_no_memory():
    array = np.zeros(10**6, "u1")
    content = pickle.dumps(array, 5)
    start = content.index(b"\x8c\x13numpy._core.numeric")
    one = content[start:-1]
    assert safe_loads(b"\x80\x05" + one + b".").nbytes == 10**6
    body = (
        b"\x80\x02U\x02f4K\x00K\x01\x87q\x00" + b"T" + struct.pack("<i", 4 * 10**6)
        + b"\0" * 4 * 10**6 + b"q\x01(cnumpy\ndtype\nU\x02f4K\x00K\x01\x87Rq\x02"
    )  # fmt: skip
    each = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(J\x40\x42\x0f\x00\x85h\x02\x89h\x01tb"
    )
    with pytest.raises(FormatError, match="at most two values for each byte"):
        safe_loads(body + each * 1000 + b"t.")


@pytest.mark.parametrize("step", [b"\x85", b"]\x94h\x00a0h\x00", b"(lp0\n", b"(dp0\nK\x01"])
def test_deep_nesting_ends(step):
    depth = 200_000
    if step == b"\x85":
        value = safe_loads(b"\x80\x02)" + step * depth + b".")
        assert type(value) is tuple
    elif step == b"(lp0\n":
        value = safe_loads(b"(l" * depth + b"a" * (depth - 1) + b".")
        assert type(value) is list
    elif step.startswith(b"(d"):
        value = safe_loads(b"(d" + b"K\x01(d" * depth + b"s" * depth + b".")
        assert type(value) is dict
    else:
        value = safe_loads(b"\x80\x04]\x94h\x00a.")
        assert value[0] is value
    del value


@settings(max_examples=300)
@given(
    source=st.sampled_from([0, 2, 5]),
    place=st.integers(0, 10**6),
    content=st.binary(min_size=1, max_size=6),
)
def test_damage_is_an_error_or_another_value(source, place, content):
    value = {"a": [np.arange(4.0), np.array(["x", None], object)], "b": b"123", "c": {1, 2}}
    pickled = bytearray(pickle.dumps(value, source))
    place %= len(pickled)
    pickled[place : place + len(content)] = content
    with contextlib.suppress(FormatError):
        safe_loads(bytes(pickled))


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


def test_a_malicious_object_file_creates_nothing(tmp_path):
    target = tmp_path / "made"
    array = np.empty(1, object)
    array[0] = Calls(os.system, f"touch {target}")
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(FormatError, match=r"posix\.system|nt\.system"):
        read_object_npy(tmp_path / "a.npy")
    assert not target.exists()


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


def test_no_heavy_import():
    code = "import graphmatch.safe_pickle, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("protocol", range(6))
def test_long_strings_of_numpy(protocol):
    for value in (np.bytes_(b"x" * 2000), np.str_("\u00e9" * 500)):
        assert safe_loads(pickle.dumps(value, protocol=protocol)) == value
