from __future__ import annotations

import numpy as np
import pytest

from graphmatch.feature_store import FeatureStore
from tests.videos import cut, write_sound, write_video


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    write_video(folder / "a.mp4")
    write_video(folder / "b.mkv", count=45)
    return folder


def clips(run, *arguments):
    return run("clips", *arguments, "--side", 32)


def test_folder_to_store_and_again(run, folder, tmp_path):
    code, out, err = clips(run, folder, "--out", tmp_path / "store")
    assert code == 0, err
    assert "2 videos: 2 done, with 5 clips; 0 failed" in out
    store = FeatureStore(tmp_path / "store")
    assert store.ids == ["a", "b"]
    assert store.kind == "clips"
    # without an option, a frame a second
    np.testing.assert_allclose(store["b"].columns["time"], [[0, 1], [1, 2], [2, 3]], atol=1e-9)
    assert store["b"].columns["feature"].shape == (3, 1280)
    code, out, _ = clips(run, folder, "--out", tmp_path / "store")
    assert code == 0
    assert "2 videos were kept from an earlier run" in out


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        (("--every", 10), 3 + 5),
        (("--fps", 3), 6 + 9),
        (("--frames", 4), 4 + 4),
        (("--seconds", 1.5), 2 + 2),
        (("--seconds", 1, "--every", 5), 2 + 3),
    ],
)
def test_ways_to_sample(run, folder, tmp_path, options, rows):
    assert clips(run, folder, "--out", tmp_path / "store", *options)[0] == 0
    assert FeatureStore(tmp_path / "store").manifest["counts"]["rows"] == rows


def test_failed_videos_are_told_and_counted(run, folder, tmp_path):
    cut(write_video(folder / "long.mkv", count=90), folder / "cut.mkv", 0.7)
    write_sound(folder / "sound.mp4")
    (folder / "text.avi").write_text("no video")
    code, out, _ = clips(run, folder, "--out", tmp_path / "store")
    assert code == 3
    assert "6 videos: 3 done, with 11 clips; 3 failed" in out
    for reason in ("ends too early", "a file without one", "Invalid data"):
        assert reason in out
    code, out, _ = clips(run, folder, "--out", tmp_path / "other", "--partial", "--fps", 1)
    assert code == 3
    assert "6 videos: 4 done" in out


def test_wrong_options_are_told_in_a_line(run, folder, tmp_path):
    for options, reason in (
        (("--every", 2, "--fps", 3), "expected one of every, fps and frames"),
        (("--frames", 2, "--seconds", 3), "not both"),
        (("--fps", 0), "fps: expected a number above 0"),
        (("--backbone", "efficientnet-lite"), "did you mean 'efficientnet-lite0'"),
        (("--dtype", "float64"), "unknown dtype"),
    ):
        code, _, err = clips(run, folder, "--out", tmp_path / "store", *options)
        assert code == 1
        assert reason in err
    code, _, err = clips(run, tmp_path / "none.mp4", "--out", tmp_path / "store")
    assert code == 1
    assert "none.mp4: expected a video" in err
    assert not (tmp_path / "store").exists()


@pytest.mark.slow
def test_real_video(run, data, tmp_path):
    path = data / "charades" / "example_video.mp4"
    code, _, err = run("clips", path, "--out", tmp_path / "store", "--fps", 1, "--side", 224)
    assert code == 0, err
    graph = FeatureStore(tmp_path / "store").graph("example_video")
    assert graph.validate()
    assert graph.num_nodes == 31
    assert graph.duration.tolist() == pytest.approx([30.7], abs=0.05)
