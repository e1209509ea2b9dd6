"""Logs whose rows bring their histories along, or have none."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from graphmatch.click_features import Feature, Sequence, Splitting
from graphmatch.click_job import encode_clicks
from graphmatch.click_loader import ClickLoader
from graphmatch.click_log import table_log
from graphmatch.click_schema import ClickSchema
from graphmatch.click_store import ClickStore
from graphmatch.distinct_rows import distinct_rows
from graphmatch.errors import ConfigError

AD = Feature(name="ad", kind="ids")


def sequence_schema(**changes):
    fields = {
        "user": "user",
        "item": "ad",
        "label": "clk",
        "time": "time",
        "behaviours": "sequences",
        "items": (
            Feature(name="ad", kind="ids"),
            Feature(name="brand", kind="ids"),
        ),
        "properties": (Feature(name="type", kind="ids"),),
        "sequences": (
            Sequence(column="clicks", of="ad"),
            Sequence(column="types", of="type"),
            Sequence(column="times", of="time"),
        ),
        "splitting": Splitting(by="column", column="split"),
    }
    return ClickSchema(**{**fields, **changes})


def sequence_table():
    return pa.table(
        {
            "user": ["u", "u", "v", "v"],
            "ad": ["a", "b", "c", "d"],
            "brand": ["x", "y", "x", None],
            "clk": [1, 0, 1, 0],
            "time": [100, 200, 300, 400],
            "clicks": ["b^a", "", "zz^a^c", "a^b"],
            "types": ["1^2", None, "1^1^2", "1"],
            "times": ["60^50", "", "10^299^301", "1^2"],
            "split": ["train", "train", "test", "train"],
        }
    )


def test_histories_that_rows_bring_along(tmp_path):
    report = encode_clicks(table_log(sequence_schema(), sequence_table()), tmp_path / "s")
    assert report.skipped == ["1 row: sequences of different lengths (row 3)"]
    assert report.notes == ["1 row: a behaviour later than its candidate (row 2)"]
    store = ClickStore(tmp_path / "s")
    assert store.sample("length").tolist() == [2, 0, 2]
    keys = store.item_keys()
    steps = [keys[k] for k in store.behaviour("item")]
    assert steps == ["a", "b", "zz", "a"]  # sorted by time, the later one left out
    assert store.behaviour("time").tolist() == [50, 60, 10, 299]
    assert store.behaviour("property")[:, 0].tolist() == [3, 2, 2, 2]
    brands = store.encoder.values["brand"].to_pylist()
    brand = dict(zip(keys, store.item("brand")[:, 0], strict=True))
    assert brand["a"] == 2 + brands.index("x")  # a step takes the brand of the row with its ad
    assert brand["zz"] == 0
    ad = dict(zip(keys, store.item("ad")[:, 0], strict=True))
    assert ad["zz"] == ad["c"] == 1  # in no training row
    assert store.encoder.values["ad"].to_pylist() == ["a", "b"]
    batch = ClickLoader(store, "test", batch_size=4)[0, 0]
    assert batch.properties["time"].tolist() == [[3, 1]]
    assert batch.history.shape == (1, 2)
    empty = ClickLoader(store, "train", batch_size=1, shuffle=False)[0, 1]
    assert empty.history.shape == (1, 0)


def test_ids_that_a_file_has_already(tmp_path):
    schema = sequence_schema(
        user=None,
        time=None,
        items=(Feature(name="ad", kind="ids", size=9), Feature(name="brand", kind="ids", size=4)),
        properties=(),
        sequences=(Sequence(column="clicks", of="ad"), Sequence(column="brands", of="brand")),
    )
    table = pa.table(
        {
            "ad": [3, 4, 50],
            "brand": [1, None, 2],
            "clk": [1, 0, 1],
            "clicks": pa.array([[3, 0, 8], [0, 99, 0], [8, 7, 0]], pa.list_(pa.int32(), 3)),
            "brands": pa.array([[1, 0, 3], [0, 2, 0], [3, 3, 0]], pa.list_(pa.int32(), 3)),
            "split": ["train", "valid", "test"],
        }
    )
    report = encode_clicks(table_log(schema, table), tmp_path / "s")
    assert report.notes == ["2 rows: ad: no id below 9 (rows 2, 1)"]
    store = ClickStore(tmp_path / "s")
    rows = np.stack([store.item("ad")[:, 0], store.item("brand")[:, 0]], axis=1)
    assert rows[store.sample("item")].tolist() == [[3, 1], [4, 0], [0, 2]]
    assert store.sample("length").tolist() == [2, 1, 2]  # a step of zeros is padding
    steps = rows[store.behaviour("item")].tolist()
    assert steps == [[3, 1], [8, 3], [0, 2], [8, 3], [7, 3]]
    assert store.modalities[0]["sizes"] == [9]
    loader = ClickLoader(store, "train", batch_size=4)
    assert loader.time_buckets == 0
    assert loader[0, 0].properties == {}
    assert loader[0, 0].user is None


def test_no_histories_at_all(tmp_path):
    schema = sequence_schema(behaviours="none", sequences=(), properties=(), time=None)
    encode_clicks(table_log(schema, sequence_table()), tmp_path / "s")
    batch = ClickLoader(ClickStore(tmp_path / "s"), "train", batch_size=9)[0, 0]
    assert batch.history.shape == (3, 0)
    batch.check()


@pytest.mark.parametrize("width", [3, 2**40])
def test_distinct_rows(width):
    numbers = np.random.default_rng(0)
    columns = [numbers.choice([0, 1, width - 1], size=200) for _ in range(4)]
    first, kind = distinct_rows(columns)
    rows = np.stack(columns, axis=1)
    wanted, inverse = np.unique(rows, axis=0, return_inverse=True)
    assert (rows[first] == wanted).all()
    assert (kind == inverse.reshape(-1)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"behaviours": "all"}, "need each other"),
        ({"sequences": ()}, "need each other"),
        ({"sequences": (Sequence(column="a", of="typ"),)}, "did you mean 'type'"),
        ({"sequences": (Sequence(column="a", of="type"),)}, "of an item feature"),
        ({"sequences": (Sequence(column="a", of="ad"),)}, "'type'.*: expected a sequence"),
        ({"items": (AD, Feature(name="text", kind="words"))}, "features of items are ids or buck"),
    ],
)
def test_schemas_that_make_no_sense(change, message):
    with pytest.raises(ConfigError, match=message):
        sequence_schema(**change)
