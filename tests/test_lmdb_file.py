"""The LMDB reader against files of the library, and against damage."""

from __future__ import annotations

import contextlib
import os
import random

import lmdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmatch.errors import FormatError
from graphmatch.lmdb_file import LmdbFile


def write(path, values, *, subdir=False, **options):
    with lmdb.open(str(path), subdir=subdir, lock=False, map_size=1 << 26, **options) as database:
        for start in range(0, len(values), 50):  # several transactions
            with database.begin(write=True) as transaction:
                for key, value in [*values.items()][start : start + 50]:
                    transaction.put(key, value)
    return path


def read(path, keys):
    """The values that are there."""
    with LmdbFile(path) as file:
        found = {key: file.get(key) for key in keys}
    return {key: value for key, value in found.items() if value is not None}


def mixture(seed=1):
    numbers = random.Random(seed)
    keys = [numbers.randbytes(numbers.choice([1, 8, 60, 300])) for _ in range(900)]
    return {key: numbers.randbytes(numbers.choice([0, 3, 90, 2000, 9000])) for key in keys}


@pytest.mark.parametrize("subdir", [True, False])
def test_values_of_the_library(tmp_path, subdir):
    values = mixture()
    path = write(tmp_path / "a.lmdb", values, subdir=subdir)
    assert read(path, values) == values
    others = [key + b"\0" for key in values] + [key[:-1] for key in values if len(key) > 8]
    assert read(path, [*others, b"", b"\xff" * 400]) == {}


@settings(max_examples=25)
@given(values=st.dictionaries(st.binary(min_size=1, max_size=30), st.binary(max_size=50)))
def test_any_values(values, tmp_path_factory):
    path = write(tmp_path_factory.mktemp("lmdb") / "a", values)
    assert read(path, values) == values


def test_deleted_and_overwritten_values(tmp_path):
    values = mixture()
    path = write(tmp_path / "a", values)
    gone = sorted(values)[::3]
    with lmdb.open(str(path), subdir=False, lock=False, map_size=1 << 26) as database:
        with database.begin(write=True) as transaction:
            for key in gone:
                transaction.delete(key)
        with database.begin(write=True) as transaction:
            transaction.put(b"new", b"x" * 100_000)
    values[b"new"] = b"x" * 100_000
    assert read(path, values) == {key: v for key, v in values.items() if key not in gone}


def test_empty_file_has_nothing(tmp_path):
    path = write(tmp_path / "a", {})
    assert read(path, [b"a"]) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected an LMDB"),
        (b"hello", "expected an LMDB"),
        (b"\0" * 10_000, "expected an LMDB"),
        (os.urandom(20_000), "expected an LMDB"),
    ],
)
def test_no_lmdb(tmp_path, content, message):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(FormatError, match=message):
        LmdbFile(tmp_path / "a")


def test_missing_files(tmp_path):
    for path in (tmp_path, tmp_path / "a"):
        with pytest.raises(FormatError, match="no such file"):
            LmdbFile(path)


def test_truncated_file(tmp_path):
    path = write(tmp_path / "a", mixture())
    content = path.read_bytes()
    for size in (8192, 100_000, len(content) - 4096):
        path.write_bytes(content[:size])
        with pytest.raises(FormatError, match="cut off"):
            read(path, mixture())


def test_other_kinds_of_databases(tmp_path):
    path = tmp_path / "a"
    with lmdb.open(str(path), subdir=False, lock=False, max_dbs=2) as database:
        inner = database.open_db(b"inner")
        with database.begin(write=True, db=inner) as transaction:
            transaction.put(b"a", b"b")
    with pytest.raises(FormatError, match="another database"):
        read(path, [b"inner"])


def test_damage_is_an_error_or_other_values(tmp_path):
    path = write(tmp_path / "a", mixture())
    content = path.read_bytes()
    numbers = random.Random(3)
    keys = [*mixture()][::15]
    for _ in range(120):
        damaged = bytearray(content)
        for _ in range(numbers.choice([1, 5, 30])):
            page = numbers.randrange(len(damaged) // 4096)
            damaged[page * 4096 + numbers.randrange(200)] = numbers.randrange(256)
        path.write_bytes(damaged)
        with contextlib.suppress(FormatError):
            found = read(path, keys)
            assert sum(map(len, found.values())) <= 3 * len(damaged)


def test_a_tree_that_runs_in_circles_ends(tmp_path):
    path = write(tmp_path / "a", {b"%08d" % number: b"x" * 100 for number in range(3000)})
    content = bytearray(path.read_bytes())
    with LmdbFile(path) as file:
        root = file._meta.root
    page = content[root * 4096 : (root + 1) * 4096]
    lower = int.from_bytes(page[12:14], "little")
    for offset in range(16, lower, 2):  # every branch leads back to the root
        node = root * 4096 + int.from_bytes(page[offset : offset + 2], "little")
        content[node : node + 6] = root.to_bytes(6, "little")
    path.write_bytes(content)
    with pytest.raises(FormatError, match="too deep"):
        read(path, [b"00000001"])


def test_values_on_the_same_pages_end(tmp_path):
    """A small file that would give the same long value again and again."""
    values = {b"%08d" % number: b"\0" * 8 for number in range(300)}
    path = tmp_path / "a"
    with (
        lmdb.open(str(path), subdir=False, lock=False) as database,
        database.begin(write=True) as transaction,
    ):
        for key, value in {**values, b"long": b"x" * 200_000}.items():
            transaction.put(key, value)
    content = bytearray(path.read_bytes())
    node = content.index(b"long") - 8
    for key in values:  # size and flags, and the page
        place = content.index(key) - 8
        content[place : place + 6] = content[node : node + 6]
        content[place + 16 : place + 24] = content[node + 12 : node + 20]
    path.write_bytes(content)
    with LmdbFile(path) as file:
        assert file.get(b"00000007") == b"x" * 200_000
    with pytest.raises(FormatError, match="overlap"):
        read(path, values)
