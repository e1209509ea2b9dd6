"""How a graph store is written: its parts, its manifest and the folder of a job."""

from __future__ import annotations

import resource
import shutil

import pyarrow as pa
import pytest

from graphmatch.errors import ConfigError, FormatError
from graphmatch.parquet_part import part_name
from graphmatch.rows import CaptionRow
from graphmatch.store_format import (
    FORMAT,
    PartSummary,
    read_manifest,
    read_summary,
    write_part,
)
from tests.graph_stores import JOB, caption, make_store, many_captions


@pytest.fixture(scope="module")
def content():
    return many_captions()


@pytest.fixture(scope="module")
def kept(tmp_path_factory, content):
    return make_store(tmp_path_factory.mktemp("store") / "s", content)


@pytest.fixture
def store(tmp_path, kept):
    """A copy that a test may damage."""
    return shutil.copytree(kept, tmp_path / "s")


# parts and the manifest


def test_write_part_says_what_it_holds(tmp_path, content):
    summary = write_part(tmp_path, 0, rows=content[:20], digest="abc")
    expected = PartSummary(
        digest="abc", rows=20, failed=1, bare=1, failures=[["c7", "empty caption"]]
    )
    assert summary == expected
    assert read_summary(tmp_path / part_name(0), verify=True) == expected
    assert part_name(0) == "part-00000.parquet"


def test_write_part_leaves_nothing_behind_when_it_cannot_be_renamed(tmp_path):
    (tmp_path / part_name(0)).mkdir()
    with pytest.raises(OSError, match="part-00000"):
        write_part(tmp_path, 0, rows=[caption(0)], digest="")
    assert [entry.name for entry in tmp_path.iterdir()] == [part_name(0)]


def test_write_part_leaves_nothing_behind_when_the_disk_is_full(tmp_path, content):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_part(tmp_path, 0, rows=content, digest="")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_write_part_leaves_nothing_behind_when_a_row_cannot_be_stored(tmp_path):
    with pytest.raises((pa.ArrowException, UnicodeEncodeError)):
        write_part(tmp_path, 0, rows=[CaptionRow(id="\ud800", text="")], digest="")
    assert list(tmp_path.iterdir()) == []


def test_write_part_replaces_an_older_one(tmp_path):
    write_part(tmp_path, 0, rows=[caption(0)], digest="a")
    write_part(tmp_path, 0, rows=[caption(0), caption(1)], digest="b")
    summary = read_summary(tmp_path / part_name(0))
    assert summary is not None
    assert (summary.digest, summary.rows) == ("b", 2)
    assert len(list(tmp_path.iterdir())) == 1


def test_manifest_lists_the_first_thousand_failures(tmp_path):
    bad = [CaptionRow(id=str(number), text="", error="empty") for number in range(1001)]
    make_store(tmp_path / "s", bad)
    manifest = read_manifest(tmp_path / "s")
    assert manifest["counts"]["failed"] == 1001
    assert len(manifest["failures"]) == 1000


# the folder of a job


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_prepare_folder_makes_a_new_one(tmp_path):
    FORMAT.prepare_folder(tmp_path / "a" / "b", JOB)
    assert names(tmp_path / "a" / "b") == []
    FORMAT.prepare_folder(tmp_path / "a" / "b", JOB)


def test_prepare_folder_goes_on_with_the_same_job(store):
    before = names(store)
    (store / "part-00003.parquet.77.tmp").write_bytes(b"half")
    (store / "manifest.json.77.tmp").write_bytes(b"half")
    FORMAT.prepare_folder(store, JOB)
    assert names(store) == before


def test_prepare_folder_clears_a_run_that_died_at_its_start(tmp_path):
    (tmp_path / "manifest.json.77.tmp").write_bytes(b"{")
    FORMAT.prepare_folder(tmp_path, JOB)
    assert names(tmp_path) == []


def test_prepare_folder_refuses_another_job(store):
    before = names(store)
    other = {"parser": "none", "mode": "strict", "new": 1}
    with pytest.raises(
        ConfigError, match=r"mode: 'augmented' -> 'strict', new: None -> 1.*--force"
    ):
        FORMAT.prepare_folder(store, other)
    assert names(store) == before
    FORMAT.prepare_folder(store, other, force=True)
    assert names(store) == []


@pytest.mark.parametrize("force", [False, True])
def test_prepare_folder_deletes_nothing_of_a_folder_that_is_no_store(tmp_path, force):
    for name in ("thesis.txt", "part-1.tmp", "part-00000.parquet", "part-00001.parquet.5.tmp"):
        (tmp_path / name).write_text("mine")
    before = names(tmp_path)
    with pytest.raises(ConfigError, match="expected a new or empty folder, or a store"):
        FORMAT.prepare_folder(tmp_path, JOB, force=force)
    (tmp_path / "manifest.json").write_text('{"name": "a web page"}')
    with pytest.raises(ConfigError, match="expected a new or empty folder, or a store"):
        FORMAT.prepare_folder(tmp_path, JOB, force=force)
    assert names(tmp_path) == sorted([*before, "manifest.json"])


def test_prepare_folder_by_force_keeps_what_is_not_the_stores(store):
    for name in ("notes.txt", "part-of-thesis.parquet", "part-1.tmp"):
        (store / name).write_text("mine")
    FORMAT.prepare_folder(store, {"parser": "other"}, force=True)
    assert names(store) == ["notes.txt", "part-1.tmp", "part-of-thesis.parquet"]


def test_prepare_folder_by_force_replaces_a_damaged_or_newer_store(store):
    manifest = store / "manifest.json"
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(text[: len(text) // 2], encoding="utf-8")
    with pytest.raises(FormatError, match="damaged"):
        FORMAT.prepare_folder(store, JOB)
    FORMAT.prepare_folder(store, JOB, force=True)
    assert names(store) == []


def test_prepare_folder_refuses_a_file(tmp_path):
    (tmp_path / "s").write_text("x")
    with pytest.raises(ConfigError, match=r"expected a folder .*got a file"):
        FORMAT.prepare_folder(tmp_path / "s", JOB)
