"""HGR's mean-pooled and frame-level files."""

from __future__ import annotations

import contextlib

import h5py
import numpy as np
import pytest

from graphmatch.datasets.features.hgr import (
    read_hgr_frames,
    read_hgr_mean,
    write_hgr_frames,
    write_hgr_mean,
)
from graphmatch.errors import ConfigError, FormatError
from graphmatch.feature_record import FeatureRecord

ALL = ("feature", "time", "duration")


@pytest.fixture
def official(tmp_path):
    """HGR's folders with two features of four videos; values by name."""
    names = ["video0", "a/b", "video7", "ü"]
    numbers = np.random.default_rng(0)
    values = {}
    for width, feature in ((3, "resnet152"), (2, "i3d")):
        (tmp_path / f"ordered_feature/MP/{feature}").mkdir(parents=True)
        (tmp_path / f"ordered_feature/SA/{feature}").mkdir(parents=True)
        frames = {name: numbers.random((k + 1, width), np.float32) for k, name in enumerate(names)}
        mean = np.stack([frames[name].mean(axis=0) for name in names])
        np.save(tmp_path / f"ordered_feature/MP/{feature}/val_ft.npy", mean)
        with h5py.File(tmp_path / f"ordered_feature/SA/{feature}/val_ft.hdf5", "w") as file:
            for name, value in frames.items():
                file.create_dataset(name.replace("/", "_"), data=value)
        values[feature] = (frames, mean)
    (tmp_path / "public_split").mkdir()
    np.save(tmp_path / "public_split/val_names.npy", np.array(names))
    return tmp_path, names, values


def test_mean_pooled_files(official):
    folder, names, values = official
    paths = [folder / f"ordered_feature/MP/{name}/val_ft.npy" for name in ("i3d", "resnet152")]
    records = list(read_hgr_mean(paths, seconds_per_step=12.5))
    assert [record.id for record in records] == names
    joined = np.concatenate([values["i3d"][1], values["resnet152"][1]], axis=1)  # in given order
    for record, row in zip(records, joined, strict=True):
        assert record.columns["feature"].tolist() == [row.tolist()]
        assert record.columns["time"].tolist() == [[0, 12.5]]
        assert record.columns["duration"] == 12.5
    (first, *_) = read_hgr_mean(paths[0], seconds_per_step=1)
    assert first.columns["feature"].shape == (1, 2)


def test_frame_level_files(official):
    folder, names, values = official
    paths = [folder / f"ordered_feature/SA/{name}/val_ft.hdf5" for name in ("resnet152", "i3d")]
    records = list(read_hgr_frames(paths, seconds_per_step=0.64))
    assert [record.id for record in records] == names
    for count, record in enumerate(records, 1):
        parts = [values[feature][0][record.id] for feature in ("resnet152", "i3d")]
        assert record.columns["feature"].tolist() == np.concatenate(parts, axis=1).tolist()
        assert record.columns["time"].tolist() == [[k * 0.64, (k + 1) * 0.64] for k in range(count)]
        assert record.columns["duration"] == count * 0.64
        record.clips().validate()


def test_frame_level_files_without_names(official):
    folder, _, _ = official
    (folder / "public_split/val_names.npy").unlink()
    path = folder / "ordered_feature/SA/i3d/val_ft.hdf5"
    keys = [record.id for record in read_hgr_frames(path, seconds_per_step=1)]
    assert sorted(keys) == ["a_b", "video0", "video7", "ü"]


@pytest.mark.parametrize(
    "names",
    [
        np.array([b"video0", b"a/b", b"video7", "ü".encode()]),
        np.array(["video0", "a/b", "video7", "ü"], object),
        np.array([b"video0", b"a/b", b"video7", "ü".encode()], object),
    ],
)
def test_names_of_every_kind(official, names):
    folder, wanted, _ = official
    np.save(folder / "n.npy", names, allow_pickle=True)
    path = folder / "ordered_feature/MP/i3d/val_ft.npy"
    found = read_hgr_mean(path, seconds_per_step=1, names=folder / "n.npy")
    assert [record.id for record in found] == wanted


def test_round_trip_of_frames(tmp_path, clips, write, assert_same):
    records = clips(6, step=0.25)
    records[2] = FeatureRecord(id="a/b c/ü", columns=records[2].columns)
    path = write(write_hgr_frames, tmp_path / "trn_ft.hdf5", records)
    assert_same(read_hgr_frames(path, seconds_per_step=0.25), records, ALL)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["trn_ft.hdf5", "trn_names.npy"]
    path = write(write_hgr_frames, tmp_path / "o.hdf5", records[::-1], names=tmp_path / "order.npy")
    found = read_hgr_frames(path, seconds_per_step=0.25, names=tmp_path / "order.npy")
    assert_same(found, records[::-1], ALL)


def test_round_trip_of_means(tmp_path, clips, write, assert_same):
    records = clips(6, step=3.0, rows=1)
    path = write(write_hgr_mean, tmp_path / "trn_ft.npy", records)
    assert_same(read_hgr_mean(path, seconds_per_step=3), records, ALL)
    long = clips(3)
    path = write(write_hgr_mean, tmp_path / "b_ft.npy", long)
    for record, other in zip(read_hgr_mean(path, seconds_per_step=1), long, strict=True):
        wanted = np.mean(other.columns["feature"], axis=0, dtype=np.float64)
        np.testing.assert_allclose(record.columns["feature"][0], wanted, atol=1e-6)


def test_damaged_videos_are_failed_records(official):
    folder, _, _ = official
    path = folder / "ordered_feature/SA/i3d/val_ft.hdf5"
    outside = folder / "outside.hdf5"
    with h5py.File(outside, "w") as file:
        file["x"] = np.ones((2, 2))
    with h5py.File(path, "a") as file:
        del file["video0"]
        file["nan"] = np.full((2, 2), np.nan, "f4")
        file["flat"] = np.zeros(3)
        file["text"] = ["a", "b"]
        file["outside"] = h5py.ExternalLink(str(outside), "x")
        file["soft"] = h5py.SoftLink("/a_b")
        file.create_group("group")
        file.create_dataset("huge", (10**7, 10**6), "f4", chunks=(1, 1000))
        file.create_dataset("unwritten", (10, 10), "f4", chunks=(1, 10))
        layout = h5py.VirtualLayout((2, 2), "f8")
        layout[:] = h5py.VirtualSource(str(outside), "x", (2, 2))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset(
            "raw", (1, 2), "f4", external=[(str(folder / "public_split/val_names.npy"), 0, 8)]
        )
    names = [
        ("video0", "there is none"), ("a/b", None), ("nan", "finite"), ("flat", "frames, numbers"),
        ("text", "frames, numbers"), ("outside", "there is none"), ("soft", "there is none"),
        ("group", "frames, numbers"), ("huge", "at most"), ("unwritten", "none were written"),
        ("virtual", "at most"), ("raw", "at most"), ("../x", "there is none"),
    ]  # fmt: skip
    np.save(folder / "n.npy", np.array([name for name, _ in names]))
    found = list(read_hgr_frames(path, seconds_per_step=1, names=folder / "n.npy"))
    assert [record.id for record in found] == [name for name, _ in names]
    for record, (_, message) in zip(found, names, strict=True):
        assert (record.error is None) if message is None else (message in record.error), record


def test_files_of_other_lengths(official):
    folder, _, _ = official
    paths = [folder / f"ordered_feature/SA/{name}/val_ft.hdf5" for name in ("resnet152", "i3d")]
    with h5py.File(paths[1], "a") as file:
        del file["video7"]
        file["video7"] = np.zeros((9, 2))
    errors = [record.error for record in read_hgr_frames(paths, seconds_per_step=1)]
    assert [error is None for error in errors] == [True, True, False, True]
    assert "as many rows in every file (got [3, 9])" in errors[2]
    means = [folder / f"ordered_feature/MP/{name}/val_ft.npy" for name in ("resnet152", "i3d")]
    np.save(means[1], np.zeros((5, 2)))
    with pytest.raises(FormatError, match=r"expected \[4 videos, numbers\] \(got shape \[5, 2\]"):
        list(read_hgr_mean(means, seconds_per_step=1))


@pytest.mark.parametrize("part", [0, 100, 900, 2048, -700])
def test_truncated_hdf5(official, part):
    folder, _, _ = official
    path = folder / "ordered_feature/SA/i3d/val_ft.hdf5"
    path.write_bytes(path.read_bytes()[:part])
    with pytest.raises(FormatError, match="expected an HDF5 file"):
        list(read_hgr_frames(path, seconds_per_step=1))


@pytest.mark.parametrize("seed", range(30))
def test_damaged_hdf5(official, seed):
    folder, _, _ = official
    path = folder / "ordered_feature/SA/i3d/val_ft.hdf5"
    content = bytearray(path.read_bytes())
    numbers = np.random.default_rng(seed)
    for place in numbers.integers(8, len(content), 200):
        content[place] = numbers.integers(256)
    path.write_bytes(content)
    with contextlib.suppress(FormatError):
        assert len(list(read_hgr_frames(path, seconds_per_step=1))) == 4


def test_what_is_refused(official, tmp_path, clips):
    folder, _, _ = official
    mean = folder / "ordered_feature/MP/i3d/val_ft.npy"
    frames = folder / "ordered_feature/SA/i3d/val_ft.hdf5"
    for reader, path in ((read_hgr_mean, mean), (read_hgr_frames, frames)):
        for seconds in (0, -1, float("nan"), float("inf")):
            with pytest.raises(ConfigError, match="above 0"):
                list(reader(path, seconds_per_step=seconds))
        with pytest.raises(FormatError, match="no such file"):
            list(reader(path.with_name("tst_ft"), seconds_per_step=1))
        with pytest.raises(ConfigError, match="got none"):
            list(reader([], seconds_per_step=1))
    mean.write_bytes(mean.read_bytes()[:-1])
    with pytest.raises(FormatError, match="truncated"):
        list(read_hgr_mean(mean, seconds_per_step=1))
    (record,) = clips(1)
    with write_hgr_frames(tmp_path / "a.hdf5") as add:
        add(FeatureRecord(id="a/b", columns=record.columns))
        for key in ("a_b", ".", "\0"):
            with pytest.raises(FormatError, match="new key"):
                add(FeatureRecord(id=key, columns=record.columns))
        with pytest.raises(FormatError, match="broken"):
            add(FeatureRecord(id="c", error="broken"))
    with write_hgr_mean(tmp_path / "a.npy", names=tmp_path / "b.npy") as add:
        add(record)
        with pytest.raises(FormatError, match=r"expected \[5\] numbers"):
            add(clips(1, width=6)[0])
        with pytest.raises(FormatError, match="take the mean"):
            add(clips(1, rows=0)[0])
    with pytest.raises(ConfigError, match="exists"):
        write_hgr_mean(tmp_path / "a.npy").__enter__()
    with pytest.raises(ConfigError, match="exists"):
        write_hgr_frames(tmp_path / "a.hdf5").__enter__()


def test_a_mean_is_not_written_under_a_name_that_numpy_would_cut(tmp_path, clips):
    (video,) = clips(1)
    with write_hgr_mean(tmp_path / "val_ft.npy") as add:
        add(video)
        with pytest.raises(FormatError, match="without zero characters"):
            add(FeatureRecord(id="a\0", columns=video.columns))
    assert len([*read_hgr_mean(tmp_path / "val_ft.npy", seconds_per_step=1)]) == 1
