"""A click log to a store: histories, splits, vocabularies, and that nothing looks ahead."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from graphmatch.click_encoder import ClickEncoder
from graphmatch.click_features import Feature, Statistic
from graphmatch.click_job import encode_clicks
from graphmatch.click_loader import ClickLoader
from graphmatch.click_log import file_log, table_log
from graphmatch.click_store import ClickStore
from graphmatch.errors import ConfigError, FormatError
from tests.click_world import before, column_schema, item_table, log_table, schema


def encode(folder, table, *, items=None, encoder=None, **changes):
    log = table_log(schema(**changes), table, items=item_table() if items is None else items)
    report = encode_clicks(log, folder, encoder=encoder, force=True)
    return ClickStore(folder), report


def histories(store):
    """Times and codes of the items before each sample, by the sample's row."""
    found = {}
    for row, first, length in zip(
        *(store.sample(n).tolist() for n in ("row", "first", "length")), strict=True
    ):
        piece = slice(first, first + length)
        found[row] = list(
            zip(store.behaviour("time")[piece], store.behaviour("item")[piece], strict=True)
        )
    return found


@pytest.mark.parametrize("order", [None, "rank"])
def test_histories_are_what_is_before(tmp_path, order):
    table = log_table()
    table = table.append_column("rank", pa.array(np.random.default_rng(1).integers(3, size=80)))
    store, _ = encode(tmp_path / "s", table, order=order)
    rows = table.to_pylist()
    keys = {key: code for code, key in enumerate(store.item_keys())}
    found = histories(store)
    assert len(found) == len(rows)
    for place in range(len(rows)):
        wanted = [(rows[k]["time"], keys[rows[k]["item"]]) for k in before(rows, place, order)]
        assert found[place] == wanted


def test_clicks_alone_are_behaviours(tmp_path):
    table = log_table()
    label = [None if n % 7 == 0 else value for n, value in enumerate(table["label"].to_pylist())]
    table = table.set_column(3, "label", pa.array(label))
    store, report = encode(tmp_path / "s", table, behaviours="clicked")
    rows = table.to_pylist()
    found = histories(store)
    assert len(found) == report.counts["samples"] == sum(value is not None for value in label)
    for place, steps in found.items():
        wanted = [k for k in before(rows, place) if rows[k]["label"] in (None, 1)]
        assert [time for time, _ in steps] == [rows[k]["time"] for k in wanted]


def batch_of(store, row):
    loader = ClickLoader(store, "train", batch_size=1, shuffle=False)
    return loader.collate(np.flatnonzero(store.sample("row") == row))


def same(one, other):
    assert one.items.modality.keys() == other.items.modality.keys()
    for name, value in one.items.modality.items():
        assert value.equal(other.items.modality[name]), name
    assert one.items.present.equal(other.items.present)
    assert one.history.equal(other.history)
    assert one.candidate.equal(other.candidate)
    for name, value in one.properties.items():
        assert value.equal(other.properties[name]), name
    assert one.context_ids.equal(other.context_ids)
    assert one.context.equal(other.context)


CAUSAL = tuple(s for s in schema().statistics if s.over == "before")


@pytest.mark.parametrize("statistics", [CAUSAL, schema().statistics])
def test_nothing_looks_ahead(tmp_path, statistics):
    table = log_table()
    store, _ = encode(tmp_path / "a", table, statistics=statistics)
    rows = table.to_pylist()
    changed = 0
    for place in range(0, 80, 5):
        now = rows[place]["time"]
        others = [dict(row) for row in rows]
        for k, row in enumerate(others):
            if row["time"] >= now:
                row["label"] = 1 - row["label"]
                row["action"] = "cart" if row["action"] == "view" else "view"
            if row["time"] >= now and k != place:
                row["age"] += 7
                if statistics == CAUSAL:  # the count of training rows has later rows, not labels
                    row["item"] = "i0"
                row["time"] += 60 * (row["time"] > now)
        other, _ = encode(
            tmp_path / "b",
            pa.Table.from_pylist(others),
            encoder=store.encoder,
            statistics=statistics,
        )
        one, two = batch_of(store, place), batch_of(other, place)
        same(one, two)
        assert one.label.item() == 1 - two.label.item()
        changed += len(one.history[0])
    assert changed > 10  # there was something to compare


def test_statistics_are_those_of_earlier_events(tmp_path):
    table = log_table(rows=200)
    store, _ = encode(tmp_path / "s", table)
    rows = table.to_pylist()
    seen, liked = (store.encoder.edges[name] for name in ("seen", "liked"))
    for row, found in zip(store.sample("row"), store.sample("statistic"), strict=True):
        own = rows[row]
        labels = [
            other["label"]
            for other in rows
            if other["item"] == own["item"] and other["time"] < own["time"]
        ]
        assert found[0] == 1 + sum(edge <= len(labels) for edge in seen)
        mean = sum(labels) / len(labels) if labels else None
        assert found[1] == (0 if mean is None else 1 + sum(edge <= mean for edge in liked))
    train = store.split("train")
    sold = np.bincount(store.sample("item")[train], minlength=8)
    edges = store.encoder.edges["sold"]
    assert store.item("stat")[:, 1].tolist() == [1 + sum(e <= n for e in edges) for n in sold]


def test_statistics_of_behaviours_and_columns(tmp_path):
    wanted = (
        Statistic(name="bought", of="behaviours", buckets=4),
        Statistic(name="ages", of="mean", column="age", buckets=4),
    )
    table = log_table(rows=120)
    store, _ = encode(tmp_path / "s", table, statistics=wanted, behaviours="clicked")
    rows = table.to_pylist()
    edges = [store.encoder.edges[statistic.name] for statistic in wanted]
    for row, found in zip(store.sample("row"), store.sample("statistic"), strict=True):
        own = rows[row]
        others = [o for o in rows if o["item"] == own["item"] and o["time"] < own["time"]]
        assert found[0] == 1 + sum(e <= sum(o["label"] for o in others) for e in edges[0])
        mean = sum(o["age"] for o in others) / len(others) if others else None
        assert found[1] == (0 if mean is None else 1 + sum(e <= mean for e in edges[1]))


def test_only_training_rows_are_fitted(tmp_path):
    table = log_table()
    split = np.where(np.arange(80) < 50, "train", "test")
    table = table.append_column("split", pa.array(split))
    log = table_log(column_schema(), table, items=item_table())
    encode_clicks(log, tmp_path / "a")
    rows = table.to_pylist()
    for row in rows[50:]:
        row.update(item="new", user="nobody", action="new", age=row["age"] * 9)
    log = table_log(column_schema(), pa.Table.from_pylist(rows), items=item_table())
    encode_clicks(log, tmp_path / "b")
    one, two = ClickStore(tmp_path / "a").encoder, ClickStore(tmp_path / "b").encoder
    one.edges.pop("seen"), one.edges.pop("liked")  # of all that is before, fitted on training rows
    two.edges.pop("seen"), two.edges.pop("liked")
    assert one.to_json() == two.to_json()
    test = ClickStore(tmp_path / "b")
    loader = ClickLoader(test, "test", batch_size=100, shuffle=False)
    batch = loader[0, 0]
    assert (batch.context_ids == 1).all()  # a user that training does not know
    assert (batch.items.modality["ids"][batch.candidate] == np.array([1, 0])).all()
    assert (
        "1 items of the log are not in the table of items"
        in encode_clicks(log, tmp_path / "b").notes
    )


def test_missing_modalities(tmp_path):
    store, _ = encode(tmp_path / "s", log_table())
    names = [record["name"] for record in store.modalities]
    assert names == ["ids", "image", "stat", "title"]
    keys = store.item_keys()
    image = dict(zip(keys, store.item("image"), strict=True))
    present = dict(zip(keys, store.item("present").tolist(), strict=True))
    assert image["i3"].tolist() == [3, 1, 0.5]
    assert not image["i7"].any()
    assert present["i7"] == [True, False, True, True]
    assert present["i0"] == [True, True, True, False]
    assert store.item("title")[keys.index("i0")].tolist() == [0, 0, 0]


def test_words_are_cut_and_counted_in_training(tmp_path):
    store, _ = encode(tmp_path / "s", log_table())
    words = store.encoder.values["title"].to_pylist()
    assert {"red", "no", "size", "1"} <= {*words}
    ids = store.item("title")[store.item_keys().index("i4")]
    assert [words[k - 2] for k in ids] == ["red", "no", "4"]


def test_min_count(tmp_path):
    feature = Feature(name="brand", kind="ids", min_count=10_000)
    features = (feature, Feature(name="price", kind="buckets"))
    log = table_log(schema(items=features), log_table(), items=item_table())
    encode_clicks(log, tmp_path / "s")
    store = ClickStore(tmp_path / "s")
    assert sorted({*store.item("brand").reshape(-1).tolist()}) == [0, 1]


def test_rows_that_cannot_be_used_are_counted(tmp_path):
    lines = ["user,item,time,label,action,age", "u,i1,5,1,view,30", "u,i2,soon,1,view,30"]
    lines += ["u,,7,1,view,30", "u,i3,8,0.5,view,30", "u,i3,9,x,view,30", "u,i4,10"]
    lines += ["u,i5,11,0,cart,many", "u,new,12,1,,"]
    (tmp_path / "log.csv").write_text("\n".join(lines) + "\n")
    pa.parquet.write_table(item_table(), tmp_path / "items.parquet")
    log = file_log(schema(), tmp_path / "log.csv", items=tmp_path / "items.parquet")
    report = encode_clicks(log, tmp_path / "s")
    assert report.left_out == 5
    assert {line.split(": ", 1)[1] for line in report.skipped} == {
        "time is no time (row 1)",
        "no item (row 2)",
        "label is neither 0 nor 1 (row 3)",
        "label is no number (row 4)",
        "expected 6 columns (got 3) (row 5)",
    }
    assert "1 row: age: no number (row 6)" in report.notes
    store = ClickStore(tmp_path / "s")
    assert store.sample("row").tolist() == [0, 6, 7]
    assert store.item_keys()[-1] == "new"


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".csv.gz"])
def test_text_files_are_as_parquet(tmp_path, ending):
    table = log_table()
    pa.parquet.write_table(table, tmp_path / "log.parquet", row_group_size=13)
    pa.parquet.write_table(item_table(), tmp_path / "items.parquet")
    path = tmp_path / f"log{ending}"
    options = pa.csv.WriteOptions(delimiter="\t" if "tsv" in ending else ",")
    if ending.endswith(".gz"):
        with pa.output_stream(path, compression="gzip") as stream:
            pa.csv.write_csv(table, stream, options)
    else:
        pa.csv.write_csv(table, path, options)
    for name, source in (("a", tmp_path / "log.parquet"), ("b", path)):
        log = file_log(schema(), source, items=tmp_path / "items.parquet")
        encode_clicks(log, tmp_path / name)
    one, two = ClickStore(tmp_path / "a"), ClickStore(tmp_path / "b")
    assert one.encoder.to_json() == two.encoder.to_json()
    assert one.manifest["arrays"] == two.manifest["arrays"]
    two.verify()


def test_a_store_of_the_same_job_is_kept(tmp_path):
    pa.parquet.write_table(log_table(), tmp_path / "log.parquet")
    pa.parquet.write_table(item_table(), tmp_path / "items.parquet")

    def run(**options):
        log = file_log(schema(), tmp_path / "log.parquet", items=tmp_path / "items.parquet")
        return encode_clicks(log, tmp_path / "s", **options)

    assert not run().kept
    assert run().kept
    with pytest.raises(ConfigError, match="another job"):
        run(dtype="float16")
    assert not run(dtype="float16", force=True).kept
    assert ClickStore(tmp_path / "s").item("image").dtype == np.float16
    pa.parquet.write_table(log_table(seed=1), tmp_path / "log.parquet")
    with pytest.raises(ConfigError, match="sources"):
        run(dtype="float16")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    log = file_log(schema(), tmp_path / "log.parquet", items=tmp_path / "items.parquet")
    with pytest.raises(ConfigError, match="empty folder"):
        encode_clicks(log, tmp_path / "notes")


def full_disk(*_, **__):
    raise OSError("full")


def test_an_interrupted_run_leaves_no_store(tmp_path, monkeypatch):
    log = table_log(schema(), log_table(), items=item_table())
    monkeypatch.setattr(ClickEncoder, "save", full_disk)
    with pytest.raises(OSError, match="full"):
        encode_clicks(log, tmp_path / "s")
    assert not list((tmp_path / "s").glob("*.tmp"))
    with pytest.raises(FormatError, match="interrupted"):
        ClickStore(tmp_path / "s")
    monkeypatch.undo()
    encode_clicks(log, tmp_path / "s")
    assert len(ClickStore(tmp_path / "s")) == 80


def test_damage_is_found(tmp_path):
    store, _ = encode(tmp_path / "s", log_table())
    path = tmp_path / "s" / "sample_time.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(FormatError, match="sample_time"):
        ClickStore(tmp_path / "s").verify()
    path.write_bytes(content[:-8])
    with pytest.raises(FormatError, match="truncated"):
        ClickStore(tmp_path / "s")
    path.unlink()
    with pytest.raises(FormatError, match="no such file"):
        ClickStore(tmp_path / "s")
    assert repr(store).startswith("ClickStore(")


def test_vectors_from_a_file(tmp_path):
    items = item_table()
    vectors = np.arange(16, dtype=np.float32).reshape(8, 2)
    vectors[5, 1] = np.nan
    np.save(tmp_path / "image.npy", vectors)
    log = table_log(schema(), log_table(), items=items.drop_columns("image"))
    with pytest.raises(ConfigError, match="column of the table of items 'image'"):
        encode_clicks(log, tmp_path / "u")
    encode_clicks(log, tmp_path / "s", vectors={"image": tmp_path / "image.npy"})
    store = ClickStore(tmp_path / "s")
    keys = store.item_keys()
    assert store.item("image")[keys.index("i2")].tolist() == [4, 5]
    assert not store.item("present")[keys.index("i5"), 1]
    np.save(tmp_path / "image.npy", vectors[:3])
    with pytest.raises(FormatError, match=r"\[8, D\]"):
        encode_clicks(log, tmp_path / "t", vectors={"image": tmp_path / "image.npy"})
    with pytest.raises(ConfigError, match="did you mean 'image'"):
        encode_clicks(log, tmp_path / "t", vectors={"imag": tmp_path / "image.npy"})


def test_wrong_columns():
    with pytest.raises(ConfigError, match=r"unknown column of the log 'user'.*did you mean 'usr'"):
        table_log(schema(), log_table().rename_columns(["usr", *log_table().column_names[1:]]))


def test_another_type_of_column(tmp_path):
    table = log_table().set_column(1, "item", pa.array([[1]] * 80))
    with pytest.raises(FormatError, match="column item: expected ids"):
        encode(tmp_path / "s", table)
    table = log_table().set_column(5, "age", pa.array([b"x"] * 80))
    with pytest.raises(FormatError, match="column age: expected numbers"):
        encode(tmp_path / "s", table)


def test_an_encoder_refuses_another_schema(tmp_path):
    store, _ = encode(tmp_path / "s", log_table())
    with pytest.raises(ConfigError, match="other: statistics"):
        encode(tmp_path / "t", log_table(), encoder=store.encoder, statistics=())
    items = item_table().set_column(3, "image", pa.array([[1.0, 2.0]] * 8))
    with pytest.raises(FormatError, match="vectors of 3 numbers"):
        encode(tmp_path / "t", log_table(), encoder=store.encoder, items=items)


def test_no_row_at_all(tmp_path):
    with pytest.raises(FormatError, match="the log is empty"):
        encode(tmp_path / "s", log_table().slice(0, 0))
    table = log_table().set_column(3, "label", pa.array([7] * 80))
    with pytest.raises(FormatError, match="80 rows: label is neither"):
        encode(tmp_path / "s", table)
