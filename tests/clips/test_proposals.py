from __future__ import annotations

import json
import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphmatch.clips.proposals import clip_boundaries, clip_positions, pool_clips, window_step
from graphmatch.errors import ConfigError, GraphError


@given(st.integers(1, 200_000))
def test_boundaries_are_floors(frames):
    expected = [math.floor(1 + k * (frames - 1) / 32) for k in range(32)]
    assert clip_boundaries(frames).tolist() == [*expected, frames]


@given(st.integers(1, 5000), st.integers(1, 200))
def test_clips_lie_side_by_side(frames, clips):
    bounds = clip_boundaries(frames, clips)
    assert len(bounds) == clips + 1
    assert (bounds[0], bounds[-1]) == (1, frames)
    assert (bounds[1:] >= bounds[:-1]).all()
    positions = clip_positions(frames, clips)
    assert torch.equal(positions[1:, 0], positions[:-1, 1])
    assert positions.dtype == torch.float64
    assert (positions[0, 0], positions[-1, 1]) == (1 / frames, 1)


def test_boundaries_of_732_frames():
    bounds = clip_boundaries(732).tolist()
    assert bounds[:5] == [1, 23, 46, 69, 92]
    assert bounds[-3:] == [686, 709, 732]


def test_boundaries_of_every_real_video(data):
    counts = json.loads((data / "charades_sta" / "Charades_frames_info.json").read_text())
    assert len(counts) == 9848
    for frames in map(int, counts.values()):
        exact = [1 + k * (frames - 1) // 32 for k in range(32)]
        assert clip_boundaries(frames).tolist() == [*exact, frames]


def pooled_by_a_loop(features, frames, *, clips, window, step):
    starts = [math.floor(1 + k * (frames - 1) / clips) for k in range(clips)] + [frames]
    pooled = []
    for start, end in pairwise(starts):
        if end - start <= window:
            rows = [start // step]
        else:
            rows = [frame // step for frame in range(start // step * step, end, step)]
        rows = [min(row, len(features) - 1) for row in rows]
        pooled.append([max(features[row][j] for row in rows) for j in range(len(features[0]))])
    return torch.tensor(pooled)


@given(
    st.integers(1, 4000),
    st.integers(1, 90),
    st.sampled_from([(16, 0.5, 8), (64, 0.875, 8), (32, 0.75, 8), (5, 0.0, 5), (3, 0.5, 1)]),
    st.sampled_from([1, 2, 16, 32]),
)
def test_pooling_is_that_of_a_loop(frames, rows, extraction, clips):
    window, overlap, step = extraction
    assert window_step(window, overlap) == step
    features = torch.randn(rows, 3, generator=torch.Generator().manual_seed(frames))
    pooled = pool_clips(features, frames, clips=clips, window=window, overlap=overlap)
    expected = pooled_by_a_loop(features.tolist(), frames, clips=clips, window=window, step=step)
    assert torch.equal(pooled, expected)


def test_gradient_of_pooling():
    features = torch.randn(30, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda given: pool_clips(given, 700, clips=8), [features])


def test_impossible_numbers_are_refused():
    for frames, clips in ((0, 32), (9, 0)):
        with pytest.raises(ConfigError, match="expected frames and clips from 1"):
            clip_boundaries(frames, clips)
    with pytest.raises(ConfigError, match="expected a step of 1 frame or more"):
        window_step(10, 0.95)
    for features in (torch.zeros(0, 3), torch.zeros(3)):
        with pytest.raises(GraphError, match=r"features: expected \[rows, F\]"):
            pool_clips(features, 9)
