"""Rows of a caption table and the store they lie in, as it and other tools read them."""

from __future__ import annotations

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
from graphmatch.errors import FormatError
from graphmatch.parquet_part import part_name
from graphmatch.parse import Argument, Frame, Parse
from graphmatch.rows import SCHEMA, CaptionRow, rows_to_table, table_to_rows
from graphmatch.store import GraphStore
from tests.graph_stores import caption, make_store, many_captions

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


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
