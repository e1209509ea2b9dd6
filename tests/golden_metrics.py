"""Metrics and margin ranking losses against golden vectors of SCAN and HGR."""

from __future__ import annotations

import pytest
import torch

from graphmatch.evaluate import evaluate_scores, evaluate_unique
from graphmatch.nn.hinge_loss import hinge_loss
from graphmatch.ranks import ranks
from graphmatch.unique_captions import unique_captions

DIRECTIONS = {"bi": "both", "i2t": "i2t", "t2i": "t2i"}
NEGATIVES = {"hard": "hardest", "mean": "all"}
REDUCTIONS = {"avg": "mean", "sum": "sum"}


def check_retrieval_metrics(case, assert_close):
    tensors = case.tensors
    scores = tensors["in.sims"]
    config = case.content["config"]
    assert len(scores) == config["N"]
    owner = torch.arange(scores.size(1)) // config["captions_per_image"]
    for ties in rules(scores, "scan"):
        found = ranks(scores, owner, ties=ties)
        report = evaluate_scores(scores, owner, ties=ties, median="floor")
        for name, rank, way in (("i2t", found.visual, report.i2t), ("t2i", found.text, report.t2i)):
            assert torch.equal(rank - 1, tensors[f"out.{name}.ranks"].long())
            numbers = [way.r1, way.r5, way.r10, way.median_rank, way.mean_rank]
            actual = torch.tensor(numbers, dtype=torch.float64)
            assert_close(actual, tensors[f"out.{name}.metrics"].double(), "float64")
        assert report.rsum == pytest.approx(float(tensors["out.rsum"]))
    if "first" in rules(scores, "scan"):
        assert torch.equal(scores.argmax(dim=1), tensors["out.i2t.top1"].long())
        assert torch.equal(scores.argmax(dim=0), tensors["out.t2i.top1"].long())


def check_eval_metrics(case, assert_close):
    tensors, content = case.tensors, case.content
    fused = tensors["in.level_scores"].mean(dim=0)  # [videos, unique captions]
    assert_close(fused, tensors["out.fused_scores"])
    fused = tensors["out.fused_scores"]
    columns = {text: place for place, text in enumerate(content["captions"])}
    videos = content["video_names"]
    pairs = [(n, t) for n, video in enumerate(videos) for t in content["ref_captions"][video]]
    owner, texts = [n for n, _ in pairs], [t for _, t in pairs]
    unique = unique_captions(texts, owner)
    right = [set() for _ in videos]
    for video, text in unique.relevant.T.tolist():
        right[video].add(columns[unique.texts[text]])
    if "video_to_caption_gt" in content:
        assert [sorted(captions) for captions in right] == content["video_to_caption_gt"]
    every = fused[:, [columns[text] for text in texts]]
    relevant = torch.tensor([(v, c) for v, captions in enumerate(right) for c in captions]).T
    for ties in rules(fused, "hgr"):
        reports = [
            evaluate_scores(fused, relevant, ties=ties)
        ]  # columns as the official code had them
        if ties == "first":
            reports.append(evaluate_unique(every, texts, owner, ties=ties))
        for report in reports:
            actual = {"rsum": report.rsum}
            for letter, way in (("i", report.t2i), ("c", report.i2t)):
                numbers = (way.r1, way.r5, way.r10, way.median_rank, way.mean_rank)
                names = ("r1", "r5", "r10", "medr", "meanr")
                actual |= {letter + name: n for name, n in zip(names, numbers, strict=True)}
            assert actual == pytest.approx(content["metrics"])


def rules(scores, official):
    """The official order, and ours where no two scores of a row or column are equal."""
    distinct = all(
        bool((view.sort(dim=1).values.diff(dim=1) > 0).all()) for view in (scores, scores.T)
    )
    return (official, "first") if distinct else (official,)


def check_contrastive_loss(case, assert_close):
    tensors = case.tensors
    outputs = {name: value for name, value in tensors.items() if name.startswith("out.loss.")}
    assert outputs
    for name, value in outputs.items():
        scores, loss = compute(name.removeprefix("out.loss."), tensors)
        assert_close(loss.detach().reshape(value.shape), value)
        if name.replace("out.", "grad.", 1) in tensors:
            loss.backward()
            assert_close(scores.grad, tensors[name.replace("out.", "grad.", 1)], "float32 gradient")
    gradients = [name for name in tensors if name.startswith("grad.")]
    assert all(name.replace("grad.", "out.", 1) in outputs for name in gradients)


def compute(name, tensors):
    which, direction, negatives, top, reduction, margin = name.split(".", 5)
    scores = tensors[f"in.{which}"].clone().requires_grad_()
    loss = hinge_loss(
        scores,
        torch.arange(len(scores)),
        margin=float(margin.removeprefix("m")),
        negatives=NEGATIVES[negatives],
        top_k=int(top.removeprefix("top")),
        direction=DIRECTIONS[direction],
        reduction=REDUCTIONS[reduction],
    )
    return scores, loss


FAMILIES = {
    ("scan", "retrieval_metrics"): check_retrieval_metrics,
    ("hgr", "eval_metrics"): check_eval_metrics,
    ("hgr", "contrastive_loss"): check_contrastive_loss,
}
