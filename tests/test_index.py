"""`MatchIndex`: hits against exhaustive scores, conditions, changes, errors."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
import torch

from graphmatch.errors import CheckpointError, ConfigError, FormatError, GraphError
from graphmatch.index import MatchIndex
from graphmatch.lance_table import LanceTable
from graphmatch.models.ensemble import Ensemble
from graphmatch.models.table import MATCHERS
from graphmatch.prefilter import Prefilter
from tests.index_world import exhaustive, gallery, make, picture, random_items, save, text
from tests.tiny_models import tiny_model

METADATA = pa.schema(
    [("year", pa.int64()), ("place", pa.string()), ("tags", pa.list_(pa.string()))]
)


def years(count):
    places = ["sea" if number % 3 else None for number in range(count)]
    tags = [["a", "b"][: number % 3] for number in range(count)]
    return pa.table([[2000 + n for n in range(count)], places, tags], schema=METADATA)


@pytest.mark.parametrize("side", ["visual", "text"])
@pytest.mark.parametrize("name", sorted(MATCHERS))
def test_hits_are_those_of_exhaustive_scores(tmp_path, assert_close, name, side):
    index, model = make(tmp_path / "index", name, side=side)
    query = text(4, 77, name) if side == "visual" else picture(3, 77, name)
    ids, graphs = gallery(20, name, side)
    scores = exhaustive(model, graphs, query, side)
    hits = index.search(query, top_k=20, prefilter=20)
    assert [hit.rank for hit in hits] == list(range(1, 21))
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    found = {hit.id: hit.score for hit in hits}
    assert_close(torch.tensor([found[key] for key in ids]), scores)
    assert [hit.id for hit in index.search(query, top_k=3, prefilter=20)] == [
        hit.id for hit in hits[:3]
    ]


def test_prefilter_scores_are_cosines_and_choose(tmp_path, assert_close):
    index, _ = make(tmp_path / "index")
    query = text(4, 5)
    vector = torch.nn.functional.normalize(index_query(index, query), dim=0)
    rows = index.table.take(gallery(20)[0], columns=["id", "vector"]).to_pylist()
    cosines = {row["id"]: float(torch.tensor(row["vector"]) @ vector) for row in rows}
    hits = index.search(query, top_k=5, prefilter=5)
    nearest = sorted(cosines, key=lambda key: -cosines[key])[:5]
    assert {hit.id for hit in hits} == set(nearest)
    for hit in hits:
        assert_close(torch.tensor(hit.prefilter_score), torch.tensor(cosines[hit.id]))


def index_query(index, query):
    from graphmatch.index_search import encode_query

    return encode_query(index, query).pooled[0]


def test_float16_is_close_and_smaller(tmp_path):
    index, model = make(tmp_path / "index", "gsmn", dtype="float16")
    query = text(4, 1)
    scores = exhaustive(model, gallery(20, "gsmn")[1], query)
    best = index.search(query, top_k=1, prefilter=20)[0]
    assert abs(best.score - float(scores.max())) < 5e-3
    assert index.header.dtype == "float16"


def test_an_ensemble_searches_with_the_users_vectors(tmp_path, assert_close):
    model = Ensemble([tiny_model("scan", 0, embed_size=8), tiny_model("gsmn", 1)])
    vectors = np.random.default_rng(0).standard_normal((20, 6))
    index, _ = make(tmp_path / "index", model=model, own_vectors=True, add={"vectors": vectors})
    query = text(3, 9)
    hits = index.search(query, top_k=2, prefilter=2, vector=vectors[7] * 3)
    assert "item 7" in {hit.id for hit in hits}
    assert max(hit.prefilter_score for hit in hits) == pytest.approx(1)
    scores = exhaustive(model, gallery(20)[1], query)
    every = index.search(query, top_k=20, prefilter=20, vector=vectors[7])
    assert_close(torch.tensor(every[0].score), scores.max())
    for wrong in (None, vectors[0, :5], np.zeros(6)):
        with pytest.raises((ConfigError, GraphError), match="expected a vector"):
            index.search(query, vector=wrong)


def test_an_ensemble_without_vectors_says_so(tmp_path):
    model = Ensemble([tiny_model("scan", 0), tiny_model("scan", 1)])
    index = MatchIndex.create(tmp_path / "index", model, digest="0")
    with pytest.raises(ConfigError, match="bring vectors"):
        index.add(*gallery(2))


def test_conditions_leave_items_out_before(tmp_path):
    index, _ = make(tmp_path / "index", metadata=METADATA, add={"metadata": years(20)})
    query = text(4, 3)
    found = index.search(query, top_k=3, prefilter=3, where="year >= 2017")
    assert {hit.id for hit in found} == {"item 17", "item 18", "item 19"}
    assert len(index.search(query, top_k=20, prefilter=20, where="place IS NULL")) == 7
    both = "place = 'sea' AND array_has(tags, 'b')"
    assert len(index.search(query, top_k=20, prefilter=20, where=both)) == 6
    assert index.search(query, where="year > 3000") == []
    assert len(index.search(query, where="place <> ')(' AND (year > 0)")) == 10
    for wrong in (
        "yaer = 2017",
        "year = ",
        "year = 'x y'",
        "true) OR (true",
        "year = 1 adn true",
        "",
    ):
        with pytest.raises(ConfigError, match="expected a condition in SQL on id"):
            index.search(query, where=wrong)
    with pytest.raises(ConfigError, match="condition"):
        index.delete(where="yaer = 2017")
    assert index.delete(where="year < 2005") == 5
    assert len(index) == 15


def test_ids_are_kept_or_replaced(tmp_path, assert_close):
    index, model = make(tmp_path / "index")
    ids, _ = gallery(20)
    others = [picture(2, 500 + number) for number in range(22)]
    query = text(4, 3)
    old = {hit.id: hit.score for hit in index.search(query, top_k=20, prefilter=20)}
    report = index.add([*ids[:3], "new"], others[:4])
    assert (report.added, report.kept, report.replaced) == (1, 3, 0)
    now = {hit.id: hit.score for hit in index.search(query, top_k=21, prefilter=21)}
    assert_close(torch.tensor(now["item 1"]), torch.tensor(old["item 1"]))
    report = index.add([*ids[:3], "newer"], others[:4], replace=True)
    assert (report.added, report.kept, report.replaced) == (1, 0, 3)
    assert len(index) == 22
    scores = exhaustive(model, others[:4], query)
    now = {hit.id: hit.score for hit in index.search(query, top_k=22, prefilter=22)}
    assert_close(torch.tensor([now[key] for key in [*ids[:3], "newer"]]), scores)


def test_delete_by_id_and_compact(tmp_path):
    index, _ = make(tmp_path / "index")
    query = text(4, 3)
    assert index.delete(["item 3", "o'hara", "item 4"]) == 2
    before = index.search(query, top_k=18, prefilter=18)
    assert {"item 3", "item 4"}.isdisjoint(hit.id for hit in before)
    index.compact(keep=timedelta(0))
    assert index.search(query, top_k=18, prefilter=18) == before
    again = MatchIndex.open(tmp_path / "index", matcher=index.matcher)
    assert again.search(query, top_k=18, prefilter=18) == before
    assert again.header == index.header
    assert again.delete(["item 0"]) == 1
    assert len(index) == 17  # each read sees the newest version


def test_strange_ids(tmp_path):
    index = MatchIndex.create(tmp_path / "index", tiny_model("scan"), digest="0")
    ids = ["o'hara", 'a "b"', "ü/東京", "", "a\nb", "-- x", "%"]
    index.add(ids, gallery(7)[1])
    assert index.present([*ids, "no"]) == set(ids)
    assert {hit.id for hit in index.search(text(2, 0))} == set(ids)
    assert index.delete(ids[:3]) == 3


def test_items_that_cannot_be_used_are_counted(tmp_path):
    index = MatchIndex.create(tmp_path / "index", tiny_model("scan"), digest="0", dtype="float16")
    ids, graphs = gallery(6)
    graphs[1].x[0, 0] = float("nan")
    graphs[3] = text(2, 0)
    graphs[4].x = graphs[4].x[:, :4]
    report = index.add([*ids, "item 0"], [*graphs, graphs[0]], chunk=4)
    assert report.added == 3
    reasons = dict(report.failures)
    assert reasons.keys() == {"item 1", "item 3", "item 4", "item 0"}
    assert "item 1" in reasons["item 1"]
    assert "before" in reasons["item 0"]
    assert index.present(ids) == {"item 0", "item 2", "item 5"}


def test_numbers_that_are_not_finite_name_their_item(tmp_path):
    index = MatchIndex.create(tmp_path / "index", tiny_model("scan"), digest="0")
    items = random_items(3, 0, size=4)
    items.nodes[1, 0, 0] = 1e6
    with pytest.raises(GraphError, match=r"'b': nodes: .*too large for float16"):
        index.add_encoded(["a", "b", "c"], items)
    items = random_items(3, 0, size=4)
    items.pooled[2] = float("inf")
    with pytest.raises(GraphError, match="'c': expected a vector with a direction"):
        index.add_encoded(["a", "b", "c"], items)
    items.pooled[2] = 0
    with pytest.raises(GraphError, match="length 0"):
        index.add_encoded(["a", "b", "c"], items)
    assert len(index) == 0


def test_another_checkpoint_is_refused(tmp_path):
    folder, digest = save(tmp_path / "one")
    other, other_digest = save(tmp_path / "two", seed=5)
    make(tmp_path / "index", digest=digest)
    assert len(MatchIndex.open(tmp_path / "index", folder)) == 20
    with pytest.raises(CheckpointError) as error:
        MatchIndex.open(tmp_path / "index", other)
    assert digest in str(error.value)
    assert other_digest in str(error.value)
    with pytest.raises(ConfigError, match="checkpoint to open it with"):
        MatchIndex.open(tmp_path / "index").search(text(2, 0))


def test_arguments_that_do_not_go_together(tmp_path):
    index, model = make(tmp_path / "index", metadata=METADATA, count=3)
    ids, graphs = gallery(3)
    with pytest.raises(ConfigError, match="exists"):
        MatchIndex.create(tmp_path / "index", model, digest="0")
    with pytest.raises(ConfigError, match="as many items"):
        index.add(ids, graphs[:2])
    with pytest.raises(ConfigError, match="no vectors of the user"):
        index.add(ids, graphs, vectors=np.ones((3, 4)))
    with pytest.raises(ConfigError, match="got 'colour'"):
        index.add(ids, graphs, metadata=pa.table({"colour": ["a", "b", "c"]}))
    with pytest.raises(ConfigError, match="int64 in the column 'year'"):
        index.add(ids, graphs, metadata=pa.table({"year": ["a", "b", "c"]}))
    with pytest.raises(ConfigError, match="each id once"):
        index.add_encoded(["a", "a"], random_items(2, 0, size=4))
    with pytest.raises(ConfigError, match="top_k <= prefilter"):
        index.search(text(2, 0), top_k=11, prefilter=10)
    with pytest.raises(GraphError, match="one query"):
        index.search(random_items(2, 0, size=4))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="notes"):
        MatchIndex.create(tmp_path / "full", model, digest="0").add(ids, graphs)


def test_damage_is_a_clear_error(tmp_path):
    with pytest.raises(FormatError, match="expected an index"):
        MatchIndex.open(tmp_path / "nothing")
    _, model = make(tmp_path / "index", count=4)
    table = tmp_path / "index" / "items.lance"
    [data] = (table / "data").iterdir()
    content = data.read_bytes()
    data.write_bytes(content[: len(content) // 2])
    with pytest.raises(FormatError, match="damaged"):
        MatchIndex.open(tmp_path / "index", matcher=model).search(text(2, 0))
    data.unlink()
    with pytest.raises(FormatError, match="damaged"):
        MatchIndex.open(tmp_path / "index", matcher=model).search(text(2, 0))
    for manifest in (table / "_versions").iterdir():
        manifest.write_bytes(b"junk")
    with pytest.raises(FormatError, match="damaged"):
        MatchIndex.open(tmp_path / "index")
    with pytest.raises(ConfigError, match="exists"):  # never overwritten
        MatchIndex.create(tmp_path / "index", model, digest="0")


def test_a_table_of_others_or_of_the_future_is_refused(tmp_path):
    rows = pa.table({"id": ["a"], "vector": pa.array([[1.0]], pa.list_(pa.float32(), 1))})
    LanceTable.create(tmp_path / "foreign", rows)
    with pytest.raises(FormatError, match="header is missing"):
        MatchIndex.open(tmp_path / "foreign")
    future = {"graphmatch": '{"format": "graphmatch-index", "version": 99, "digest": "0"}'}
    LanceTable.create(tmp_path / "future", rows.replace_schema_metadata(future))
    with pytest.raises(FormatError, match=r"got 99.*upgrade"):
        MatchIndex.open(tmp_path / "future")


def test_one_writer_at_a_time(tmp_path):
    index, model = make(tmp_path / "index", count=3)
    other = MatchIndex.open(tmp_path / "index", matcher=model)
    with index.lock:
        with pytest.raises(ConfigError, match="another run is writing"):
            other.delete(["item 0"])
        assert len(other.search(text(2, 0))) == 3
    assert other.delete(["item 0"]) == 1


def test_the_vector_index_finds_what_a_scan_finds(tmp_path):
    index = MatchIndex.create(tmp_path / "index", tiny_model("scan"), digest="0")
    for part in range(2):
        ids = [f"{part} {number}" for number in range(600)]
        index.add_encoded(ids, random_items(600, part, size=4))
    queries = random_items(10, 9, size=4)
    scan = [index.search(queries[n : n + 1], prefilter=50) for n in range(10)]
    index.build_vector_index()
    assert index.table.indexed() == 1200
    index.add_encoded(["late"], random_items(1, 99, size=4))
    found = [index.search(queries[n : n + 1], prefilter=50) for n in range(10)]
    same = sum(
        {hit.id for hit in a} == {hit.id for hit in b} for a, b in zip(scan, found, strict=True)
    )
    assert same >= 8
    index.compact(keep=timedelta(0))
    assert index.table.indexed() == 1201
    late = random_items(1, 99, size=4)
    [hit] = index.search(late, top_k=1, prefilter=1)
    assert (hit.id, round(hit.prefilter_score, 4)) == ("late", 1)


def test_the_table_is_a_prefilter(tmp_path):
    index, _ = make(tmp_path / "index", count=3)
    assert isinstance(index.table, Prefilter)
    vector = index_query(index, text(2, 0)).numpy()
    found = index.table.search(vector, limit=2)
    assert [item.score for item in found] == sorted((item.score for item in found), reverse=True)
    assert index.table.count() == 3
