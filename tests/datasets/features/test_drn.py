"""DRN's folders of tensors."""

from __future__ import annotations

import json
import os
import pickle

import numpy as np
import pytest
import torch

from graphmatch.datasets.features.drn import read_drn, write_drn
from graphmatch.errors import ConfigError, FormatError
from graphmatch.feature_record import FeatureRecord

C3D = {"window": 16, "step": 8, "fps": 24}


@pytest.fixture
def official(tmp_path):
    folder = tmp_path / "features"
    folder.mkdir()
    tensors = {name: torch.rand(rows, 4) for name, rows in (("3MSZA", 5), ("AO8RW", 2))}
    for name, tensor in tensors.items():
        torch.save(tensor, folder / f"{name}.pt")
    return folder, tensors


@pytest.mark.parametrize("zipped", [True, False])
def test_windows(official, zipped):
    folder, tensors = official
    for name, tensor in tensors.items():
        torch.save(tensor, folder / f"{name}.pt", _use_new_zipfile_serialization=zipped)
    records = list(read_drn(folder, **C3D))
    assert [record.id for record in records] == ["3MSZA", "AO8RW"]
    for record in records:
        feature = tensors[record.id]
        assert record.columns["feature"].tolist() == feature.tolist()
        expected = [[r * 8 / 24, (r * 8 + 16) / 24] for r in range(len(feature))]
        np.testing.assert_allclose(record.columns["time"], expected, rtol=1e-12)
        assert record.columns["duration"] == record.columns["time"][-1, 1]
        record.clips().validate()


def test_rates_and_durations_by_video(official, tmp_path):
    folder, _ = official
    (tmp_path / "fps.json").write_text(json.dumps({"3MSZA": "29.97", "AO8RW": "8"}))
    (tmp_path / "seconds.json").write_text(json.dumps({"3MSZA": 1.5, "AO8RW": 30.0}))
    first, second = read_drn(
        folder, window=16, step=8, fps=tmp_path / "fps.json", durations=tmp_path / "seconds.json"
    )
    assert second.columns["time"].tolist() == [[0, 2], [1, 3]]
    assert second.columns["duration"] == 30
    np.testing.assert_allclose(first.columns["time"][1], [8 / 29.97, 24 / 29.97])
    assert first.columns["time"].max() == 1.5
    first.clips().validate()


def test_real_rates_and_durations(tmp_path, data):
    folder = data / "charades_sta"
    seconds = json.loads((folder / "Charades_duration.json").read_text())
    frames = json.loads((folder / "Charades_frames_info.json").read_text())
    videos = sorted(seconds)[::500]
    for video in videos:
        rows = (frames[video] - 16) // 8 + 1
        torch.save(torch.zeros(rows, 2), tmp_path / f"{video}.pt")
    records = list(
        read_drn(
            tmp_path, window=16, step=8, fps=folder / "Charades_fps_dict.json",
            durations=folder / "Charades_duration.json",
        )
    )  # fmt: skip
    assert [record.id for record in records] == videos
    for record in records:
        record.clips().validate()
        assert record.columns["duration"] == float(seconds[record.id])
        # the last window ends less than a step before the video does, or a little after it
        assert seconds[record.id] - record.columns["time"][-1, 1] < 0.6


def test_videos_that_are_not_in_the_files(official, tmp_path):
    folder, _ = official
    (tmp_path / "fps.json").write_text(json.dumps({"3MSZA": "fast"}))
    for record in read_drn(folder, window=16, step=8, fps=str(tmp_path / "fps.json")):
        assert f"expected frames a second of '{record.id}' above 0" in record.error
    (tmp_path / "seconds.json").write_text(json.dumps({"3MSZA": 0}))
    for record in read_drn(folder, **C3D, durations=tmp_path / "seconds.json"):
        assert f"expected seconds of '{record.id}' above 0" in record.error


def test_round_trip(tmp_path, clips, write, assert_same):
    records = clips(4, step=0.5)
    records[1] = FeatureRecord(id="a/b", columns=records[1].columns)
    path = write(write_drn, tmp_path / "f", records)
    found = read_drn(path, window=4, step=4, fps=8)
    assert_same(found, sorted(records, key=lambda r: r.id), ("feature", "time", "duration"))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int32])
def test_types(tmp_path, dtype):
    torch.save(torch.ones(2, 3, dtype=dtype), tmp_path / "a.pt")
    (record,) = read_drn(tmp_path, **C3D)
    assert record.columns["feature"].tolist() == [[1.0] * 3] * 2


def test_damaged_files_are_failed_records(tmp_path):
    class Touch:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'made'}",)

    torch.save(torch.rand(3, 2), tmp_path / "good.pt")
    content = (tmp_path / "good.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "text.pt").write_bytes(b"hello")
    (tmp_path / "malicious.pt").write_bytes(pickle.dumps(Touch()))
    torch.save({"a": Touch()}, tmp_path / "malicious2.pt")
    torch.save({"a": torch.rand(2, 2)}, tmp_path / "dict.pt")
    torch.save(torch.rand(3), tmp_path / "flat.pt")
    torch.save(torch.full((2, 2), torch.nan), tmp_path / "nan.pt")
    torch.save(torch.rand(2, 2).to_sparse(), tmp_path / "sparse.pt")
    torch.save(torch.zeros(1, 1).expand(10**6, 10**6), tmp_path / "large.pt")
    errors = {record.id: record.error for record in read_drn(tmp_path, **C3D)}
    assert errors.pop("good") is None
    assert "finite" in errors.pop("nan")
    assert "all in the file" in errors.pop("large")
    assert len(errors) == 8
    for error in errors.values():
        assert "expected a saved tensor" in error or "tensor [rows, numbers]" in error
    assert not (tmp_path / "made").exists()


def test_what_is_refused(official, tmp_path, clips, write):
    folder, _ = official
    for options in ({"window": 0}, {"step": 0}, {"fps": 0}, {"fps": "-3"}):
        with pytest.raises(ConfigError):
            list(read_drn(folder, **{**C3D, **options}))
    for path in (tmp_path / "none", tmp_path):
        if path == tmp_path:
            for file in folder.glob("*"):
                file.unlink()
        with pytest.raises(FormatError, match=r"folder of \.pt files"):
            list(read_drn(path, **C3D))
    torch.save(torch.zeros(1, 1), folder / "a.pt")
    with pytest.raises(FormatError, match="no such file"):
        list(read_drn(folder, window=1, step=1, fps=tmp_path / "fps.json"))
    with pytest.raises(FormatError, match="name of a file"):
        write(write_drn, tmp_path / "f", [FeatureRecord(id="../a", columns=clips(1)[0].columns)])
