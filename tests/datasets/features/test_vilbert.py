"""LMDB files of ViLBERT and InterBERT, for fine-tuning and pre-training."""

from __future__ import annotations

import base64
import os
import pickle

import lmdb
import msgpack
import numpy as np
import pytest

from graphmatch.datasets.features.vilbert import read_vilbert, write_vilbert
from graphmatch.datasets.features.vilbert_pretraining import write_vilbert_pretraining
from graphmatch.errors import ConfigError, FormatError
from graphmatch.feature_record import FeatureRecord

FULL = ("feature", "box", "size", "probability")


def save(path, values, subdir=True):
    with (
        lmdb.open(str(path), subdir=subdir, map_size=1 << 26) as database,
        database.begin(write=True) as transaction,
    ):
        for key, value in values.items():
            transaction.put(key, value)
    return path


def fields(record, as_text=False):
    """The dict of an image as the official converter makes it."""
    c = record.columns

    def text(array):
        coded = base64.b64encode(array.tobytes())
        return coded.decode() if as_text else coded

    width, height = c["size"]
    return {
        "image_id": record.id.encode(), "image_h": int(height), "image_w": int(width),
        "num_boxes": len(record), "features": text(c["feature"]), "boxes": text(c["box"]),
        **({"cls_prob": text(c["probability"])} if "probability" in c else {}),
    }  # fmt: skip


def official(path, records, *, protocol=4, as_text=False, subdir=True):
    values = {r.id.encode(): pickle.dumps(fields(r, as_text), protocol) for r in records}
    return save(path, {b"keys": pickle.dumps([*values], protocol), **values}, subdir)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("as_text", [True, False])
@pytest.mark.parametrize("extra", [(), ("probability",)])
def test_official_files(tmp_path, regions, assert_same, protocol, as_text, extra):
    records = regions(5, extra=extra)[::-1]  # not in the order of the keys
    path = official(tmp_path / "a.lmdb", records, protocol=protocol, as_text=as_text)
    assert_same(read_vilbert(path), records, ("feature", "box", "size", *extra))


def test_a_file_without_a_folder(tmp_path, regions, assert_same):
    records = regions(3)
    path = official(tmp_path / "a.lmdb", records, subdir=False)
    before = sorted(p.name for p in tmp_path.iterdir())
    assert_same(read_vilbert(path), records)
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_round_trip(tmp_path, regions, write, assert_same):
    records = regions(40, width=700, extra=("probability",))
    path = write(write_vilbert, tmp_path / "a.lmdb", records)
    assert_same(read_vilbert(path), records, FULL)
    # and as the official reader opens it
    with lmdb.open(str(path), readonly=True, lock=False) as database, database.begin() as read:
        ids = pickle.loads(read.get(b"keys"))
        item = pickle.loads(read.get(ids[7]))
    assert ids[7] == b"107"
    feature = np.frombuffer(base64.b64decode(item["features"]), np.float32).reshape(-1, 700)
    assert feature.tolist() == records[7].columns["feature"].tolist()


def test_damaged_items_are_failed_records(tmp_path, regions):
    records = regions(1)
    good = fields(records[0])
    values = {
        b"good": pickle.dumps(good),
        b"count": pickle.dumps({**good, "num_boxes": good["num_boxes"] + 1}),
        b"negative": pickle.dumps({**good, "num_boxes": -1}),
        b"base64": pickle.dumps({**good, "features": b"?"}),
        b"list": pickle.dumps([1]),
        b"cut": pickle.dumps(good)[:-9],
        b"array": pickle.dumps({**good, "features": np.zeros(3)}),
        b"nothing": b"",
        b"lacks": pickle.dumps({"num_boxes": 1}),
    }
    messages = (
        "num_boxes", "whole number from 0", "expected base64", "dict of fields", "damaged",
        "expected base64", "truncated", "field 'boxes'", "there is none", "expected an id",
        "duplicate id 'good'",
    )  # fmt: skip
    keys = [*values, b"missing", 4.5, b"good"]
    path = save(tmp_path / "a", {b"keys": pickle.dumps(keys), **values})
    found = list(read_vilbert(path))
    assert [r.id for r in found[:-2]] == [key.decode() for key in keys[:-2]]
    assert found[0].error is None
    for record, message in zip(found[1:], messages, strict=True):
        assert message in record.error, record


def test_a_malicious_item_creates_nothing(tmp_path, regions):
    class Touch:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'made'}",)

    good = pickle.dumps(fields(regions(1)[0]))
    values = {b"bad": pickle.dumps({"features": Touch()}), b"good": good}
    path = save(tmp_path / "a", {b"keys": pickle.dumps([b"bad", b"good"]), **values})
    bad, fine = read_vilbert(path)
    assert "posix.system" in bad.error
    assert fine.error is None
    path = save(tmp_path / "b", {b"keys": pickle.dumps(Touch()), **values})
    with pytest.raises(FormatError, match=r"posix\.system"):
        list(read_vilbert(path))
    assert not (tmp_path / "made").exists()


def test_other_files(tmp_path, regions):
    with pytest.raises(FormatError, match="expected a key 'keys'"):
        list(read_vilbert(save(tmp_path / "a", {b"x": b"y"})))
    with pytest.raises(FormatError, match="list of ids"):
        list(read_vilbert(save(tmp_path / "b", {b"keys": pickle.dumps({"a": 1})})))
    (tmp_path / "c").write_bytes(b"no database")
    with pytest.raises(FormatError, match="expected an LMDB"):
        list(read_vilbert(tmp_path / "c"))


def test_a_truncated_file(tmp_path, regions):
    path = official(tmp_path / "a", regions(30, width=900), subdir=False)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    try:  # what is read first may lie in the missing half
        records = list(read_vilbert(path))
    except FormatError as error:
        records = [FeatureRecord(id="all", error=str(error))]
    assert any(record.error and "it was cut off" in record.error for record in records)


def test_what_the_format_cannot_hold(tmp_path, regions, write):
    (record,) = regions(1)
    with write_vilbert(tmp_path / "a") as add:
        with pytest.raises(FormatError, match="another id"):
            add(FeatureRecord(id="keys", columns=record.columns))
        with pytest.raises(FormatError, match="511 bytes"):
            add(FeatureRecord(id="x" * 600, columns=record.columns))
        with pytest.raises(FormatError, match="box"):
            add(FeatureRecord(id="a", columns={"feature": np.zeros((1, 2))}))
        add(record)
    assert [r.id for r in read_vilbert(tmp_path / "a")] == ["100"]
    with pytest.raises(ConfigError, match="exists"):
        write_vilbert(tmp_path / "a").__enter__()
    with pytest.raises(FormatError, match="broken"):
        write(write_vilbert, tmp_path / "b", [record, FeatureRecord(id="1", error="broken")])
    assert [*(tmp_path / "b").iterdir()] == []


# pre-training


def encode(value, old=False):
    """An array as msgpack-numpy writes it; before its version 0.4, keys were text."""
    if not isinstance(value, np.ndarray):
        raise TypeError
    pairs = {"nd": True, "type": value.dtype.str, "shape": value.shape, "data": value.tobytes()}
    return pairs if old else {**{k.encode(): v for k, v in pairs.items()}, b"kind": b""}


def datapoint(record, caption="a dog ."):
    c = record.columns
    width, height = c["size"].tolist()
    return [
        c["feature"], c["probability"], c["box"], len(record), height, width, record.id, caption
    ]  # fmt: skip


DUMPS = {
    "msgpack": lambda value: msgpack.packb(value, default=encode, use_bin_type=True),
    "old msgpack": lambda value: msgpack.packb(value, default=lambda v: encode(v, old=True)),
    "pickle": pickle.dumps,
    "pickle 2": lambda value: pickle.dumps(value, 2),
}


def tensorpack(path, points, dumps=DUMPS["msgpack"]):
    values = {f"{number:08}".encode(): dumps(point) for number, point in enumerate(points)}
    return save(path, {**values, b"__keys__": dumps([*values])}, subdir=False)


@pytest.mark.parametrize("dumps", DUMPS)
def test_pretraining_files(tmp_path, regions, assert_same, dumps):
    records = regions(5, extra=("probability",))
    path = tensorpack(tmp_path / "a.lmdb", map(datapoint, records), DUMPS[dumps])
    assert_same(read_vilbert(path), records, FULL)


def test_pretraining_round_trip(tmp_path, regions, write, assert_same):
    records = regions(6, extra=("probability",))
    captions = {"100": ["a dog", "a pet"], "103": ["a cat"]}
    path = write(write_vilbert_pretraining, tmp_path / "a.lmdb", records, captions=captions)
    assert_same(read_vilbert(path), records, FULL)
    with (
        lmdb.open(str(path), subdir=False, lock=False, readonly=True) as database,
        database.begin() as read,
    ):
        keys = msgpack.unpackb(read.get(b"__keys__"))
        points = [msgpack.unpackb(read.get(key)) for key in keys]
    assert keys[1] == b"00000001"
    assert [point[-2:] for point in points] == [
        ["100", "a dog"], ["100", "a pet"], ["101", ""], ["102", ""], ["103", "a cat"],
        ["104", ""], ["105", ""],
    ]  # fmt: skip
    assert points[0][0][b"type"] == "<f4"
    assert points[0][3:6] == [len(records[0]), *records[0].columns["size"].tolist()[::-1]]


def test_images_of_several_captions_come_once(tmp_path, regions, assert_same):
    records = regions(3, extra=("probability",))
    points = [datapoint(record, f"caption {n}") for n in range(3) for record in records]
    path = tensorpack(tmp_path / "a", points)
    assert_same(read_vilbert(path), records, FULL)
    changed = regions(3, extra=("probability",), seed=5)[1]
    path = tensorpack(tmp_path / "b", [*points, datapoint(changed), *points[:2]])
    assert [record.id for record in read_vilbert(path)] == ["100", "101", "102", "101"]


def test_damaged_datapoints_are_failed_records(tmp_path, regions):
    records = regions(2, extra=("probability",))
    good = datapoint(records[0])

    def changed(place, value):
        return DUMPS["msgpack"]([value if k == place else part for k, part in enumerate(good)])

    def array(**parts):
        return {**encode(good[0]), **{k.encode(): v for k, v in parts.items()}}

    values = [
        (changed(3, good[3] + 1), "rows, one a box"),
        (changed(3, -1), "number of boxes"),
        (changed(4, 0), "image height"),
        (changed(0, "text"), "feature: expected an array"),
        (changed(0, array(shape=[10**9, 10**9])), "expected [1000000000"),
        (changed(0, array(shape=[-1, 5])), "shape"),
        (changed(0, array(type="|O")), "type '|O'"),
        (changed(0, array(type=[["a", "<f4"]])), "type list"),
        (changed(0, array(data="text")), "msgpack-numpy"),
        (changed(0, good[0] * np.nan), "finite"),
        (changed(2, good[2][:, ::-1].copy()), "x1 <= x2"),
        (changed(6, None), "expected an id"),
        (DUMPS["msgpack"](good[:7]), "8 parts"),
        (DUMPS["msgpack"](good)[:-40], "msgpack"),
        (b"\xdd\xff\xff\xff\xff", "msgpack"),
        (b"\x91" * 5000, "msgpack"),
        (b"\xc1", "msgpack"),
        (b"\x80\x04cos\nsystem\n.", "os.system"),
        (b"", "msgpack"),
    ]
    keys = [f"{number:08}".encode() for number in range(len(values))]
    stored = dict(zip(keys, (value for value, _ in values), strict=True))
    last = {b"last": DUMPS["msgpack"](datapoint(records[1]))}
    listed = DUMPS["msgpack"]([*keys, b"gone", 4.5, b"last", b"last"])
    path = save(tmp_path / "a", {**stored, **last, b"__keys__": listed})
    found = list(read_vilbert(path))
    messages = [message for _, message in values]
    expected = [*messages, "there is none", "expected an key", None, "earlier place"]
    assert len(found) == len(expected)
    for record, message in zip(found, expected, strict=True):
        assert (record.error is None) if message is None else (message in record.error), record


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        (b"\x80\x04cos\nsystem\n(S'true'\ntR.", "os.system"),
        (DUMPS["msgpack"]({"a": 1}), "expected a list"),
        (b"\xdd", "msgpack"),
    ],
)
def test_damaged_list_of_keys(tmp_path, listed, message):
    with pytest.raises(FormatError, match=message):
        list(read_vilbert(save(tmp_path / "a", {b"__keys__": listed})))


def test_pretraining_needs_probabilities(tmp_path, regions, write):
    with pytest.raises(FormatError, match="probability"):
        write(write_vilbert_pretraining, tmp_path / "a", regions(1))
