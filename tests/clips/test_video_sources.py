from __future__ import annotations

import io
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
    assert "the id 'b' belongs to an earlier video" in found[2].error


@pytest.mark.parametrize("name", ["nothing.mp4", "*.ogv", "empty", "empty.txt", "latin.txt"])
def test_what_is_not_there_is_an_error(folder, name):
    (folder / "empty").mkdir()
    (folder / "empty.txt").touch()
    (folder / "latin.txt").write_bytes("é.mp4".encode("latin-1"))
    with pytest.raises(FormatError, match="expected"):
        find_videos(str(folder / name))
