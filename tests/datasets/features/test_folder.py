"""Folders of `.npz` and `.npy` files."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from graphmatch.datasets.features import folder as module
from graphmatch.datasets.features.folder import read_folder, write_npy, write_npz
from graphmatch.errors import ConfigError, FormatError
from graphmatch.feature_record import FeatureRecord

FULL = ("feature", "box", "size", "label", "score", "probability")


def test_round_trip(tmp_path, regions, write, assert_same):
    records = regions(5, extra=FULL)
    records[2] = FeatureRecord(id="102/a b.jpg", columns=records[2].columns)
    path = write(write_npz, tmp_path / "f", records)
    assert (path / "102/a b.jpg.npz").exists()
    assert_same(read_folder(path), records, FULL)


def test_round_trip_of_features(tmp_path, regions, write, assert_same):
    records = regions(4)
    path = write(write_npy, tmp_path / "f", records)
    assert_same(read_folder(path), records, ["feature"])


@pytest.mark.parametrize("turned", [True, False])
@pytest.mark.parametrize("compressed", [True, False])
def test_official_files(tmp_path, regions, assert_same, turned, compressed):
    """As `extract_features.py` writes them, with a pickled dict beside the arrays."""
    records = regions(4, width=11, extra=("label", "score"))
    for r in records:
        c = r.columns
        info = {
            "image_id": r.id, "num_boxes": len(r), "objects_id": c["label"].astype("i8"),
            "objects_conf": c["score"],
        }  # fmt: skip
        x = c["feature"].T if turned else c["feature"]
        width, height = c["size"].tolist()
        save = np.savez_compressed if compressed else np.savez
        save(
            tmp_path / r.id, x=x, bbox=c["box"], num_bbox=len(r), image_w=width, image_h=height,
            info=info,
        )  # fmt: skip
    assert_same(read_folder(tmp_path), records, ("feature", "box", "size", "label", "score"))


@pytest.mark.parametrize(
    ("values", "shape"),
    [
        ({"features": np.zeros((3, 4))}, (3, 4)),
        ({"feat": np.zeros((1, 3, 4))}, (3, 4)),
        ({"feature": np.zeros(4)}, (1, 4)),
        ({"feats": np.zeros((4, 3), "f2", order="F")}, (4, 3)),
        ({"x": np.zeros((3, 4)), "boxes": np.zeros((3, 4)), "other": np.array([None])}, (3, 4)),
    ],
)
def test_names_and_shapes(tmp_path, values, shape):
    np.savez(tmp_path / "a.npz", **values)
    (record,) = read_folder(tmp_path)
    assert record.error is None
    assert record.columns["feature"].shape == shape


def good():
    return {"x": np.ones((2, 3), "f4"), "bbox": np.array([[0, 0, 9, 9], [1, 2, 3, 4]], "f4")}


def test_damaged_files_are_failed_records(tmp_path):
    class Touch:
        def __reduce__(self):
            return open, (str(tmp_path / "made"), "w")

    damaged = [
        ({"bbox": np.zeros((4, 4))}, "expected numbers of shape"),
        ({"num_bbox": 3}, "num_bbox = 3"),
        ({"num_bbox": -1}, "num_bbox"),
        ({"x": np.full((2, 3), np.nan)}, "finite"),
        ({"x": np.array([Touch(), 1], object)}, "array of numbers"),
        ({"info": Touch()}, "io.open"),
        ({"info": np.array(7, object)}, "expected a dict"),
        ({"info": np.ones(2)}, "array of objects"),
        ({"info": {"objects_id": np.zeros(3)}}, "column 'label'"),
        ({"image_w": 0, "image_h": 4}, "width"),
        ({"image_w": np.ones(2), "image_h": 4}, "width"),
        ({"label": np.array([2**40, 1])}, "below 2^31"),
        ({"label": np.array([0.5, 1])}, "whole numbers"),
        ({"bbox": good()["bbox"] / 10}, "pixels"),
        ({"x": np.zeros((2, 3), "U4")}, "expected numbers"),
        ({"x": np.zeros((2, 3, 4))}, "expected numbers of shape"),
    ]
    for number, (values, _) in enumerate(damaged):
        np.savez(tmp_path / f"{number:02}.npz", **{**good(), **values})
    np.savez(tmp_path / "97.npz", boxes=np.zeros((2, 4)))
    (tmp_path / "98.npz").write_bytes(b"no zip")
    (tmp_path / "98.npy").write_bytes(b"no array")
    np.savez(tmp_path / "99.npz", **good())
    records = list(read_folder(tmp_path))
    assert [r.id for r in records[-5:]] == ["15", "97", "98", "98", "99"]
    messages = [m for _, m in damaged] + ["x or features", "array of numbers", "truncated"]
    for record, message in zip(records, messages, strict=False):
        assert message in record.error, record
    assert records[-1].error is None
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
def test_truncated_files(tmp_path, suffix):
    stream = io.BytesIO()
    if suffix == ".npy":
        np.save(stream, good()["x"])
    else:
        np.savez_compressed(stream, **good())
    content = stream.getvalue()
    for size in range(0, len(content), 7):
        (tmp_path / f"a{suffix}").write_bytes(content[:size])
        (record,) = read_folder(tmp_path)
        assert record.error is not None
        assert "expected" in record.error or "truncated" in record.error


def test_damaged_zip_members(tmp_path):
    stream = io.BytesIO()
    np.savez_compressed(stream, **good())
    content = stream.getvalue()
    numbers = np.random.default_rng(0)
    for _ in range(100):
        damaged = bytearray(content)
        for place in numbers.integers(0, len(damaged), 3):
            damaged[place] = numbers.integers(256)
        (tmp_path / "a.npz").write_bytes(damaged)
        (record,) = read_folder(tmp_path)
        assert record.error is None or isinstance(record.error, str)


def test_arrays_that_claim_to_be_large(tmp_path, monkeypatch):
    header = io.BytesIO()
    fields = {"descr": "<f4", "fortran_order": False, "shape": (10**9, 10**6)}
    np.lib.format.write_array_header_1_0(header, fields)
    (tmp_path / "a.npy").write_bytes(header.getvalue())
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("x.npy", header.getvalue())
    monkeypatch.setattr(module, "LARGEST", 1 << 20)
    np.savez_compressed(tmp_path / "c.npz", x=np.zeros((2000, 2000), "f4"))
    assert (tmp_path / "c.npz").stat().st_size < 1 << 16
    np.save(tmp_path / "d.npy", np.zeros((2000, 2000), "f4"))
    errors = [record.error for record in read_folder(tmp_path)]
    assert "array of numbers" in errors[0]
    assert "array of numbers" in errors[1]
    assert "at most 1,048,576 bytes" in errors[2]
    assert "at most 1,048,576 bytes" in errors[3]


def test_what_is_refused(tmp_path, regions, write):
    with pytest.raises(FormatError, match="expected a folder"):
        list(read_folder(tmp_path / "none"))
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(FormatError, match="there are none"):
        list(read_folder(tmp_path))
    with pytest.raises(ConfigError, match="--force"):
        write_npz(tmp_path).__enter__()
    with pytest.raises(ConfigError, match="got a file"):
        write_npz(tmp_path / "x.txt").__enter__()
    (record,) = regions(1)
    for key in ("../a", "/a", "a//b", "a/../b", "./a", "a\\b", "c:a", "a\0", "", "a/"):
        with pytest.raises(FormatError, match="name of a file"):
            write(write_npz, tmp_path, [FeatureRecord(id=key, columns=record.columns)], force=True)
    with pytest.raises(FormatError, match="broken"):
        write(write_npy, tmp_path, [FeatureRecord(id="1", error="broken")], force=True)
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]
    write(write_npz, tmp_path, [record], force=True)
    assert [r.id for r in read_folder(tmp_path)] == ["100"]


def test_crc_of_a_member(tmp_path):
    np.savez(tmp_path / "a.npz", **good())
    content = bytearray((tmp_path / "a.npz").read_bytes())
    place = content.index(np.float32(1).tobytes() * 6)
    content[place] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    (record,) = read_folder(tmp_path)
    assert "CRC" in record.error


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', (",
        "{'descr': '<f4,,', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999999999999999, 2), }",
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_a_damaged_header_is_the_failure_of_its_item(tmp_path, header, zipped):
    line = f"{header:<117}\n".encode()
    content = b"\x93NUMPY\1\0" + len(line).to_bytes(2, "little") + line
    np.save(tmp_path / "b.npy", np.ones((2, 3)))
    if zipped:
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
            archive.writestr("x.npy", content)
    else:
        (tmp_path / "a.npy").write_bytes(content)
    bad, good = read_folder(tmp_path)
    assert "expected an array of numbers" in bad.error
    assert len(good) == 2


def test_uneven_labels_are_the_failure_of_their_item(tmp_path):
    info = {"objects_id": [[1], [1, 2]]}
    np.savez(tmp_path / "a.npz", x=np.ones((2, 3)), info=info)
    (bad,) = read_folder(tmp_path)
    assert "info: expected lists of numbers" in bad.error


def test_ids_that_cannot_be_files_do_not_stop_the_others(tmp_path, regions):
    columns = regions(1)[0].columns
    with write_npz(tmp_path / "f") as add:
        add(FeatureRecord(id="a", columns=columns))
        add(FeatureRecord(id="b.npz/c", columns=columns))
        for key in ("x" * 300, "é" * 150, "a/" * 40 + "a", "a.npz/b", "b"):
            with pytest.raises(FormatError, match="expected an id that"):
                add(FeatureRecord(id=key, columns=columns))
        add(FeatureRecord(id="é" * 100, columns=columns))
    assert [record.id for record in read_folder(tmp_path / "f")] == ["a", "b.npz/c", "é" * 100]
