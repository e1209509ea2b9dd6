"""SCAN's and GSMN's feature files: both layouts, round trips, damage."""

from __future__ import annotations

import pickle
import tracemalloc

import numpy as np
import pytest

from graphmatch.datasets.features.scan import read_scan, write_scan
from graphmatch.errors import ConfigError, FormatError
from graphmatch.feature_record import FeatureRecord

ENDS = ("_ims.npy", "_ims_bbx.npy", "_ims_size.npy", "_ids.txt")


def as_dict(record):
    width, height = record.columns["size"].tolist()
    return {"image_w": width, "image_h": height}


@pytest.fixture
def official(tmp_path, regions):
    """Files as the official tools made them, of 4 images, `repeat` rows each, and the records."""

    def make(repeat=1, ids=True, boxes=True):
        records = regions(4, rows=6)
        each = [record for record in records for _ in range(repeat)]
        np.save(tmp_path / "dev_ims.npy", np.stack([r.columns["feature"] for r in each]))
        if ids:
            (tmp_path / "dev_ids.txt").write_text("".join(f"{r.id}\n" for r in each))
        if boxes:
            np.save(tmp_path / "dev_ims_bbx.npy", np.stack([r.columns["box"] for r in each]))
            array = np.array([as_dict(r) for r in each], object)
            np.save(tmp_path / "dev_ims_size.npy", array, allow_pickle=True)
        return tmp_path / "dev_ims.npy", records

    return make


@pytest.mark.parametrize("repeat", [1, 5])
@pytest.mark.parametrize("ids", [True, False])
def test_both_layouts(official, assert_same, repeat, ids):
    path, records = official(repeat, ids)
    if not ids:
        records = [type(r)(id=str(n), columns=r.columns) for n, r in enumerate(records)]
    assert_same(read_scan(path), records)
    assert_same(read_scan(path, repeat=repeat), records)


def test_features_alone(official, assert_same, tmp_path):
    path, records = official(boxes=False)
    assert_same(read_scan(path), records, ["feature"])
    path = path.rename(tmp_path / "dev_feat.npy")  # IMRAM
    assert_same(read_scan(path), records, ["feature"])


@pytest.mark.parametrize("repeat", [1, 5])
def test_round_trip(tmp_path, regions, write, assert_same, repeat):
    records = regions(7, rows=3)
    path = write(write_scan, tmp_path / "train_ims.npy", records, repeat=repeat)
    assert_same(read_scan(path), records)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(f"train{end}" for end in ENDS)
    # what the official loaders do
    assert np.load(path).shape == (7 * repeat, 3, 5)
    size_path = tmp_path / "train_ims_size.npy"
    sizes = np.load(size_path, allow_pickle=True, encoding="latin1")
    assert sizes[-1] == as_dict(records[-1])
    content = size_path.read_bytes()
    assert b"numpy.core.multiarray" in content  # for numpy before 2
    assert content[content.index(b"\n") + 1 :][:2] == b"\x80\x02"  # for Python 2


def test_written_without_boxes(tmp_path, regions, write, assert_same):
    records = [
        type(r)(id=r.id, columns={"feature": r.columns["feature"]}) for r in regions(3, rows=2)
    ]
    path = write(write_scan, tmp_path / "a_feat.npy", records)
    assert_same(read_scan(path), records, ["feature"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a_feat.npy", "a_ids.txt"]


def test_written_without_boxes_over_files_with_boxes(tmp_path, regions, write, assert_same):
    path = write(write_scan, tmp_path / "a_ims.npy", regions(3, rows=2))
    path.unlink()
    records = [
        type(r)(id=r.id, columns={"feature": r.columns["feature"]}) for r in regions(3, rows=2)
    ]
    (tmp_path / "a_ids.txt").unlink()
    with pytest.raises(ConfigError, match="exists"):
        write(write_scan, path, records)
    write(write_scan, path, records, force=True)
    assert_same(read_scan(path), records, ["feature"])


def test_five_rows_that_differ_fail_their_image(official):
    path, _ = official(5)
    array = np.load(path)
    array[7, 0, 0] += 1
    np.save(path, array)
    records = list(read_scan(path))
    assert [record.error is None for record in records] == [True, False, True, True]
    assert "rows 5 to 9: expected five equal rows" in records[1].error
    assert records[1].id == "101"
    boxes = np.load(path.with_name("dev_ims_bbx.npy"))
    boxes[17] += 1
    np.save(path.with_name("dev_ims_bbx.npy"), boxes)
    assert "box of row 17" in list(read_scan(path))[3].error


def test_rows_of_five_images_that_have_one_id(official):
    path, _ = official()
    path.with_name("dev_ids.txt").write_text("7\n" * 4)
    assert [record.id for record in read_scan(path)] == ["7"] * 4  # a store names them all


def test_damaged_items_are_failed_records(official):
    path, _ = official()
    array = np.load(path)
    array[0, 0, 0] = np.nan
    np.save(path, array)
    boxes = np.load(path.with_name("dev_ims_bbx.npy"))
    boxes[1, 0] = [9, 9, 3, 3]
    boxes[2] /= 1000
    np.save(path.with_name("dev_ims_bbx.npy"), boxes)
    sizes = np.array([{"image_w": 9}] * 4, object)
    sizes[3] = 7
    np.save(path.with_name("dev_ims_size.npy"), sizes, allow_pickle=True)
    errors = [record.error for record in read_scan(path)]
    for error in errors[:3]:
        assert "image_h" in error
    assert "expected image_w and image_h" in errors[3]
    path.with_name("dev_ims_size.npy").unlink()
    errors = [record.error for record in read_scan(path)]
    assert "finite" in errors[0]
    assert "x1 <= x2" in errors[1]
    assert "pixels" in errors[2]
    assert errors[3] is None


@pytest.mark.parametrize(
    ("end", "damage", "message"),
    [
        ("_ims.npy", lambda c: c[: len(c) // 2], "truncated"),
        ("_ims.npy", lambda c: c.replace(b"(4, 6, 5)", b"(4, 6, 6)"), "truncated"),
        ("_ims.npy", lambda c: c.replace(b"(4, 6, 5)", b"(24, 5)  "), "expected .images, regions"),
        ("_ims.npy", lambda _: b"nonsense", "npy"),
        ("_ims.npy", lambda c: c.replace(b"'<f4'", b"'|O' "), "numbers"),
        ("_ims.npy", lambda c: c.replace(b"'<f4'", b"id() "), "npy"),
        ("_ims_bbx.npy", lambda c: c[:-4], "truncated"),
        ("_ims_bbx.npy", lambda c: c.replace(b"(4, 6, 4)", b"(4, 4, 6)"), "expected shape"),
        ("_ims_size.npy", lambda c: c[:-30], "damaged|truncated"),
        ("_ims_size.npy", lambda c: c.replace(b"(4,)", b"(3,)"), "as its header says"),
        ("_ims_bbx.npy", lambda c: c.replace(b"(4, 6, 4)", b"()       "), "expected 4 rows"),
        ("_ids.txt", lambda c: c[:8], "expected 4 rows"),
        ("_ids.txt", lambda _: b"", "expected 4 rows"),
    ],
)  # fmt: skip
def test_damaged_files(official, end, damage, message):
    path, _ = official()
    file = path.with_name(f"dev{end}")
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(FormatError, match=message):
        list(read_scan(path))


def test_a_malicious_size_file_creates_nothing(official, tmp_path):
    class Touch:
        def __reduce__(self):
            return open, (str(tmp_path / "made"), "w")

    path, _ = official()
    array = np.empty(4, object)
    array[2] = Touch()
    np.save(path.with_name("dev_ims_size.npy"), array, allow_pickle=True)
    with pytest.raises(FormatError, match=r"io\.open"):
        list(read_scan(path))
    assert not (tmp_path / "made").exists()


def test_what_is_refused(official, tmp_path, regions):
    path, records = official()
    with pytest.raises(FormatError, match=r"folder with \['dev_ims.npy'\]"):
        list(read_scan(tmp_path))
    with pytest.raises(FormatError, match="no such file"):
        list(read_scan(tmp_path / "test_ims.npy"))
    with pytest.raises(FormatError, match="4 rows, repeat 5"):
        list(read_scan(path, repeat=5))
    with pytest.raises(ConfigError, match="repeat 1 or 5"), write_scan(path, repeat=2):
        pass
    with pytest.raises(ConfigError, match="exists"), write_scan(path):
        pass
    with pytest.raises(ConfigError, match=r"_ims\.npy"), write_scan(tmp_path / "a.npy"):
        pass
    with write_scan(tmp_path / "b_ims.npy") as add:
        add(records[0])
        with pytest.raises(FormatError, match=r"expected \[6, 5\] numbers"):
            add(regions(2, rows=7)[1])
        with pytest.raises(FormatError, match="column 'box'"):
            add(type(records[0])(id="1", columns={"feature": np.zeros((6, 5), "f4")}))
        with pytest.raises(FormatError, match="broken"):
            add(type(records[0])(id="1", error="broken"))
        add(records[1])
    assert [record.id for record in read_scan(tmp_path / "b_ims.npy")] == ["100", "101"]


def test_an_interrupted_writer_leaves_nothing(tmp_path, regions, write):
    def interrupted():
        yield regions(1)[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(write_scan, tmp_path / "a_ims.npy", interrupted())
    assert [*tmp_path.iterdir()] == []


def test_a_large_file_is_not_read_whole(tmp_path):
    shape = (3000, 36, 256)  # 110 MB, without content
    path = tmp_path / "train_ims.npy"
    with path.open("wb") as stream:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        stream.truncate(stream.tell() + 4 * int(np.prod(shape)))
    tracemalloc.start()
    records = read_scan(path, repeat=1)
    for _ in range(50):
        assert next(records).columns["feature"].shape == (36, 256)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6


def test_sizes_of_python_2(official):
    path, _ = official()
    pickled = pickle.dumps(np.array([{"image_w": 5, "image_h": 4}] * 4, object), 2)
    with path.with_name("dev_ims_size.npy").open("wb") as stream:
        header = {"descr": "|O", "fortran_order": False, "shape": (4,)}
        np.lib.format.write_array_header_1_0(stream, header)
        # Python 2 writes short strings of bytes where Python 3 writes text
        stream.write(
            pickled.replace(b"X\x07\x00\x00\x00image_", b"U\x07image_")
            .replace(b"numpy._core", b"numpy.core")
        )  # fmt: skip
    assert [record.columns["size"].tolist() for record in read_scan(path)] == [[5, 4]] * 4


def test_ids_that_would_be_read_as_others_are_refused(tmp_path, regions):
    feature = regions(1)[0].columns
    with write_scan(tmp_path / "dev_ims.npy") as add:
        add(FeatureRecord(id="007", columns=feature))
        for key in ("7", " a", "a ", " "):
            with pytest.raises(FormatError, match=r"read as '7'|spaces around"):
                add(FeatureRecord(id=key, columns=feature))
    assert [record.id for record in read_scan(tmp_path / "dev_ims.npy")] == ["7"]


def test_an_image_without_regions_does_not_decide_the_shape(tmp_path, regions):
    with write_scan(tmp_path / "dev_ims.npy") as add:
        with pytest.raises(FormatError, match="expected regions"):
            add(FeatureRecord(id="none", columns=regions(1, rows=0)[0].columns))
        add(regions(1, rows=2)[0])
    assert [len(record) for record in read_scan(tmp_path / "dev_ims.npy")] == [2]
