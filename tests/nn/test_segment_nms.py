"""Suppression of segments against plain loops."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphmatch.errors import ConfigError, GraphError
from graphmatch.nn.segment_iou import segment_iou
from graphmatch.nn.segment_nms import nms_segments, soft_nms_segments, top_segments
from tests import naive_moments as naive

# eighths: sums and IoU are exact often enough for ties
BOUNDS = st.tuples(st.integers(0, 8), st.integers(0, 8)).map(sorted)
MOMENT = st.tuples(BOUNDS, st.integers(0, 4)).map(lambda m: (m[0][0] / 8, m[0][1] / 8, m[1] / 4))
QUERIES = st.lists(st.lists(MOMENT, max_size=7), min_size=1, max_size=4)


def padded(queries):
    most = max(map(len, queries))
    table = torch.full((len(queries), most, 3), torch.nan, dtype=torch.float64)
    for row, moments in enumerate(queries):
        if moments:
            table[row, : len(moments)] = torch.tensor(moments, dtype=torch.float64)
    mask = ~table.isnan().any(-1)
    return table[..., :2], table[..., 2], mask


def lists(picks):
    return [[number for number in row if number >= 0] for row in picks.tolist()]


@given(QUERIES, st.sampled_from([0.0, 0.25, 0.45, 0.5, 1.0]), st.sampled_from(["first", "last"]))
def test_nms_takes_what_a_loop_takes(queries, threshold, equal):
    picks = nms_segments(*padded(queries), threshold=threshold, equal=equal)
    expected = [naive.nms(moments, threshold, last=equal == "last") for moments in queries]
    assert lists(picks) == expected
    assert picks.size(1) == max(map(len, expected))
    few = nms_segments(*padded(queries), threshold=threshold, equal=equal, top=2)
    assert lists(few) == [numbers[:2] for numbers in expected]


@given(QUERIES, st.sampled_from([0.0, 0.3, 0.5]))
def test_nms_keeps_its_promises(queries, threshold):
    for moments, numbers in zip(
        queries, lists(nms_segments(*padded(queries), threshold=threshold)), strict=True
    ):
        kept = [moments[number] for number in numbers]
        assert len({*numbers}) == len(numbers)
        if moments:
            best = max(moment[2] for moment in moments)
            assert numbers[0] == max(k for k, m in enumerate(moments) if m[2] == best)
        for place, one in enumerate(kept):
            assert all(naive.overlap(one, other) <= threshold for other in kept[:place])
        # what stays, in its own order, all stays
        again = [moments[number] for number in sorted(numbers)]
        assert len(naive.nms(again, threshold)) == len(again)
        if again:
            assert nms_segments(*padded([again]), threshold=threshold).size(1) == len(again)


@given(QUERIES)
def test_plain_order(queries):
    _, score, mask = padded(queries)
    expected = [naive.by_score(moments) for moments in queries]
    assert lists(top_segments(score, mask)) == expected
    assert lists(top_segments(score, mask, top=3)) == [numbers[:3] for numbers in expected]


@given(QUERIES)
def test_soft_nms_takes_what_a_loop_takes(queries):
    picks, scores = soft_nms_segments(*padded(queries))
    for row, moments in enumerate(queries):
        taken = naive.soft_nms(moments)
        assert lists(picks)[row] == [number for number, _ in taken]
        assert scores[row, : len(taken)].tolist() == pytest.approx([score for _, score in taken])
        assert not scores[row, len(taken) :].any()


@given(BOUNDS, BOUNDS)
def test_iou(one, other):
    first, second = (torch.tensor(bounds, dtype=torch.float64) for bounds in (one, other))
    found = float(segment_iou(first, second))
    assert found == max(0.0, naive.iou(one, other)) == float(segment_iou(second, first))
    assert 0 <= found <= 1


def test_iou_of_points_and_of_reversed_segments_is_0():
    point, back = torch.tensor([0.5, 0.5]), torch.tensor([0.8, 0.2])
    assert segment_iou(point, point) == 0
    assert segment_iou(back, torch.tensor([0.0, 1.0])) == 0
    assert segment_iou(back, back) == 0


def test_segments_without_length_do_not_suppress_each_other():
    segment = torch.tensor([[[0.5, 0.5], [0.5, 0.5]]])
    assert nms_segments(segment, torch.tensor([[0.1, 0.1]]), threshold=0.0).tolist() == [[1, 0]]


def test_no_segments():
    none = torch.zeros(3, 0, 2), torch.zeros(3, 0)
    assert nms_segments(*none, threshold=0.5).shape == (3, 0)
    assert top_segments(none[1]).shape == (3, 0)
    assert soft_nms_segments(*none)[0].shape == (3, 0)
    assert nms_segments(torch.zeros(0, 4, 2), torch.zeros(0, 4), threshold=0.5).shape[0] == 0


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_broken_numbers_are_errors(bad):
    segment, score = torch.tensor([[[0.0, 1.0], [0.0, 0.5]]]), torch.tensor([[0.5, bad]])
    for call in (
        lambda s, v: nms_segments(s, v, threshold=0.5),
        lambda _, v: top_segments(v),
        soft_nms_segments,
    ):
        with pytest.raises(GraphError, match="score: expected finite"):
            call(segment, score)
    segment[0, 1, 1] = bad
    with pytest.raises(GraphError, match="segment: expected finite"):
        nms_segments(segment, torch.zeros(1, 2), threshold=0.5)
    # unless the mask leaves them out
    mask = torch.tensor([[True, False]])
    assert nms_segments(segment, score, mask, threshold=0.5).tolist() == [[0]]


def test_wrong_options_and_shapes_are_errors():
    segment, score = torch.zeros(1, 2, 2), torch.zeros(1, 2)
    with pytest.raises(ConfigError, match="did you mean 'last'"):
        nms_segments(segment, score, threshold=0.5, equal="lst")
    with pytest.raises(ConfigError, match="threshold from 0"):
        nms_segments(segment, score, threshold=-0.1)
    with pytest.raises(ConfigError, match="top from 1"):
        top_segments(score, top=0)
    with pytest.raises(ConfigError, match="spread above 0"):
        soft_nms_segments(segment, score, spread=0.0)
    with pytest.raises(GraphError, match=r"segment: expected \[1, 2, 2\]"):
        nms_segments(segment[:, :1], score, threshold=0.5)
    with pytest.raises(GraphError, match=r"mask: expected \[1, 2\]"):
        top_segments(score, torch.ones(1, 1, dtype=torch.bool))
    with pytest.raises(GraphError, match="expected floats"):
        top_segments(torch.zeros(1, 2, dtype=torch.int64))
