"""Conversion between feature files and stores."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

from graphmatch.convert import convert_features
from graphmatch.datasets.features.bottom_up import write_bottom_up
from graphmatch.datasets.features.formats import FORMATS, guess_format, load_reader, load_writer
from graphmatch.datasets.features.scan import read_scan
from graphmatch.errors import ConfigError, FormatError
from graphmatch.feature_record import FeatureRecord
from graphmatch.feature_store import FeatureStore
from graphmatch.feature_writer import FeatureWriter
from graphmatch.regions.coco_classes import COCO_CLASSES

NAMES = {
    "scan": "dev_ims.npy",
    "bottom-up": "a.tsv",
    "vilbert": "a.lmdb",
    "vilbert-pretraining": "b.lmdb",
    "npz": "npz",
    "npy": "npy",
    "coco": "a.json",
    "hgr-mean": "dev_ft.npy",
    "hgr-frames": "dev_ft.hdf5",
    "drn": "pt",
}
READ = {
    "hgr-mean": {"seconds_per_step": 0.5},
    "hgr-frames": {"seconds_per_step": 0.5},
    "drn": {"window": 1, "step": 1, "fps": 2},
}
LOST = {
    "scan": {"label", "score", "probability"},
    "bottom-up": {"label", "score", "probability"},
    "vilbert-pretraining": {"label", "score"},
    "npy": {"box", "size", "label", "score", "probability"},
    "coco": {"size", "probability"},
}


def make_store(folder, kind, count=4):
    numbers = np.random.default_rng(0)
    with FeatureWriter(folder, kind=kind, job={}) as writer:
        for number in range(count):
            if kind == "regions":
                columns = {
                    "feature": numbers.random((3, 5), np.float32),
                    "box": np.array([[0, 0, 99.5, 80], [1, 2, 3, 4], [5.25, 5, 6, 7]], "f4"),
                    "size": [100 + number, 90],
                    "label": [number, 2, 3],
                    "score": numbers.random(3, np.float32),
                    "probability": numbers.random((3, 2), np.float32),
                }
            else:
                edges = np.arange(2) * 0.5
                columns = {
                    "feature": numbers.random((1, 5), np.float32),
                    "time": np.stack([edges[:-1], edges[1:]], axis=1),
                    "duration": np.float64(0.5),
                }
            writer.add(FeatureRecord(id=str(number), columns=columns))
    return folder


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    return {kind: make_store(folder / kind, kind) for kind in ("regions", "clips")}


@pytest.mark.parametrize("name", FORMATS)
def test_a_store_to_every_format_and_back(tmp_path, stores, name):
    kind = FORMATS[name].kind
    path = tmp_path / NAMES[name]
    report = convert_features(stores[kind], path, to_format=name)
    rows = {"regions": 12, "clips": 4}[kind]
    assert (report.items, report.failed, report.kept, report.rows) == (4, 0, 0, rows)
    options = READ.get(name, {})
    report = convert_features(path, tmp_path / "back", from_format=name, options=options)
    assert (report.items, report.failed, report.kept, report.rows) == (4, 0, 0, rows)
    old, new = FeatureStore(stores[kind]), FeatureStore(tmp_path / "back")
    assert new.kind == kind
    assert new.ids == old.ids
    new.verify()
    for record, other in zip(old, new, strict=True):
        assert {*other.columns} == {*record.columns} - LOST.get(name, set())
        for column, value in other.columns.items():
            if (name, column) != ("coco", "feature"):
                assert value.tolist() == record.columns[column].tolist(), column
    if name not in ("vilbert-pretraining",):  # its name is that of fine-tuning files
        assert guess_format(path) == name


def test_from_one_format_to_another(tmp_path, stores):
    convert_features(stores["regions"], tmp_path / "a.tsv")
    report = convert_features(tmp_path / "a.tsv", tmp_path / "test_ims.npy", options={"repeat": 5})
    assert report.items == 4
    assert np.load(tmp_path / "test_ims.npy").shape == (20, 3, 5)
    assert [record.id for record in read_scan(tmp_path / "test_ims.npy")] == ["0", "1", "2", "3"]


def test_several_files_of_features(tmp_path, stores):
    first, second = tmp_path / "a_ft.npy", tmp_path / "b_ft.npy"
    for path in (first, second):
        convert_features(stores["clips"], path)
    convert_features([first, second], tmp_path / "s", options={"seconds_per_step": 1})
    assert FeatureStore(tmp_path / "s")["0"].columns["feature"].shape == (1, 10)
    with pytest.raises(ConfigError, match="read from one file"):
        convert_features([tmp_path / "a.tsv", tmp_path / "b.tsv"], tmp_path / "t")


def lines(path, regions, broken=()):
    """A TSV file whose lines of some numbers are damaged."""
    with write_bottom_up(path, force=True) as add:
        for record in regions:
            add(record)
    content = path.read_text().splitlines()
    for number in broken:
        content[number] = content[number][:-3]
    path.write_text("\n".join(content))
    return path


@pytest.fixture
def records(stores):
    return list(FeatureStore(stores["regions"]))


def test_bad_items_are_counted_and_kept(tmp_path, records):
    path = lines(tmp_path / "a.tsv", [*records, records[1]], broken=[2])
    done = []
    report = convert_features(path, tmp_path / "s", progress=done.append)
    assert (report.items, report.failed, report.rows, sum(done)) == (5, 2, 9, 5)
    assert [key for key, _ in report.failures] == ["2", "1"]
    assert "base64" in report.failures[0][1]
    assert "duplicate id" in report.failures[1][1]
    store = FeatureStore(tmp_path / "s")
    assert [key for key, _ in store.failures] == ["2", "1#2"]
    # to another format, they are left out and counted
    report = convert_features(path, tmp_path / "a_ims.npy")
    assert (report.items, report.failed, report.rows) == (5, 2, 9)
    assert [record.id for record in read_scan(tmp_path / "a_ims.npy")] == ["0", "1", "3"]
    # and from a store, its failed items again
    report = convert_features(tmp_path / "s", tmp_path / "npz", to_format="npz")
    assert (report.items, report.failed) == (5, 2)
    assert len(list((tmp_path / "npz").iterdir())) == 3


def test_items_that_the_target_cannot_hold(tmp_path, records):
    short = FeatureRecord(id="9", columns={n: v[:2] if n != "size" else v
                                           for n, v in records[0].columns.items()})  # fmt: skip
    path = lines(tmp_path / "a.tsv", [records[0], short, records[1]])
    report = convert_features(path, tmp_path / "a_ims.npy")
    assert report.failures[0][0] == "9"
    assert "rows of one file are equally long" in report.failures[0][1]
    assert [record.id for record in read_scan(tmp_path / "a_ims.npy")] == ["0", "1"]


def test_interrupted_and_run_again(tmp_path, records, monkeypatch):
    path = lines(tmp_path / "a.tsv", records, broken=[1])
    count = 0

    def interrupt(_):
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_features(path, tmp_path / "s", progress=interrupt)
    with pytest.raises(FormatError, match="interrupted"):
        FeatureStore(tmp_path / "s")
    report = convert_features(path, tmp_path / "s")
    assert (report.items, report.kept, report.failed) == (4, 3, 1)
    once = convert_features(path, tmp_path / "t")
    assert (once.items, once.rows) == (report.items, report.rows)
    for name in ("items.jsonl", "feature.npy", "offset.npy", "box.npy", "manifest.json"):
        assert (tmp_path / "s" / name).read_bytes() == (tmp_path / "t" / name).read_bytes()
    count = 0
    with pytest.raises(KeyboardInterrupt):
        convert_features(path, tmp_path / "a_ims.npy", progress=interrupt)
    assert not list(tmp_path.glob("a_*"))


def test_a_store_of_another_job(tmp_path, records):
    path = lines(tmp_path / "a.tsv", records)
    convert_features(path, tmp_path / "s")
    lines(tmp_path / "a.tsv", records[:2])
    with pytest.raises(ConfigError, match="another job"):
        convert_features(path, tmp_path / "s")
    report = convert_features(path, tmp_path / "s", force=True, dtype="float16")
    assert report.items == 2
    assert FeatureStore(tmp_path / "s")["0"].columns["feature"].dtype == np.float16


def test_a_file_that_cannot_be_read_to_its_end(tmp_path, records):
    path = lines(tmp_path / "a.tsv", records)
    cut = tmp_path / "b.tsv.gz"
    content = gzip.compress(path.read_bytes() * 50)
    cut.write_bytes(content[: len(content) // 2])
    with pytest.raises(FormatError, match="gzip"):
        convert_features(cut, tmp_path / "s")
    with pytest.raises(FormatError, match="interrupted"):
        FeatureStore(tmp_path / "s")
    with pytest.raises(FormatError, match="gzip"):
        convert_features(cut, tmp_path / "c.tsv")
    assert not (tmp_path / "c.tsv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"from_format": "scann"}, "did you mean 'scan'"),
        ({"to_format": "vilbrt"}, "did you mean 'vilbert'"),
        ({"to_format": "drn"}, "holds clips"),
        ({"options": {"repeat": 5}}, "expected no options"),
        ({"options": {"lay": 5}, "to_format": "bottom-up"}, "expected no options"),
        ({"to_format": "npz", "dtype": "float16"}, "keeps its own types"),
        ({"dtype": "float23"}, "did you mean"),
        ({"from_format": "coco", "options": {"label": "id"}}, "did you mean 'labels'"),
        ({"from_format": "hgr-mean"}, "expected the option seconds_per_step"),
        ({"from_format": "drn", "options": {"fps": 2, "step": 1}}, "expected the option window"),
    ],
)
def test_wrong_options(tmp_path, records, arguments, message):
    path = lines(tmp_path / "a.tsv", records)
    with pytest.raises(ConfigError, match=message):
        convert_features(path, tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_wrong_sources(tmp_path, stores):
    with pytest.raises(ConfigError, match="does not tell the format"):
        convert_features(tmp_path / "none", tmp_path / "out")
    with pytest.raises(ConfigError, match="got none"):
        convert_features([], tmp_path / "out")
    with pytest.raises(FormatError, match="no such file"):
        convert_features(tmp_path / "none.tsv", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(ConfigError, match="no option 'repeat'"):
        convert_features(stores["regions"], tmp_path / "out", options={"repeat": 5})
    (tmp_path / "x.tsv").write_text("mine")
    with pytest.raises(ConfigError, match="exists"):
        convert_features(stores["regions"], tmp_path / "x.tsv")
    assert (tmp_path / "x.tsv").read_text() == "mine"
    with pytest.raises(ConfigError, match="expected a new or empty folder"):
        convert_features(stores["regions"], tmp_path)


def test_every_format_has_a_reader_and_a_writer():
    for name in FORMATS:
        assert load_reader(name).__name__.startswith("read_")
        assert load_writer(name).__name__.startswith("write_")
    with pytest.raises(ConfigError, match="did you mean 'scan'"):
        load_reader("scn")


def test_formats_of_folders(tmp_path, stores):
    assert guess_format(stores["clips"]) == "store"
    assert guess_format(tmp_path) is None
    (tmp_path / "x" / "y").mkdir(parents=True)
    (tmp_path / "x" / "y" / "a.npz").touch()
    assert guess_format(tmp_path / "x") == "npz"
    (tmp_path / "z").mkdir()
    (tmp_path / "z" / "data.mdb").touch()
    assert guess_format(tmp_path / "z") == "vilbert"


@pytest.fixture(scope="module")
def real_store(data, tmp_path_factory):
    """Regions of 284 photographs of COCO."""
    folder = tmp_path_factory.mktemp("real") / "store"
    file = np.load(data / "coco_regions/regions_test.npz")
    ends = np.cumsum(file["num_regions"].astype(int))
    with FeatureWriter(folder, kind="regions", job={}) as writer:
        for key, start, end in zip(file["image_id"], [0, *ends[:-1]], ends, strict=True):
            box = file["boxes"][start:end].astype(np.float32) / 2
            columns = {
                "feature": file["features"][start:end].astype(np.float32),
                "box": box,
                "size": np.ceil(box[-1, 2:]),  # the last region is the whole image
                "label": file["category"][start:end].astype(int),
                "score": file["score"][start:end].astype(np.float32),
            }
            assert writer.add(FeatureRecord(id=str(key), columns=columns)) is None
    return FeatureStore(folder)


@pytest.mark.parametrize("name", ["bottom-up", "vilbert", "npz"])
def test_real_regions_come_back_to_the_bit(tmp_path, real_store, name):
    path = tmp_path / NAMES[name]
    layout = {"layout": "lxmert"} if name == "bottom-up" else {}
    assert convert_features(real_store.path, path, to_format=name, options=layout).failed == 0
    assert convert_features(path, tmp_path / "back", from_format=name).failed == 0
    back = FeatureStore(tmp_path / "back")
    assert sorted(back.ids) == sorted(real_store.ids)
    for record in back:
        expected = real_store[record.id].columns
        for column, value in record.columns.items():
            assert value.tobytes() == expected[column].tobytes(), column


@pytest.mark.slow
def test_real_regions_as_results(tmp_path, real_store, data):
    truth = data / "coco_val2017/instances_val2017.json.gz"
    options = {"annotations": truth, "labels": "position"}
    path = tmp_path / "results.json"
    assert convert_features(real_store.path, path, options=options).failed == 0
    assert convert_features(path, tmp_path / "back", options=options).failed == 0
    back = FeatureStore(tmp_path / "back")
    names = {
        one["id"]: one["name"]
        for one in json.loads(gzip.decompress(truth.read_bytes()))["categories"]
    }
    for record in real_store:
        label = record.columns["label"]
        expected = {name: value[label >= 0] for name, value in record.columns.items()
                    if name in ("label", "score", "box")}  # fmt: skip
        found = back[record.id].columns
        assert found["size"].tolist() == record.columns["size"].tolist()
        for column, value in expected.items():
            assert found[column].tobytes() == value.tobytes(), column
    results = json.loads(path.read_text())
    first = real_store[str(results[0]["image_id"])]
    wanted = COCO_CLASSES[sorted(COCO_CLASSES)[first.columns["label"][0]]]
    assert names[results[0]["category_id"]] == wanted
