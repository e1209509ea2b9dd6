"""Decoding against plain loops."""

from __future__ import annotations

import pytest
import torch

from graphmatch.errors import ConfigError, GraphError
from graphmatch.moment_decoding import Moments, decode_moments
from graphmatch.nn.moment_targets import level_points
from tests import naive_moments as naive

POINTS = level_points(32)


def heads(queries=5, clips=32, seed=1, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    count = len(level_points(clips).level)
    logit, iou = torch.randn(2, queries, count, generator=generator, dtype=dtype) * 3 - 1
    distance = torch.randn(queries, count, 2, generator=generator, dtype=dtype).exp() * 4
    return logit, distance, iou


def expected(logit, distance, iou, points=POINTS, **options):
    return [
        naive.decode(
            list(
                zip(
                    points.level.tolist(),
                    points.location.tolist(),
                    logit[row].sigmoid().tolist(),
                    iou[row].sigmoid().tolist(),
                    distance[row, :, 0].tolist(),
                    distance[row, :, 1].tolist(),
                    strict=True,
                )
            ),
            **options,
        )
        for row in range(len(logit))
    ]


def rows(moments):
    return [
        [
            (*segment, score, level)
            for segment, score, level, there in zip(*columns, strict=True)
            if there
        ]
        for columns in zip(
            moments.segment.tolist(),
            moments.score.tolist(),
            moments.level.tolist(),
            moments.mask.tolist(),
            strict=True,
        )
    ]


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("candidates", [32, 3])
def test_decoding_is_that_of_a_loop(fused, candidates):
    logit, distance, iou = heads()
    logit[2] = -9  # falls back to the whole video
    moments = decode_moments(
        logit,
        distance,
        POINTS,
        scale=32.0,
        iou_logit=iou if fused else None,
        candidates=candidates,
    )
    wanted = expected(logit, distance, iou, fused=fused, candidates=candidates)
    for found, loop in zip(rows(moments), wanted, strict=True):
        assert found == [pytest.approx(one, abs=1e-12) for one in loop]
    assert rows(moments)[2] == [(0.0, 1.0, 1.0, -1)]
    assert moments.location[2, 0] == 0.5
    assert moments.score.dtype == torch.float64


def test_the_threshold_is_strict_and_looks_at_the_matching_alone():
    logit = torch.full((1, 56), -9.0)
    logit[0, 3] = 0.0
    iou = torch.full((1, 56), 9.0)
    at = decode_moments(logit, torch.ones(1, 56, 2), POINTS, scale=32.0, threshold=0.5)
    assert at.level.amax() == -1
    below = decode_moments(
        logit, torch.ones(1, 56, 2), POINTS, scale=32.0, iou_logit=iou, threshold=0.49
    )
    assert below.mask.nonzero().tolist() == [[0, 3]]


def test_of_equal_scores_the_earlier_points_of_a_level_are_kept():
    moments = decode_moments(
        torch.zeros(1, 56), torch.ones(1, 56, 2), POINTS, scale=32.0, candidates=2
    )
    assert moments.mask[0].nonzero()[:, 0].tolist() == [0, 1, 32, 33, 48, 49]


def test_an_item_does_not_depend_on_the_others(assert_close):
    logit, distance, iou = heads(dtype=torch.float32)
    together = decode_moments(logit, distance, POINTS, scale=32.0, iou_logit=iou)
    for row in range(len(logit)):
        one = slice(row, row + 1)
        alone = decode_moments(logit[one], distance[one], POINTS, scale=32.0, iou_logit=iou[one])
        assert torch.equal(alone.mask[0], together.mask[row])
        for name in ("segment", "score", "location"):
            assert_close(getattr(alone, name)[0], getattr(together, name)[row])


def test_points_outside_a_shorter_video_do_not_count():
    """Padded to 8 clips, a video of 4 clips gives what it gives alone."""
    long, short = level_points(8), level_points(4)
    there = torch.cat([torch.arange(n) < m for n, m in ((8, 4), (4, 2), (2, 1))])
    logit, distance, iou = heads(queries=2, clips=8)
    logit[:, ~there], distance[:, ~there] = torch.nan, torch.nan
    padded = decode_moments(
        logit,
        distance,
        long,
        scale=torch.tensor([4.0, 4.0]),
        iou_logit=iou,
        mask=there.expand(2, -1),
    )
    alone = decode_moments(
        logit[:, there], distance[:, there], short, scale=4.0, iou_logit=iou[:, there]
    )
    for found, wanted in zip(rows(padded), rows(alone), strict=True):
        assert found == [pytest.approx(one, abs=1e-12) for one in wanted]
    assert padded.score.isfinite().all()
    assert padded.segment.isfinite().all()


def test_moments_are_longer_than_0_and_inside_the_video():
    logit, distance, _ = heads(queries=50, dtype=torch.float32)
    moments = decode_moments(logit, distance, POINTS, scale=32.0)
    start, end = moments.segment[moments.mask].unbind(-1)
    location = moments.location[moments.mask]
    assert bool(((start >= 0) & (start < location) & (location < end) & (end <= 1)).all())


def test_half_precision_is_decoded_in_float32():
    logit, distance, iou = (x.bfloat16() for x in heads())
    moments = decode_moments(logit, distance, POINTS, scale=32.0, iou_logit=iou)
    exact = decode_moments(
        logit.float(), distance.float(), POINTS, scale=32.0, iou_logit=iou.float()
    )
    assert moments.score.dtype == torch.float32
    assert rows(moments) == rows(exact)


def test_seconds_and_batches_together():
    logit, distance, _ = heads()
    whole = decode_moments(logit, distance, POINTS, scale=32.0)
    parts = [
        decode_moments(logit[part], distance[part], POINTS, scale=32.0)
        for part in (slice(0, 2), slice(2, 5))
    ]
    small = decode_moments(logit[:1, :7], distance[:1, :7], level_points(4), scale=4.0)
    both = Moments.cat([*parts, small])
    assert rows(both) == rows(whole) + rows(small)
    assert both.level[-1, 7:].tolist() == [-1] * 49
    duration = torch.tensor([10.0, 20.0, 30.0, 40.0, 10800.0])
    assert torch.equal(whole.seconds(duration)[4], whole.segment[4] * 10800)
    with pytest.raises(GraphError, match=r"duration: expected \[5\]"):
        whole.seconds(duration[:2])
    with pytest.raises(GraphError, match="got none"):
        Moments.cat([])


def test_broken_input_is_an_error():
    logit, distance, iou = heads()
    for bad in (torch.nan, torch.inf):
        broken = logit.clone()
        broken[1, 2] = bad
        with pytest.raises(GraphError, match="finite logits"):
            decode_moments(broken, distance, POINTS, scale=32.0)
        with pytest.raises(GraphError, match="finite logits"):
            decode_moments(logit, distance, POINTS, scale=32.0, iou_logit=broken)
    for bad in (torch.nan, -1.0):
        broken = distance.clone()
        broken[0, 0, 1] = bad
        with pytest.raises(GraphError, match="distances from 0"):
            decode_moments(logit, broken, POINTS, scale=32.0)
    with pytest.raises(GraphError, match=r"logit: expected \[Q, 56\]"):
        decode_moments(logit[:, :3], distance, POINTS, scale=32.0)
    with pytest.raises(GraphError, match=r"distance: expected \[5, 56, 2\]"):
        decode_moments(logit, distance[:2], POINTS, scale=32.0)
    with pytest.raises(GraphError, match=r"mask: expected \[5, 56\]"):
        decode_moments(logit, distance, POINTS, scale=32.0, mask=iou[:1] > 0)
    with pytest.raises(ConfigError, match="candidates from 1"):
        decode_moments(logit, distance, POINTS, scale=32.0, candidates=0)
