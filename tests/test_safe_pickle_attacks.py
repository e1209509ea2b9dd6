"""The restricted unpickler makes nothing but plain values, and says what is wrong."""

from __future__ import annotations

import collections
import contextlib
import datetime
import functools
import os
import pathlib
import pickle
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmatch.errors import FormatError
from graphmatch.safe_pickle import read_object_npy, safe_loads


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


def test_a_malicious_object_file_creates_nothing(tmp_path):
    target = tmp_path / "made"
    array = np.empty(1, object)
    array[0] = Calls(os.system, f"touch {target}")
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(FormatError, match=r"posix\.system|nt\.system"):
        read_object_npy(tmp_path / "a.npy")
    assert not target.exists()


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
