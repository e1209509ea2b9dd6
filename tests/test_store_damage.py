"""Graph stores that are damaged, newer or unfinished are refused with the reason."""

from __future__ import annotations

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graphmatch.errors import FormatError
from graphmatch.parquet_part import part_name
from graphmatch.rows import SCHEMA
from graphmatch.store import GraphStore
from graphmatch.store_format import read_summary
from tests.graph_stores import caption, make_store, many_captions


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("store") / "s", many_captions())


@pytest.fixture
def store(tmp_path, kept):
    """A copy that a test may damage."""
    return shutil.copytree(kept, tmp_path / "s")


# parts


def test_truncated_part_is_refused(store):
    path = store / part_name(1)
    whole = path.read_bytes()
    for size in (0, 3, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(FormatError, match=r"part-00001.*truncated.*same graphmatch parse"):
            GraphStore(store)
        assert read_summary(path) is None


def test_missing_part_is_refused(store):
    (store / part_name(2)).unlink()
    with pytest.raises(FormatError, match=r"part-00002.*missing"):
        GraphStore(store)
    assert read_summary(store / part_name(2)) is None


def test_part_of_another_store_is_refused(store):
    shutil.copy(store / part_name(2), store / part_name(1))
    with pytest.raises(FormatError, match=r"part-00001.*expected 400 captions"):
        GraphStore(store)


def test_part_that_is_no_part_is_refused(store):
    pq.write_table(pa.table({"id": ["a"] * 400}), store / part_name(1))
    with pytest.raises(FormatError, match="part-00001"):
        GraphStore(store)
    assert read_summary(store / part_name(1)) is None


def flip(path, column):
    """Change one byte in the data of a column's first page."""
    place = SCHEMA.get_field_index(column)
    chunk = pq.read_metadata(path).row_group(0).column(place)
    assert chunk.path_in_schema.startswith(column)
    data = bytearray(path.read_bytes())
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    data[start + chunk.total_compressed_size - 2] ^= 0x10
    path.write_bytes(bytes(data))


def test_flipped_byte_in_a_page_is_found(store):
    path = store / part_name(0)
    flip(path, "text")
    damaged = GraphStore(store)
    with pytest.raises(FormatError, match=r"part-00000.*page is damaged.*delete the file"):
        list(damaged)
    with pytest.raises(FormatError, match="page is damaged"):
        damaged["c0"]
    assert damaged["c400"].id == "c400"
    assert read_summary(path) is not None
    assert read_summary(path, verify=True) is None


def test_flipped_byte_in_the_ids_is_found(store):
    flip(store / part_name(0), "id")
    with pytest.raises(FormatError, match="page is damaged"):
        GraphStore(store)["c0"]
    with pytest.raises(FormatError, match="page is damaged"):
        assert "c0" in GraphStore(store)


@pytest.mark.slow
def test_no_flipped_byte_gives_other_rows(tmp_path):
    content = [caption(number) for number in range(3)]
    folder = make_store(tmp_path / "s", content)
    path = folder / part_name(0)
    whole = path.read_bytes()
    size = int.from_bytes(whole[-8:-4], "little")
    for place in range(0, len(whole) - size - 8, 7):  # the footer has no checksum
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            assert list(GraphStore(folder)) == content, place
        except FormatError:
            continue


def edit_footer(path, **changed):
    table = pq.read_table(path)
    footer = {**json.loads(table.schema.metadata[b"graphmatch"]), **changed}
    pq.write_table(table.replace_schema_metadata({b"graphmatch": json.dumps(footer)}), path)


def test_newer_part_is_refused(store):
    path = store / part_name(0)
    edit_footer(path, version=2)
    for read in (lambda: GraphStore(store), lambda: read_summary(path)):
        with pytest.raises(FormatError, match=r"version 1 or older .got 2.*newer graphmatch: up"):
            read()


@pytest.mark.parametrize("changed", [{"rows": 399}, {"digest": 5, "rows": "x"}])
def test_part_whose_footer_lies_has_no_summary(store, changed):
    edit_footer(store / part_name(0), **changed)
    assert read_summary(store / part_name(0)) is None


# manifests


def edit_manifest(folder, change):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), encoding="utf-8")


@pytest.mark.parametrize("version", [2, 99])
def test_newer_manifest_is_refused(store, version):
    edit_manifest(store, lambda manifest: manifest.update(version=version))
    with pytest.raises(FormatError, match=f"older .got {version}.*newer graphmatch: upgrade"):
        GraphStore(store)


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest.pop("format"),
        lambda manifest: manifest.update(format="other"),
        lambda manifest: manifest.pop("version"),
        lambda manifest: manifest.update(version="1"),
        lambda manifest: manifest.update(version=0),
        lambda manifest: manifest.pop("parts"),
        lambda manifest: manifest.update(parts={}),
        lambda manifest: manifest["parts"].append(3),
        lambda manifest: manifest["parts"][0].pop("rows"),
        lambda manifest: manifest["parts"][0].update(rows="many"),
        lambda manifest: manifest["parts"][0].update(file="../part-00000.parquet"),
        lambda manifest: manifest["parts"][0].update(file=None),
        lambda manifest: manifest["counts"].pop("failed"),
        lambda manifest: manifest.update(counts=None),
        lambda manifest: manifest.update(job=[]),
        lambda manifest: manifest.update(complete="yes"),
    ],
)
def test_manifest_with_other_content_is_refused(store, change):
    edit_manifest(store, change)
    with pytest.raises(FormatError, match=r"manifest\.json"):
        GraphStore(store)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"null", b"7", b'"x"', b"\xff\xfe", b"[" * 100_000]
)
def test_damaged_manifest_is_refused(store, text):
    (store / "manifest.json").write_bytes(text)
    with pytest.raises(FormatError, match=r"manifest is damaged .*make the store again"):
        GraphStore(store)


def test_unfinished_store_is_refused(tmp_path):
    folder = make_store(tmp_path / "s", [caption(0)], complete=False)
    with pytest.raises(FormatError, match=r"finished store .*same graphmatch parse command again"):
        GraphStore(folder)


def test_folder_that_is_no_store_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(FormatError, match=r"expected a graph store .*graphmatch parse"):
            GraphStore(path)
