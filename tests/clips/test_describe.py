from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from graphmatch.clips.describe import describe_video
from graphmatch.clips.sampling import Sampling
from graphmatch.clips.video import probe_video, read_frames
from graphmatch.errors import ConfigError, FormatError
from graphmatch.regions.resize import stretch
from tests.videos import write_video


class Backbone(nn.Module):
    """Two small maps; counts the images that it sees."""

    name, version, side, channels = "small", "1", 32, (2, 5)

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 2, 3, 2), nn.Conv2d(2, 5, 3, 2)
        self.seen = []

    @property
    def device(self):
        return self.first.weight.device

    def maps(self, images):
        self.seen.append(tuple(images.shape))
        first = self.first(images.float() / 255)
        return [first, self.second(first)]


@pytest.fixture
def backbone():
    return Backbone()


@pytest.fixture
def path(tmp_path):
    return write_video(tmp_path / "walk.mp4")


def frame_features(path, backbone, side=32):
    features = []
    for frame in read_frames(probe_video(path)):
        image = stretch(frame.pixels, side, side).unsqueeze(0)
        with torch.no_grad():
            features.append(backbone.maps(image)[-1].mean(dim=(2, 3)).squeeze(0))
    return torch.stack(features)


@pytest.mark.parametrize("batch_size", [1, 4, 64])
@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(every=7),
        Sampling(fps=40.0),
        Sampling(frames=4),
        Sampling(seconds=0.3),
        Sampling(seconds=0.75, every=4),
        Sampling(seconds=0.05),
    ],
)
def test_clip_features_are_means_over_their_frames(
    path, backbone, sampling, batch_size, assert_close
):
    record = describe_video(path, backbone=backbone, sampling=sampling, batch_size=batch_size)
    assert sum(shape[0] for shape in backbone.seen) <= 30  # no frame twice
    assert max(shape[0] for shape in backbone.seen) <= batch_size
    video = probe_video(path)
    plan = sampling.plan(video.times, video.duration)
    frames = frame_features(path, backbone)
    expected = torch.stack(
        [frames[plan.frame[plan.clip == clip]].mean(dim=0) for clip in range(len(plan.time))]
    )
    assert_close(torch.from_numpy(record.columns["feature"]), expected)
    assert record.id == "walk"
    graph = record.clips()
    assert graph.validate()
    np.testing.assert_allclose(graph.time, plan.time, atol=1e-6)
    assert graph.duration.tolist() == pytest.approx([2.0])


def test_side_of_the_frames(path, backbone):
    describe_video(path, backbone=backbone, sampling=Sampling(frames=3), side=48, id="v")
    assert backbone.seen == [(1, 3, 48, 48)] * 3  # one at a time on a CPU


def test_damaged_video_is_an_error_unless_partial_is_wanted(tmp_path, backbone):
    whole = write_video(tmp_path / "whole.mkv", count=90)
    whole.write_bytes(whole.read_bytes()[:2500])
    every = Sampling(every=1)
    with pytest.raises(FormatError, match="ends too early"):
        describe_video(whole, backbone=backbone, sampling=every)
    graph = describe_video(whole, backbone=backbone, sampling=every, partial=True).clips()
    assert graph.validate()
    assert 1 < graph.num_nodes < 90


def test_impossible_numbers_are_refused(path, backbone):
    for options in ({"side": 0}, {"batch_size": 0}):
        with pytest.raises(ConfigError, match="expected side and batch_size from 1"):
            describe_video(path, backbone=backbone, sampling=Sampling(every=1), **options)


def test_real_video_becomes_a_clip_graph(data):
    from graphmatch.regions.efficientnet import load_efficientnet_lite0, packaged_weights

    graph = describe_video(
        data / "charades" / "example_video.mp4",
        backbone=load_efficientnet_lite0(packaged_weights()),
        sampling=Sampling(every=15),
        side=224,
    ).clips()
    assert graph.validate()
    assert graph.x.shape == (31, 1280)
    assert graph.duration.tolist() == pytest.approx([30.7], abs=0.05)
    start = torch.arange(31) * 15 * 1001 / 15000  # 15000 / 1001 frames a second
    torch.testing.assert_close(graph.time[:, 0], start, atol=1e-4, rtol=0)
    assert float(graph.time[-1, 1]) == pytest.approx(30.7, abs=0.05)
    # neighbours in time look alike, more than frames of different scenes
    unit = torch.nn.functional.normalize(graph.x, dim=1)
    near = (unit[1:] * unit[:-1]).sum(dim=1).mean()
    assert near > (unit @ unit.T).mean() + 0.05
