from __future__ import annotations

import numpy as np
import pytest

from graphmatch.clip_job import extract_clips
from graphmatch.clips.sampling import Sampling
from graphmatch.clips.video_sources import find_videos
from graphmatch.errors import ConfigError
from graphmatch.feature_store import FeatureStore
from tests.clips.test_describe import Backbone
from tests.videos import cut, write_sound, write_video

EVERY = Sampling(every=10)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    write_video(folder / "a.mp4")
    write_video(folder / "b.mkv", count=60)
    cut(folder / "b.mkv", folder / "cut.mkv", 0.7)
    (folder / "empty.mp4").touch()
    write_sound(folder / "sound.mp4")
    write_video(folder / "z.mp4", count=1)
    return folder


def run(folder, store, **options):
    options = {"backbone": Backbone(), "sampling": EVERY, **options}
    return extract_clips(find_videos(folder), store, **options)


def test_good_videos_are_done_and_each_bad_one_has_its_reason(folder, tmp_path):
    seen = []
    report = run(folder, tmp_path / "store", progress=seen.append)
    assert (report.items, report.failed, report.kept, report.rows) == (6, 3, 0, 3 + 6 + 1)
    assert seen == [1] * 6
    store = FeatureStore(tmp_path / "store")
    assert store.ids == ["a", "b", "cut", "empty", "sound", "z"]
    assert [*map(tuple, store.failures)] == [*report.failures]
    reasons = dict(report.failures)
    assert "ends too early" in reasons["cut"]
    assert "got an empty one" in reasons["empty"]
    assert "got a file without one" in reasons["sound"]
    graph = store.graph("b")
    assert graph.validate()
    assert graph.time[:, 0].tolist() == pytest.approx([k * 10 / 15 for k in range(6)], abs=1e-3)
    assert store.manifest["job"]["sampling"]["every"] == 10
    store.verify()


def test_partial_takes_the_truncated_video(folder, tmp_path):
    report = run(folder, tmp_path / "store", partial=True)
    assert "cut" not in dict(report.failures)
    assert FeatureStore(tmp_path / "store").graph("cut").validate()


def test_interrupted_job_goes_on_and_gives_the_same_store(folder, tmp_path):
    run(folder, tmp_path / "whole")
    seen = []

    def stop(count):
        seen.append(count)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(folder, tmp_path / "store", progress=stop)
    backbone = Backbone()
    report = run(folder, tmp_path / "store", backbone=backbone)
    assert (report.items, report.kept, report.failed) == (6, 3, 3)
    assert len(backbone.seen) == 1  # only z was left to describe
    for name in ("feature.npy", "time.npy", "duration.npy", "offset.npy", "items.jsonl"):
        one, two = (tmp_path / store / name for store in ("whole", "store"))
        assert one.read_bytes() == two.read_bytes(), name


def test_another_job_needs_force(folder, tmp_path):
    run(folder, tmp_path / "store")
    with pytest.raises(ConfigError, match="sampling"):
        run(folder, tmp_path / "store", sampling=Sampling(every=5))
    report = run(folder, tmp_path / "store", sampling=Sampling(every=5), force=True)
    assert report.kept == 0


def test_backbone_that_fails_on_one_video_does_not_stop_the_run(folder, tmp_path):
    class Fails(Backbone):
        def maps(self, images):
            if len(images) > 5:
                raise RuntimeError("too many images")
            return super().maps(images)

    report = run(folder, tmp_path / "store", backbone=Fails(), batch_size=16)
    assert dict(report.failures)["b"] == "RuntimeError: too many images"
    assert report.rows == 4


def test_features_in_half_precision(folder, tmp_path):
    run(folder, tmp_path / "store", dtype="float16")
    store = FeatureStore(tmp_path / "store")
    assert store["a"].columns["feature"].dtype == np.float16
    assert store["a"].columns["time"].dtype == np.float64
