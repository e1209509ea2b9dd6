"""DRN's decoding, suppression and metrics against golden vectors."""

from __future__ import annotations

import re

import pytest
import torch

from graphmatch.moment_decoding import decode_moments
from graphmatch.moment_metrics import best_iou, evaluate_moments
from graphmatch.moment_protocol import MomentProtocol
from graphmatch.nn.moment_targets import Points
from graphmatch.nn.segment_iou import segment_iou
from graphmatch.nn.segment_nms import nms_segments, top_segments

_RECALL = re.compile(r"R@(\d+),IoU=([\d.]+)")
_PICKS = re.compile(r"iou([\d.]+)\.item(\d+)")
_MARGIN = 0.05


def check_postprocess(case, assert_close):
    tensors, content = case.tensors, case.content
    config = content["config"]
    counts = []
    while f"in.logits{len(counts)}" in tensors:
        counts.append(tensors[f"in.logits{len(counts)}"].size(-1))
    heads = {
        name: torch.cat([tensors[f"in.{name}{level}"] for level in range(len(counts))], dim=-1)
        for name in ("logits", "bbox_reg", "iou_logits")
    }  # [B, 1 or 2, P]
    points = grid(counts, config["scale"])
    stages = {"stage1": None, "stage3": heads["iou_logits"][:, 0]}
    assert {*content["metrics"]} == {*stages} == {*content["nms_picks"]}
    for stage, iou_logit in stages.items():
        moments = decode_moments(
            heads["logits"][:, 0],
            heads["bbox_reg"].transpose(1, 2),
            points,
            scale=float(config["scale"]),
            iou_logit=iou_logit,
            threshold=config["score_threshold"],
            candidates=config["pre_nms_top_n"],
        )
        check_same_moments(moments, tensors, f"out.{stage}", assert_close)
        order = top_segments(moments.score, moments.mask)
        for key, expected in content["nms_picks"][stage].items():
            level, number = _PICKS.fullmatch(key).groups()
            check_picks(moments, order, int(number), float(level), expected)
        truth = tensors["in.gt_start_end"]
        check_recall(content["metrics"][stage], moments.segment, moments.score, truth, moments.mask)


def check_decoded(grounding, config, tensors, assert_close, *, first):
    """Moments of a forward pass; the first stage does not look at the IoU."""
    moments = decode_moments(
        grounding.found.match,
        grounding.found.distance,
        grounding.points,
        scale=grounding.scale,
        iou_logit=None if first else grounding.found.iou,
        mask=grounding.mask,
        threshold=config.score_threshold,
        candidates=config.candidates,
    )
    check_same_moments(moments, tensors, "out.eval", assert_close)


def check_same_moments(moments, tensors, prefix, assert_close):
    assert f"{prefix}.det{len(moments)}" not in tensors
    for number, there in enumerate(moments.mask):
        expected = {
            name: tensors[f"{prefix}.{name}{number}"] for name in ("det", "score", "loc", "level")
        }
        assert torch.equal(moments.level[number][there], expected["level"])
        assert_close(moments.segment[number][there], expected["det"])
        assert_close(moments.score[number][there], expected["score"])
        assert_close(moments.location[number][there], expected["loc"])


def grid(counts, scale):
    """Points of levels of so many points each, in the middle of equal parts of the video."""
    location = [(torch.arange(count) + 0.5) * (scale / count) for count in counts]
    level = [torch.full((count,), number) for number, count in enumerate(counts)]
    return Points(torch.cat(location), torch.cat(level))


def check_picks(moments, order, number, level, expected):
    """`expected` counts the moments in the order of their scores."""
    place = {int(k): rank for rank, k in enumerate(order[number]) if k >= 0}
    one = slice(number, number + 1)
    picks = nms_segments(
        moments.segment[one].double(),
        moments.score[one].double(),
        moments.mask[one],
        threshold=level - _MARGIN,
    )
    assert [place[k] for k in picks[0].tolist()] == expected, (number, level)


def check_metrics(case, assert_close):
    queries, expected = case.content["input"], case.content["expected"]
    most = max(len(query["predictions"]) for query in queries)
    table = torch.zeros(len(queries), most, 3, dtype=torch.float64)
    mask = torch.zeros(len(queries), most, dtype=torch.bool)
    for number, query in enumerate(queries):
        count = len(query["predictions"])
        if count:
            table[number, :count] = torch.tensor(query["predictions"], dtype=torch.float64)
        mask[number, :count] = True
    truth = torch.tensor([query["gt"] for query in queries], dtype=torch.float64)
    segment, score = table[..., :2], table[..., 2]
    check_recall(expected, segment, score, truth, mask)
    order = top_segments(score, mask)
    for number, query in enumerate(expected["per_query"]):
        kept = order[number][order[number] >= 0]
        ordered = segment[number][kept]
        wanted = torch.tensor(query["sorted_predictions"], dtype=torch.float64).view(-1, 3)
        assert torch.equal(ordered, wanted[:, :2])
        iou = torch.tensor(query["iou_of_sorted"], dtype=torch.float64)
        assert_close(segment_iou(ordered, truth[number]), iou.clamp(min=0), "float64")
        place = {int(k): rank for rank, k in enumerate(kept)}
        for level, picks in query["nms_picks"].items():
            one = slice(number, number + 1)
            found = nms_segments(
                segment[one], score[one], mask[one], threshold=float(level) - _MARGIN
            )
            assert [place[k] for k in found[0].tolist()] == picks, (number, level)


def check_recall(expected, segment, score, truth, mask):
    """Every number of a table, with and without suppression."""
    for name, nms in (("with_nms", "hard"), ("without_nms", "none")):
        numbers = {_RECALL.fullmatch(key).groups(): value for key, value in expected[name].items()}
        rules = MomentProtocol(
            at=tuple(sorted({int(n) for n, _ in numbers})),
            ious=tuple(sorted({float(level) for _, level in numbers})),
            nms=nms,
        )
        report = evaluate_moments(segment, score, truth, mask, protocol=rules)
        for (n, level), value in numbers.items():
            assert report.recall_at(int(n), float(level)) == pytest.approx(100 * value), (name, n)
        assert report.miou == pytest.approx(100 * expected["mIoU_top1"])
    mean = best_iou(segment, score, truth, mask).mean()
    assert float(mean) == pytest.approx(expected["mIoU_top1"])


FAMILIES = {("drn", "postprocess"): check_postprocess, ("drn", "metrics"): check_metrics}
