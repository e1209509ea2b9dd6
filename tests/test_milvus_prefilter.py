"""`MilvusPrefilter` on Milvus Lite: the hits of the table's own prefilter; conditions."""

from __future__ import annotations

import logging

import numpy as np
import pyarrow as pa
import pytest

from graphmatch.errors import ConfigError
from graphmatch.index import MatchIndex
from graphmatch.milvus_filter import milvus_filter
from graphmatch.milvus_prefilter import MilvusPrefilter
from graphmatch.prefilter import Prefilter
from tests.index_world import gallery, make, text
from tests.tiny_models import tiny_model

METADATA = pa.schema(
    [
        ("year", pa.int64()),
        ("place", pa.string()),
        ("price", pa.float64()),
        ("sold", pa.bool_()),
        ("day", pa.date32()),
    ]
)


@pytest.fixture(autouse=True)
def _quiet():
    """Pymilvus logs every error that it raises."""
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    logging.getLogger("milvus_lite").setLevel(logging.CRITICAL)


def rows(count):
    return pa.table(
        [
            pa.array([None if n % 5 == 0 else 2000 + n for n in range(count)], pa.int64()),
            [f"St. John's {n % 3}" for n in range(count)],
            [n / 4 for n in range(count)],
            [n % 2 == 0 for n in range(count)],
            pa.array(range(count), pa.int32()).cast(pa.date32()),
        ],
        schema=METADATA,
    )


@pytest.fixture
def milvus(tmp_path):
    prefilter = MilvusPrefilter(str(tmp_path / "milvus.db"), collection="photos")
    yield prefilter
    prefilter.close()


@pytest.mark.slow
def test_hits_are_those_of_the_table(tmp_path, milvus):
    assert isinstance(milvus, Prefilter)
    assert milvus.count() == 0
    options = {"metadata": METADATA, "add": {"metadata": rows(40)}, "count": 40}
    lance, model = make(tmp_path / "lance", **options)
    other, _ = make(tmp_path / "other", model=model, prefilter=milvus, **options)
    assert milvus.count() == 40
    conditions = [
        None,
        "year > 2010 AND place = 'St. John''s 1'",
        "NOT (year > 2010)",
        "year IS NULL OR price BETWEEN 3 AND 5.5",
        "year NOT IN (2001, 2002, 2003)",
        "sold = true and price <> 2",
        "place LIKE 'St.%'",
        "id IN ('item 3', 'item 4')",
    ]
    for seed, where in enumerate(conditions):
        for limit in (7, 40):
            found = other.search(text(4, seed), top_k=5, prefilter=limit, where=where)
            expected = lance.search(text(4, seed), top_k=5, prefilter=limit, where=where)
            assert len(expected) > 1
            assert [hit.id for hit in found] == [hit.id for hit in expected]
            assert [hit.score for hit in found] == [hit.score for hit in expected]
            near = [hit.prefilter_score for hit in expected]
            assert [hit.prefilter_score for hit in found] == pytest.approx(near, abs=1e-5)
    for wrong in ("day > 3", "lower(place) = 'a'", "yaer = 3", "year = 'x", "year ="):
        with pytest.raises(ConfigError, match="expected"):
            other.search(text(4, 0), where=wrong)


def test_changes_reach_milvus(tmp_path, milvus):
    index, model = make(tmp_path / "index", prefilter=milvus, count=10)
    index.delete(["item 1", "item 2"])
    assert (milvus.count(), len(index)) == (8, 8)
    ids, graphs = gallery(12)
    assert index.add(ids, graphs).added == 4
    index.add(ids[:3], graphs[3:6], replace=True)
    assert (milvus.count(), len(index)) == (12, 12)
    again = MatchIndex.open(tmp_path / "index", matcher=model, prefilter=milvus)
    expected = MatchIndex.open(tmp_path / "index", matcher=model)  # the table has all vectors too
    query = text(3, 3)
    assert [hit.id for hit in again.search(query, top_k=4, prefilter=4)] == [
        hit.id for hit in expected.search(query, top_k=4, prefilter=4)
    ]
    with pytest.raises(ConfigError, match="open it with that one"):
        expected.add(["x"], graphs[:1])
    plain, _ = make(tmp_path / "plain", count=2)
    with pytest.raises(ConfigError, match="of the table itself"):
        MatchIndex.open(tmp_path / "plain", matcher=model, prefilter=milvus)
    del plain


def test_ids_that_only_milvus_has_are_left_out(tmp_path, milvus):
    index, _ = make(tmp_path / "index", prefilter=milvus, count=10)
    index.prefilter = None
    index.delete(["item 1"])  # as if killed before Milvus was told
    index.prefilter = milvus
    assert milvus.count() == 10
    hits = index.search(text(3, 3), top_k=10, prefilter=10)
    assert len(hits) == 9
    assert "item 1" not in {hit.id for hit in hits}


def test_addresses(tmp_path):
    with pytest.raises(ConfigError, match=r"ends in \.db"):
        MilvusPrefilter(str(tmp_path / "milvus"))
    with pytest.raises(ConfigError, match="expected to open Milvus"):
        MilvusPrefilter(str(tmp_path / "nowhere" / "milvus.db"))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("a = 1", "a == 1"),
        ("a <> 1.5 OR b != 'x'", 'a != 1.5 or b != "x"'),
        ("NOT a IN (1, 2)", "not a in [ 1 , 2 ]"),
        ("(a > 1) and b is not null", "( a > 1 ) and b is not null"),
        ("a not between 1 and 2", "not ( a >= 1 and a <= 2 )"),
        ("b = 'say \"hi\"'", 'b == "say \\"hi\\""'),
    ],
)
def test_conditions_are_translated(where, expected):
    assert milvus_filter(where, ["a", "b"]) == expected


@pytest.mark.parametrize(
    "where",
    ["c = 1", "a = 'x", "f(a) = 1", "a BETWEEN b AND 2", "a IN (1, 2", "a = 1; b", 'a = "b"'],
)
def test_conditions_that_are_not(where):
    with pytest.raises(ConfigError, match="expected a condition that Milvus can evaluate"):
        milvus_filter(where, ["a", "b"])


def test_vectors_alone(milvus):
    vectors = np.eye(3, dtype=np.float32)
    column = pa.FixedSizeListArray.from_arrays(vectors.reshape(-1), 3)
    milvus.add(pa.table({"id": ["a", "b", "c"], "vector": column}))
    milvus.add(pa.table({"id": ["a"], "vector": column[1:2]}))
    found = milvus.search(np.array([0, 1, 0.1], np.float32), limit=2)
    assert {item.id for item in found} == {"a", "b"}
    milvus.delete(["a", "z"])
    assert milvus.count() == 2


def test_a_file_opens_again(tmp_path):
    """A closed file opens again with what it had."""
    path = str(tmp_path / "milvus.db")
    first = MilvusPrefilter(path)
    make(tmp_path / "index", prefilter=first, count=3)
    first.close()
    second = MilvusPrefilter(path)
    index = MatchIndex.open(tmp_path / "index", matcher=tiny_model("scan"), prefilter=second)
    assert len(index.search(text(3, 3))) == 3
    second.close()
