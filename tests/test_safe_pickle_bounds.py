"""The restricted unpickler ends in bounded time and memory, whatever it is given."""

from __future__ import annotations

import pickle
import struct
import tracemalloc

import numpy as np
import pytest

from graphmatch.errors import FormatError
from graphmatch.safe_pickle import safe_loads

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
