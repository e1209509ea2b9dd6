"""Images in archives: hostile and damaged ones, limits of size and memory."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmatch.regions import photo_archive, photo_source
from graphmatch.regions.photo_archive import read_archive
from graphmatch.regions.photo_sources import read_sources
from tests.regions.source_files import loaded


def archive(path, *members, mode="w", format=tarfile.PAX_FORMAT):
    """A tar of names with content, or of whole members."""
    with tarfile.open(path, mode, format=format) as tar:
        for member in members:
            if isinstance(member, str):
                info = tarfile.TarInfo(member)
                info.size = len(member)
                tar.addfile(info, io.BytesIO(member.encode()))
            else:
                tar.addfile(member)
    return path


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "A.TGZ"])
@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_an_archive(tmp_path, name, format):
    long = "/".join(["x" * 60] * 3) + ".jpg"
    members = ["./1.jpg", special("sub", tarfile.DIRTYPE), "sub/2.png", "1.json", "._1.jpg"]
    members += ["1.png", "1.png", long, special("x.jpg", tarfile.DIRTYPE)]
    mode = "w" if name == "a.tar" else "w:gz"
    sources = read_sources(archive(tmp_path / name, *members, mode=mode, format=format))
    assert sources.count is None
    ids, found = zip(*loaded(sources), strict=True)
    assert ids == ("1", "sub/2", "1.png", "1.png#2", long.removesuffix(".jpg"))
    assert (found[0], found[1], found[2], found[4]) == ("./1.jpg", "sub/2.png", "1.png", long)
    assert "an earlier image" in str(found[3])
    assert os.listdir(tmp_path) == [name]  # noqa: PTH208


def test_names_and_links_of_a_hostile_archive(tmp_path):
    secret = tmp_path / "secret.jpg"
    secret.write_text("secret")
    members = ["../up.jpg", "/up/root.jpg", special("soft.jpg", tarfile.SYMTYPE, str(secret))]
    members += [special("hard.jpg", tarfile.LNKTYPE, "../secret.jpg")]
    members += [
        special("pipe.jpg", tarfile.FIFOTYPE),
        special("zero.jpg", tarfile.CHRTYPE),
        "9.jpg",
    ]
    folder = tmp_path / "in"
    folder.mkdir()
    found = loaded(read_sources(archive(folder / "a.tar", *members)))
    assert found[0] == ("../up", "../up.jpg")
    assert found[1] == ("/up/root", "/up/root.jpg")
    assert found[-1] == ("9", "9.jpg")
    assert [id for id, _ in found[2:-1]] == ["soft", "hard", "pipe", "zero"]
    assert all("got a link or a device" in str(error) for _, error in found[2:-1])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "secret.jpg"]
    assert [path.name for path in folder.iterdir()] == ["a.tar"]


def test_any_beginning_of_an_archive_keeps_what_is_whole(tmp_path):
    names = [f"{number}.jpg" for number in range(5)]
    whole = archive(tmp_path / "whole.tar", *names).read_bytes()
    good = [(name.removesuffix(".jpg"), name) for name in names]
    for length in {*range(0, 6200, 100), *range(0, 6144, 512), *range(0, 6144, 511)}:
        for name, content in [("a.tar", whole[:length]), ("a.tgz", gzip.compress(whole)[:length])]:
            (tmp_path / name).write_bytes(content)
            *kept, last = loaded(read_archive(tmp_path / name))
            assert kept == good[: len(kept)]
            if last != good[-1]:
                assert last[0] == name
                assert "truncated or damaged" in str(last[1])
                assert "at its start" in str(last[1]) or f"after '{len(kept) - 1}.jpg'" in str(
                    last[1]
                )
    assert length < 10_240


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), min_size=1, max_size=6))
def test_any_damage_of_an_archive_is_an_error_or_nothing(changes):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name in ("1.jpg", "ü" * 60 + ".jpg"):
            info = tarfile.TarInfo(name)
            info.size = 3
            tar.addfile(info, io.BytesIO(b"abc"))
    content = bytearray(stream.getvalue())
    for place, value in changes:
        content[place] = value
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.tar"
        file.write_bytes(content)
        assert loaded(read_archive(file))


def header(name, size, kind=b"0", digits=None):
    """A header of a tar member with a size of any sort."""
    info = tarfile.TarInfo(name)
    block = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    block[124:136] = digits or b"%011o\0" % size
    block[156:157] = kind
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "at its start"),
        (b"no archive at all" * 100, "at its start"),
        (header("1.jpg", 0, digits=b"\xff" * 10 + b"\xfc\0"), "negative"),  # -1024: back to itself
        (header("long", 8 * 2**30 - 1, b"x"), "a header claims 8,589,934,592 bytes"),
        (header("long", 8 * 2**30 - 1, b"L"), "a header claims 8,589,934,592 bytes"),
        (header("x", 0, b"x", digits=b"\xff" * 10 + b"\xfc\0"), "a header claims -1,024 bytes"),
        (header("1.jpg", 0) + b"no header" * 100 + bytes(2000), "after '1.jpg'"),
        (header("1.jpg", 0), "its end mark is missing"),
        (header("1.jpg", 600) + bytes(200), "1.jpg is cut off"),
        (header("1.txt", 0) + bytes(1024), "found none"),
    ],
)
def test_hostile_and_empty_archives(tmp_path, content, error):
    file = tmp_path / "a.tar"
    file.write_bytes(content)
    id, found = loaded(read_archive(file))[-1]
    assert id == "a.tar"
    assert error in str(found)


def test_images_that_are_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(photo_source, "MAX_FILE_BYTES", 1000)
    monkeypatch.setattr(photo_archive, "MAX_FILE_BYTES", 1000)
    (tmp_path / "1.jpg").write_bytes(bytes(1001))
    (tmp_path / "2.jpg").write_bytes(bytes(1000))
    archive(tmp_path / "a.tar", "x" * 50 + ".jpg")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name in ("1.jpg", "2.jpg"):
            tar.add(tmp_path / name, name)
    for given_path in (tmp_path, tmp_path / "a.tar"):
        (one, error), (two, content) = loaded(read_sources(given_path))
        assert (one, two, len(content)) == ("1", "2", 1000)
        assert "expected an image of at most 1,000 bytes" in str(error)


def test_memory_of_an_archive_is_that_of_one_member(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for number in range(2000):
            info = tarfile.TarInfo(f"{number}.jpg")
            info.size = 20_000
            tar.addfile(info, io.BytesIO(bytes(20_000)))
    tracemalloc.start()
    assert sum(len(source.load()) for source in read_archive(tmp_path / "a.tar")) == 40_000_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
