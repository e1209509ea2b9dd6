from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from graphmatch.clips.video_sources import find_videos
from graphmatch.errors import FormatError


@pytest.fixture
def folder(tmp_path):
    for name in (
        "b.mp4",
        "a.MKV",
        "deep/er/c.webm",
        "twice.avi",
        "twice.mov",
        "notes.md",
        ".d.mp4",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "e.mp4").touch()
    return tmp_path


def ids(paths):
    return [source.id for source in find_videos(paths)]


def test_folder(folder):
    found = find_videos(folder)
    assert [one.id for one in found] == ["a", "b", "deep/er/c", "twice.avi", "twice.mov"]
    assert all(one.path.is_file() and one.error is None for one in found)


def test_patterns(folder):
    assert ids(str(folder / "*.m*")) == ["b", "twice"]
    assert ids(str(folder / "**" / "*.webm")) == ["deep/er/c"]
    assert ids(str(folder / "de*" / "er" / "*")) == ["deep/er/c"]


def test_list(folder, monkeypatch):
    (folder / "list.txt").write_bytes("\ufeffb.mp4\n\nC7\tdeep/er/c.webm\r\nmissing.mp4\n".encode())
    found = find_videos(folder / "list.txt")
    assert [one.id for one in found] == ["b", "C7", "missing"]
    assert found[1].path == folder / "deep" / "er" / "c.webm"
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"b.mp4\n")))
    assert find_videos("-")[0].path == Path("b.mp4")


def test_file_of_any_name(folder):
    assert ids([folder / "notes.md", folder / "b.mp4"]) == ["notes.md", "b"]


def test_same_id_again_is_an_error(folder):
    found = find_videos([folder / "b.mp4", folder, folder / "b.mp4"])
    assert [one.id for one in found if one.error] == ["b#2", "b#3"]
    assert "an earlier video has the id 'b'" in found[2].error


def test_names_and_lines_of_a_list_that_are_odd(folder):
    path = os.fsencode(folder) + b"/\xe9.mp4"
    with open(path, "wb"):  # noqa: PTH123
        pass
    lines = [b"\xe9.mp4", b"b.mp4", b"b.mp4", b"deep.mp4/x", b"\tb.mp4", b"name\t"]
    (folder / "list.txt").write_bytes(b"\n".join(lines))
    found = find_videos(folder / "list.txt")
    file = folder / "list.txt"
    assert [one.id for one in found] == ["?", "b", "b#2", "deep.mp4/x", f"{file}:5", f"{file}:6"]
    assert found[0].path.is_file()
    errors = [one.error or "" for one in found]
    assert errors[:2] == ["", ""]
    assert "an earlier video" in errors[2]
    assert all("expected a path, or an id" in error for error in errors[4:])


def test_links_of_a_folder(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "f.mp4").touch()
    (folder / "deep" / "there").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(folder / "deep")  # a circle
    assert ids(folder) == ["a", "b", "deep/er/c", "deep/there/f", "twice.avi", "twice.mov"]


@pytest.mark.parametrize(
    "name", ["nothing.mp4", "*.ogv", "empty", "empty.txt", "utf16.txt", "x" * 5000]
)
def test_what_is_not_there_is_an_error(folder, name):
    (folder / "empty").mkdir()
    (folder / "empty.txt").touch()
    (folder / "utf16.txt").write_bytes("b.mp4".encode("utf-16"))
    with pytest.raises(FormatError, match=r"expected|cannot be read"):
        find_videos(str(folder / name))
