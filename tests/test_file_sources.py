"""Ids of files; folders, patterns and lists are tested where images and videos are found."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from graphmatch.file_sources import FileKind, FreeIds, match_pattern

IMAGE = FileKind("image", frozenset({".jpg", ".png"}))
NAMES = st.lists(
    st.text("ab.#/", max_size=3).flatmap(
        lambda stem: st.sampled_from([stem, f"{stem}.jpg", f"{stem}.png", f"{stem}.jpg.png"])
    ),
    max_size=8,
    unique=True,
)


@given(NAMES)
def test_different_files_have_different_ids(names):
    found = IMAGE.named(Path("folder"), names)
    assert len({file.id for file in found}) == len(names)
    assert all(file.id in (n, IMAGE.stem(n)) for file, n in zip(found, names, strict=True))


@given(st.lists(st.sampled_from(["a", "a#2", "a#3", "a#2#2", "b"]), max_size=12))
def test_free_ids(wanted):
    ids = FreeIds()
    taken = [ids.take(id) for id in wanted]
    assert len(set(taken)) == len(taken)
    for place, (id, got) in enumerate(zip(wanted, taken, strict=True)):
        if id not in taken[:place]:
            assert got == id
            continue
        number = 2
        while f"{id}#{number}" in taken[:place]:
            number += 1
        assert got == f"{id}#{number}"


def test_a_folder_that_cannot_be_read_is_a_file_with_an_error(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    (tmp_path / "a.jpg").touch()
    scan = os.scandir

    def refuse(path):  # the rights of files do not bind an administrator
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    good, bad = IMAGE.in_folder(tmp_path)
    assert (good.id, good.error) == ("a", None)
    assert bad.path == str(tmp_path / "closed")
    assert "Permission denied" in bad.error


def test_patterns_start_above_their_first_sign(tmp_path, monkeypatch):
    for name in ("a/1/x.jpg", "a/2/y.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    assert match_pattern(f"{tmp_path}/a/*/*.jpg") == (tmp_path / "a", ["1/x.jpg"])
    monkeypatch.chdir(tmp_path)
    assert match_pattern("**/*.png") == (Path(), ["a/2/y.png"])
