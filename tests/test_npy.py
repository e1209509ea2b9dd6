"""Headers of `.npy` files and memory maps."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from graphmatch.errors import FormatError
from graphmatch.npy import map_array, read_header

PLAIN = st.sampled_from(["<f4", ">f8", "<f2", "|u1", "<i8", ">i4", "|b1", "<U5", "|S3"])


@given(hnp.arrays(PLAIN.map(np.dtype), hnp.array_shapes(min_dims=0, min_side=0)))
def test_headers_are_read_as_numpy_reads_them(array):
    stream = io.BytesIO()
    np.save(stream, array)
    stream.seek(0)
    assert read_header(stream, "a") == (array.shape, array.dtype)
    rest = stream.read()
    assert rest == array.tobytes()


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_format(version):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.zeros((2, 3), ">i2"), version=version)
    stream.seek(0)
    assert read_header(stream, "a") == ((2, 3), np.dtype(">i2"))


def header(text, version=b"\1\0"):
    content = text.encode("latin-1")
    return io.BytesIO(b"\x93NUMPY" + version + len(content).to_bytes(2, "little") + content)


def test_headers_of_python_2():
    text = "{'descr': '<f4', 'fortran_order': False, 'shape': (5070L, 36L, 4L), }   \n"
    assert read_header(header(text), "a") == ((5070, 36, 4), np.dtype("<f4"))
    text = "{'shape': (3L,), 'fortran_order': True, 'descr': '|O'}"
    assert read_header(header(text), "a") == ((3,), np.dtype(object))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-3,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3), 'more': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': [3]}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<M8[s]', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': 'float', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2)}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (3,)}",
        "[" * 5000,
        "__import__('os').system('true')",
    ],
)
def test_other_headers_are_refused(text):
    with pytest.raises(FormatError):
        read_header(header(text), "a")


@given(st.integers(0, 127), st.integers(0, 255), st.booleans())
def test_a_damaged_header_is_right_or_refused(position, byte, insert):
    stream = io.BytesIO()
    np.save(stream, np.zeros((7, 3), np.float32))
    content = bytearray(stream.getvalue())
    content[position : position + (not insert)] = [byte]
    try:
        shape, dtype = read_header(io.BytesIO(bytes(content)), "a")
    except FormatError:
        return
    assert all(isinstance(size, int) for size in shape)
    assert dtype.kind in "fiubSUO"


@given(st.integers(0, 300))
def test_a_truncated_file_is_refused(tmp_path_factory, length):
    path = tmp_path_factory.mktemp("npy") / "a.npy"
    np.save(path, np.arange(50, dtype=np.int32))
    whole = path.read_bytes()
    path.write_bytes(whole[:length])
    if length < len(whole):
        with pytest.raises(FormatError, match=r"a\.npy"):
            map_array(path)
    else:
        assert map_array(path).tolist() == list(range(50))


def test_maps_are_read_only_views_of_numbers(tmp_path):
    np.save(tmp_path / "a.npy", np.eye(3))
    array = map_array(tmp_path / "a.npy")
    assert type(array) is np.ndarray
    assert not array.flags.writeable
    np.save(tmp_path / "s.npy", np.array(["dog"]))
    with pytest.raises(FormatError, match="numbers"):
        map_array(tmp_path / "s.npy")
    with pytest.raises(FormatError, match="no such file"):
        map_array(tmp_path / "none.npy")


def test_an_impossible_size_allocates_nothing(tmp_path):
    text = "{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999, 9999999999), }"
    (tmp_path / "a.npy").write_bytes(header(text).getvalue() + b"1234")
    with pytest.raises(FormatError, match="truncated"):
        map_array(tmp_path / "a.npy")
