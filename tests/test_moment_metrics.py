"""Recall of moments against plain loops; the report."""

from __future__ import annotations

import json
import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphmatch.clips.moments import moment_share
from graphmatch.datasets.charades_sta import read_charades_sta
from graphmatch.errors import ConfigError, GraphError
from graphmatch.moment_metrics import best_iou, evaluate_moments, moment_hits
from graphmatch.moment_protocol import MomentProtocol
from tests import naive_moments as naive

BOUNDS = st.tuples(st.integers(0, 8), st.integers(0, 8)).map(sorted)
MOMENT = st.tuples(BOUNDS, st.integers(0, 4)).map(lambda m: (m[0][0] / 8, m[0][1] / 8, m[1] / 4))
TRUTH = st.tuples(st.integers(0, 8), st.integers(0, 8)).map(lambda t: (t[0] / 8, t[1] / 8))
QUERIES = st.lists(st.tuples(TRUTH, st.lists(MOMENT, max_size=7)), min_size=1, max_size=4)
EVERY = MomentProtocol(at=(1, 2, 5), ious=(0.1, 0.3, 0.5, 0.7))


def tensors(queries):
    most = max(len(moments) for _, moments in queries)
    table = torch.zeros(len(queries), most, 3, dtype=torch.float64)
    mask = torch.zeros(len(queries), most, dtype=torch.bool)
    for row, (_, moments) in enumerate(queries):
        if moments:
            table[row, : len(moments)] = torch.tensor(moments, dtype=torch.float64)
        mask[row, : len(moments)] = True
    truth = torch.tensor([truth for truth, _ in queries], dtype=torch.float64)
    return table[..., :2], table[..., 2], truth, mask


def many(count, moments=56, seed=4):
    generator = torch.Generator().manual_seed(seed)
    middle, width, score = torch.rand(3, count, moments, generator=generator)
    segment = torch.stack((middle - width / 4, middle + width / 4), dim=-1).clamp(0, 1)
    true_middle, true_width = torch.rand(2, count, generator=generator)
    truth = torch.stack((true_middle - true_width / 4, true_middle + true_width / 4), dim=-1)
    return segment, score, truth.clamp(0, 1)


@given(QUERIES, st.booleans())
def test_report_is_that_of_a_loop(queries, suppress):
    rules = MomentProtocol(at=EVERY.at, ious=EVERY.ious, nms="hard" if suppress else "none")
    report = evaluate_moments(*tensors(queries), protocol=rules)
    moments, truths = [moments for _, moments in queries], [truth for truth, _ in queries]
    for level in rules.ious:
        for n in rules.at:
            wanted = 100 * naive.recall(moments, truths, n, level, suppress=suppress)
            assert report.recall_at(n, level) == pytest.approx(wanted)
    assert report.miou == pytest.approx(100 * naive.mean_iou(moments, truths))


@given(QUERIES)
def test_recall_grows_with_n_and_falls_with_m_if_nothing_is_suppressed(queries):
    for nms in ("hard", "soft", "none"):
        rules = MomentProtocol(at=EVERY.at, ious=EVERY.ious, nms=nms)
        hits = moment_hits(*tensors(queries), protocol=rules).int()  # [Q, M, A]
        assert bool((hits.diff(dim=2) >= 0).all())
        if nms != "hard":
            assert bool((hits.diff(dim=1) <= 0).all())


def test_a_hit_at_the_very_edge():
    segment, score = torch.tensor([[[0.0, 0.5]]]), torch.tensor([[1.0]])
    truth = torch.tensor([[0.0, 1.0]])
    for strict, wanted in ((False, 100.0), (True, 0.0)):
        rules = MomentProtocol(ious=(0.5,), strict=strict)
        assert evaluate_moments(segment, score, truth, protocol=rules).recall_at(1, 0.5) == wanted


def test_who_of_equal_scores_is_first():
    segment = torch.tensor([[[0.0, 0.4], [0.6, 1.0]]])
    score, truth = torch.ones(1, 2), torch.tensor([[0.0, 0.4]])
    for nms, equal, wanted in (
        ("hard", "official", 0.0),
        ("hard", "first", 100.0),
        ("none", "official", 100.0),
    ):
        rules = MomentProtocol(nms=nms, equal=equal)
        report = evaluate_moments(segment, score, truth, protocol=rules)
        assert report.recall_at(1, 0.5) == wanted
        assert report.recall_at(5, 0.5) == 100.0
        assert report.miou == pytest.approx(100.0)


def test_soft_suppression_brings_another_moment_forward():
    segment = torch.tensor([[[0.0, 0.5], [0.01, 0.5], [0.6, 0.9]]])
    score, truth = torch.tensor([[0.9, 0.8, 0.5]]), torch.tensor([[0.6, 0.9]])
    found = {
        nms: evaluate_moments(
            segment, score, truth, protocol=MomentProtocol(at=(2,), nms=nms)
        ).recall_at(2, 0.5)
        for nms in ("soft", "none")
    }
    assert found == {"soft": 100.0, "none": 0.0}


def test_queries_without_moments_and_broken_truths_are_never_found():
    segment, score = torch.tensor([[[0.0, 1.0]]] * 3), torch.ones(3, 1)
    truth = torch.tensor([[0.0, 1.0], [0.6, 0.2], [0.5, 0.5]])
    mask = torch.tensor([[False], [True], [True]])
    report = evaluate_moments(segment, score, truth, mask, skipped=2)
    assert (report.miou, *(number for row in report.recall for number in row)) == (0.0,) * 7
    assert "3 queries" in str(report)
    assert "left out: 2 queries" in str(report)
    nothing = torch.zeros(3, 0, 2), torch.zeros(3, 0), truth
    assert evaluate_moments(*nothing).miou == 0.0
    assert not best_iou(*nothing).any()


def test_report_as_json():
    report = evaluate_moments(*many(7))
    content = json.loads(report.to_json())
    assert content["recall"] == [list(row) for row in report.recall]
    assert content["protocol"]["nms"] == "hard"
    assert content["queries"] == 7
    with pytest.raises(ConfigError, match="expected n of"):
        report.recall_at(3, 0.5)


def test_broken_input_is_an_error():
    segment, score, truth = many(3)
    with pytest.raises(GraphError, match="a query or more"):
        evaluate_moments(segment[:0], score[:0], truth[:0])
    with pytest.raises(GraphError, match="truth"):
        evaluate_moments(segment, score, truth[:, :1])
    with pytest.raises(GraphError, match="segment"):
        evaluate_moments(segment[:, :1], score, truth)
    for name, place in (("segment", 0), ("score", 1), ("truth", 2)):
        for rules in ("hard", "soft", "none"):
            broken = [tensor.clone() for tensor in (segment, score, truth)]
            broken[place].view(-1)[0] = torch.nan
            with pytest.raises(GraphError, match=name):
                evaluate_moments(*broken, protocol=MomentProtocol(nms=rules))


@pytest.mark.parametrize(
    "options",
    [
        {"at": ()},
        {"at": (5, 1)},
        {"at": (0, 1)},
        {"ious": ()},
        {"ious": (0.7, 0.5)},
        {"ious": (0.0, 0.5)},
        {"ious": (0.5, 1.5)},
        {"ious": (0.01,)},
        {"margin": -0.1},
        {"nms": "hrad"},
        {"equal": "last"},
    ],
)
def test_impossible_rules_are_refused(options):
    with pytest.raises(ConfigError):
        MomentProtocol(**options)


def test_blind_baselines_of_charades_sta(data):
    """One constant segment, as the README of the data measured it on the same 2,605 queries."""
    folder = data / "charades_sta"
    charades = read_charades_sta(
        folder / "Charades_sta_test.txt", durations=folder / "Charades_duration.json"
    ).usable()
    truth = torch.stack(
        [moment_share(*c.moment, charades.visual(c.owner).duration) for c in charades.captions]
    )
    found = []
    for end, level in ((0.52, 0.3), (0.30, 0.5), (0.36, 0.7)):
        segment = torch.tensor([0.0, end], dtype=torch.float64).expand(len(truth), 1, 2)
        report = evaluate_moments(segment, torch.ones(len(truth), 1), truth)
        found.append(report.recall_at(1, level))
    assert len(truth) == 2605
    assert found == pytest.approx([49.3, 30.9, 16.8], abs=0.1)  # one query is a matter of rounding


@pytest.mark.slow
def test_many_queries_are_much_faster_than_the_loop():
    segment, score, truth = many(1000)
    start = time.perf_counter()
    report = evaluate_moments(segment, score, truth)
    fast = time.perf_counter() - start
    start = time.perf_counter()
    queries = torch.cat((segment, score.unsqueeze(-1)), dim=-1).tolist()
    for n, row in zip((1, 5), zip(*report.recall, strict=True), strict=True):
        for level, found in zip(report.protocol.ious, row, strict=True):
            assert found == pytest.approx(100 * naive.recall(queries, truth.tolist(), n, level))
    assert time.perf_counter() - start > 20 * fast
