"""Targets of points against a loop over points, and their invariants."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphmatch.errors import GraphError
from graphmatch.nn.moment_targets import level_counts, level_points, moment_targets

RANGES = ((-1.0, 6.0), (5.6, 11.0), (11.0, 1e8))
SHARES = st.floats(0, 1.25, width=32)


def looped(moment, clips, scale):
    """Label and distances of each point, one by one."""
    labels, distances = [], []
    for level, (low, high) in enumerate(RANGES):
        stride = 2**level
        for index in range(-(-clips // stride)):
            x = index * stride + stride / 2
            left, right = x - moment[0] * scale, moment[1] * scale - x
            share = scale / 32
            inside = min(left, right) > 0
            labels.append(inside and low * share <= max(left, right) <= high * share)
            distances.append([left, right])
    return torch.tensor(labels), torch.tensor(distances, dtype=torch.float64)


@given(st.lists(st.tuples(SHARES, SHARES), min_size=1, max_size=6), st.sampled_from([4, 9, 32, 64]))
def test_a_batch_equals_a_loop_over_points(moments, clips):
    scales = [float(clips - number % 3) for number in range(len(moments))]
    points = level_points(clips, dtype=torch.float64)
    batch = torch.tensor(moments, dtype=torch.float64)
    targets = moment_targets(batch, points, RANGES, torch.tensor(scales, dtype=torch.float64))
    for number, (moment, scale) in enumerate(zip(batch.tolist(), scales, strict=True)):
        labels, distances = looped(moment, clips, scale)
        assert torch.equal(targets.positive[number], labels)
        assert torch.equal(targets.distance[number], distances)


def test_ends_of_ranges_are_included_and_ends_of_moments_are_not():
    points = level_points(32)
    at = [(1, 6.5), (2, 6.5), (0.5, 1.5)]  # clip units: 6 and 5 from the point 0.5, and 0 from it
    targets = moment_targets(torch.tensor(at) / 32, points, RANGES, 32.0)
    assert not targets.positive[0, 0]  # 0.5 is not inside
    assert targets.positive[0, 1]  # 1.5: 0.5 and 5
    assert not targets.positive[2].any()  # from point to point
    longest = moment_targets(torch.tensor([[0.25 / 32, 6.5 / 32]]), points, RANGES, 32.0)
    assert longest.distance[0, 0].tolist() == [0.25, 6.0]
    assert longest.positive[0, 0]


@given(st.integers(0, 6), st.integers(1, 60))
def test_four_clips_later_the_labels_are_too(start, length):
    """One stride of the coarsest level: by 4, 2 and 1 points."""
    end = min(28.0, start + length / 4)
    moments = torch.tensor([[start, end], [start + 4, end + 4]]) / 32
    targets = moment_targets(moments, level_points(32), RANGES, 32.0)
    for first, second in zip(
        *(row.split(level_counts(32)) for row in targets.positive), strict=True
    ):
        shift = len(first) // 8
        assert torch.equal(first[:-shift], second[shift:])


@given(SHARES, SHARES)
def test_mirrored_time_swaps_the_distances(start, end):
    moments = torch.tensor([[start, end], [1 - end, 1 - start]], dtype=torch.float64)
    points = level_points(32, dtype=torch.float64)
    targets = moment_targets(moments, points, RANGES, 32.0)
    parts = [part.split(level_counts(32), dim=1) for part in targets]
    for positive, distance in zip(*parts, strict=True):
        torch.testing.assert_close(distance[0], distance[1].flip(0, 1), atol=1e-9, rtol=0)
        margin = distance[0].amax(-1, keepdim=True) - torch.tensor([6.0, 5.6, 11.0])
        clear = (margin.abs().amin(-1) > 1e-6) & (distance[0].abs().amin(-1) > 1e-6)
        assert torch.equal(positive[0][clear], positive[1].flip(0)[clear])


def test_broken_moments_have_no_positive_point():
    moments = torch.tensor([[0.5, 0.5], [0.6, 0.4], [1.1, 1.0]])
    assert not moment_targets(moments, level_points(32), RANGES, 32.0).positive.any()


def test_more_clips_are_finer_points_of_the_same_moment():
    """With twice the clips, ranges grow with the unit: every second point is where one was."""
    moment = torch.tensor([[0.2, 0.55]], dtype=torch.float64)
    few, many = (
        moment_targets(moment, level_points(T, dtype=torch.float64), RANGES, float(T))
        for T in (32, 64)
    )
    assert abs(int(many.positive.sum()) - 2 * int(few.positive.sum())) <= 3


def test_points():
    points = level_points(32)
    places = [points.location[points.level == level].tolist() for level in range(3)]
    assert places[0] == [i + 0.5 for i in range(32)]
    assert places[1] == [2 * i + 1 for i in range(16)]
    assert places[2] == [4 * i + 2 for i in range(8)]
    assert level_points(1).location.tolist() == [0.5, 1.0, 2.0]


def test_bad_input_is_refused():
    with pytest.raises(GraphError, match=r"moment: expected \[B, 2\] \(got \[2\]\)"):
        moment_targets(torch.zeros(2), level_points(4), RANGES, 4.0)
    with pytest.raises(GraphError, match="at least one clip"):
        level_points(0)
