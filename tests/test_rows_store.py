"""Rows of a caption table and the store they lie in."""

from __future__ import annotations

import json
import pickle
import resource
import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphmatch.columns import KINDS, GraphColumns
from graphmatch.errors import ConfigError, FormatError
from graphmatch.parquet_part import part_name
from graphmatch.parse import Argument, Frame, Parse
from graphmatch.parsers.dependencies import dependency_graph
from graphmatch.parsers.roles import role_graph
from graphmatch.rows import SCHEMA, CaptionRow, rows_to_table, table_to_rows
from graphmatch.store import GraphStore
from graphmatch.store_format import (
    FORMAT,
    PartSummary,
    read_manifest,
    read_summary,
    write_manifest,
    write_part,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
JOB = {"parser": "none", "mode": "augmented"}


@st.composite
def parses(draw, text):
    count = draw(st.integers(0, 6))
    order = draw(st.permutations(range(count)))
    heads = [-1] * count
    for place in range(1, count):  # a head earlier in some order: any tree, no cycle
        heads[order[place]] = draw(st.sampled_from([-1, *order[:place]]))
    many = st.lists(TEXT, min_size=count, max_size=count)
    frames = []
    for verb in draw(st.sets(st.integers(0, count - 1), max_size=2)) if count else ():
        spans = draw(st.lists(st.sets(st.integers(0, count - 1), min_size=1), max_size=2))
        arguments = tuple(Argument(draw(TEXT), tuple(sorted(span))) for span in spans)
        frames.append(Frame((verb,), arguments))
    return Parse.from_tree(
        draw(many), heads=heads, deprels=draw(many), pos=draw(many), tags=draw(many),
        lemmas=draw(many), text=text, frames=frames,
    )  # fmt: skip


@st.composite
def graphs(draw):
    count = draw(st.integers(0, 4))
    node = st.integers(0, max(count - 1, 0))
    spans = sorted(draw(st.sets(st.tuples(node, st.integers(0, 9)), max_size=6 if count else 0)))
    edges = draw(st.lists(st.tuples(node, node, TEXT), max_size=4 if count else 0))
    return GraphColumns(
        kind=tuple(draw(st.sampled_from(KINDS)) for _ in range(count)),
        role=tuple(draw(TEXT) for _ in range(count)),
        span_node=tuple(node for node, _ in spans),
        span_word=tuple(word for _, word in spans),
        source=tuple(source for source, _, _ in edges),
        target=tuple(target for _, target, _ in edges),
        relation=tuple(label for _, _, label in edges),
    )


@st.composite
def rows(draw):
    text = draw(TEXT)
    return CaptionRow(
        id=draw(TEXT),
        owner=draw(st.none() | TEXT),
        text=text,
        error=draw(st.none() | TEXT),
        parse=draw(st.none() | parses(text)),
        roles=draw(st.none() | graphs()),
        dependencies=draw(st.none() | graphs()),
    )


def caption(number, text="dogs chase cats"):
    """A row with everything in it."""
    parse = Parse.from_tree(
        text.split(), heads=[1, -1, 1], deprels=["nsubj", "root", "obj"],
        frames=[Frame((1,), (Argument("ARG0", (0,)), Argument("ARG1", (2,))))],
    )  # fmt: skip
    return CaptionRow(
        id=f"c{number}",
        owner=f"v{number // 5}",
        text=text,
        parse=parse,
        roles=role_graph(parse),
        dependencies=dependency_graph(parse),
    )


def make_store(folder, content, part_rows=400, complete=True):
    folder.mkdir(exist_ok=True)
    blocks = [content[start : start + part_rows] for start in range(0, len(content), part_rows)]
    parts = [
        write_part(folder, number, rows=block, digest=str(number))
        for number, block in enumerate(blocks)
    ]
    write_manifest(folder, JOB, parts=parts, complete=complete)
    return folder


@pytest.fixture(scope="module")
def content():
    made = [caption(number) for number in range(900)]
    made[7] = CaptionRow(id="c7", text="", error="empty caption")
    made[8] = replace(made[8], roles=role_graph(Parse.from_tree([], heads=[], deprels=[])))
    return made


@pytest.fixture(scope="module")
def kept(tmp_path_factory, content):
    return make_store(tmp_path_factory.mktemp("store") / "s", content)


@pytest.fixture
def store(tmp_path, kept):
    """A copy that a test may damage."""
    return shutil.copytree(kept, tmp_path / "s")


# rows


@given(st.lists(rows(), max_size=5))
@settings(deadline=None, max_examples=60)
def test_rows_round_trip_through_a_table(content):
    table = rows_to_table(content)
    assert table.schema == SCHEMA
    assert list(table_to_rows(table)) == content
    table.validate(full=True)


@given(st.lists(rows(), max_size=5), st.integers(1, 3))
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
def test_rows_round_trip_through_a_store(tmp_path_factory, content, part_rows):
    content = [replace(row, id=f"{number}{row.id}") for number, row in enumerate(content)]
    folder = make_store(tmp_path_factory.mktemp("store"), content, part_rows)
    store = GraphStore(folder)
    assert len(store) == len(content)
    assert list(store) == content
    assert store.ids == [row.id for row in content]
    for row in reversed(content):
        assert store[row.id] == row


@pytest.mark.parametrize("name", SCHEMA.names)
def test_table_without_a_column_is_refused(name):
    table = rows_to_table([caption(0)]).drop_columns(name)
    with pytest.raises(FormatError, match=rf"missing: {name}\)"):
        list(table_to_rows(table))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("heads", [1, 0, 1], "cycle"),
        ("heads", [1, -1], "expected 3 heads"),
        ("heads", [1, -1, 7], "head in"),
        ("heads", [1, None, 1], "damaged"),
        ("heads", None, "damaged"),
        ("frames", None, "damaged"),
        ("frames", [{"verb": [9], "arguments": []}], r"in \[0, 3\) for verb"),
        ("starts", [0, 5], "damaged"),
        ("ends", [4, 10, 99], "offsets"),
        ("dependencies", {"kind": ["word"], "role": [], "relation": []}, "damaged"),
    ],
)
def test_table_with_a_damaged_row_is_refused(name, value, message):
    table = rows_to_table([caption(0)])
    place = SCHEMA.get_field_index(name)
    damaged = table.set_column(
        place, SCHEMA.field(name), pa.array([value], SCHEMA.field(name).type)
    )
    with pytest.raises(FormatError, match=message) as error:
        list(table_to_rows(damaged))
    assert "'c0'" in str(error.value)


def test_table_with_bytes_that_are_no_text_is_refused():
    table = rows_to_table([caption(0)])
    raw = pa.array([b"caf\xe9"], pa.binary())
    text = pa.StringArray.from_buffers(1, raw.buffers()[1], raw.buffers()[2])
    with pytest.raises(FormatError, match="utf-8"):
        list(table_to_rows(table.set_column(2, "text", text)))


# store


def test_store_random_access_equals_streaming(kept, content):
    store = GraphStore(kept)
    assert list(store) == content
    for number in (899, 0, 400, 255, 256, 257, 399, 655, 656, 7, 8):
        assert store[f"c{number}"] == content[number]
    assert "c899" in store
    assert "c900" not in store
    with pytest.raises(KeyError, match="no caption with id 'c900'"):
        store["c900"]


def test_store_reads_row_groups_of_any_size(store, content):
    path = store / part_name(0)
    table = pq.read_table(path)
    pq.write_table(table, path, row_group_size=7)
    again = GraphStore(store)
    assert again["c300"] == content[300]
    assert list(again) == content


def test_store_gives_the_first_of_equal_ids(tmp_path):
    first = caption(1)
    again = CaptionRow(id="c1", text="x", error="duplicate id 'c1'")
    store = GraphStore(make_store(tmp_path / "s", [first, again]))
    assert store["c1"] == first
    assert (len(store), store.ids) == (2, ["c1"])


def test_store_tells_its_words_and_counts(kept):
    store = GraphStore(kept)
    words = list(store.words())
    assert len(words) == 899
    assert set(words) == {("dogs", "chase", "cats")}
    assert "900 captions, 1 failed" in repr(store)
    assert store.manifest["counts"] == {"captions": 900, "failed": 1, "event_only": 1}
    assert store.manifest["failures"] == [["c7", "empty caption"]]
    assert [part["rows"] for part in store.manifest["parts"]] == [400, 400, 100]


def test_store_travels_to_other_processes(kept, content):
    again = pickle.loads(pickle.dumps(GraphStore(kept)))
    assert again["c500"] == content[500]


def test_store_keeps_few_files_open(tmp_path):
    folder = make_store(tmp_path / "s", [caption(number) for number in range(60)], part_rows=1)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = max(int(path.name) for path in Path("/proc/self/fd").iterdir())  # other tests' included
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken + 20, hard))
    try:
        assert len(list(GraphStore(folder))) == 60
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_store_of_no_captions(tmp_path):
    store = GraphStore(make_store(tmp_path / "s", []))
    assert (len(store), list(store), store.ids) == (0, [], [])


# other tools read the parts


def test_parts_are_read_by_plain_pyarrow(kept):
    parts = sorted(kept.glob("part-*.parquet"))
    table = pa.concat_tables(pq.read_table(p, page_checksum_verification=True) for p in parts)
    assert table.num_rows == 900
    assert table["words"][899].as_py() == ["dogs", "chase", "cats"]
    assert table["roles"][0].as_py()["kind"] == ["event", "action", "entity", "entity"]
    assert table["words"][7].as_py() is None
    assert table["roles"][7].as_py() is None


def test_parts_are_read_by_polars(kept):
    table = polars.read_parquet(kept / "part-*.parquet")
    assert table.height == 900
    assert table["words"].list.len().sum() == 3 * 899
    kinds = table["roles"].struct.field("kind")
    assert kinds[0].to_list() == ["event", "action", "entity", "entity"]
    assert table["frames"][0].to_list()[0]["arguments"][1] == {"role": "ARG1", "words": [2]}


def test_parts_are_read_by_duckdb(kept):
    with duckdb.connect() as database:
        found = database.execute(
            "select count(*), sum(len(words)), sum((error is not null)::int), "
            "sum(len([kind for kind in roles.kind if kind = 'entity'])) "
            f"from '{kept}/part-*.parquet'"
        ).fetchone()
        first = database.execute(f"select roles.kind from '{kept}/part-00000.parquet'").fetchone()
    assert found == (900, 3 * 899, 1, 2 * 898)
    assert first == (["event", "action", "entity", "entity"],)


# damage


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


# writing


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
