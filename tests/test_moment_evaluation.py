"""`evaluate_moment_files`, `blind_recalls`, `moment_intervals`."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from graphmatch.checkpoint import load_checkpoint, save_checkpoint
from graphmatch.datasets.captions import Caption
from graphmatch.errors import ConfigError
from graphmatch.evaluation_report import Resampling
from graphmatch.feature_store import FeatureStore
from graphmatch.moment_blind import blind_recalls, timed_queries
from graphmatch.moment_evaluation import evaluate_moment_files, moment_intervals
from graphmatch.moment_metrics import evaluate_moments
from graphmatch.moment_prediction import predict_moments
from graphmatch.moment_protocol import MomentProtocol
from graphmatch.query_file import read_queries
from tests.moment_world import VIDEOS, VOCABULARY, data_set, make_drn, make_queries, make_videos
from tests.naive_moments import iou as naive_iou
from tests.tiny_models import tiny_model, tiny_vocabulary


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    make_videos(folder / "clips")
    model = make_drn(score_threshold=0.0)  # it has learned nothing, and answers all the same
    for name, value in model.state_dict().items():
        if name.startswith("heads") and name.endswith("weight"):
            value.mul_(20)
    save_checkpoint(folder / "drn", model, VOCABULARY)
    save_checkpoint(folder / "scan", tiny_model("scan"), tiny_vocabulary())
    return folder


def evaluate(folder, numbers=range(VIDEOS), *more, **options):
    data = data_set(numbers)
    data = type(data)(name="tiny", visuals=data.visuals, captions=(*data.captions, *more))
    store = FeatureStore(folder / "clips")
    return evaluate_moment_files(folder / "drn", data, store, **options)


def test_the_report_is_that_of_its_parts(folder):
    broken = Caption(id="x", owner="v0", text="person uses a door.", moment=(5.0, 2.0))
    unseen = Caption(id="y", owner="v99", text="person uses a door.", moment=(5.0, 9.0))
    found = evaluate(folder, range(VIDEOS), broken, unseen, train=data_set(range(8)))
    model, _ = load_checkpoint(folder / "drn")
    queries = make_queries(FeatureStore(folder / "clips"), range(VIDEOS))
    moments = predict_moments(model, queries)
    report = evaluate_moments(moments.segment, moments.score, queries.moment, moments.mask)
    assert (found.report.recall, found.report.miou) == (report.recall, report.miou)
    assert (found.report.queries, found.report.skipped, found.videos) == (48, 2, 24)
    assert [key for key, _ in found.skipped] == ["x", "y"]
    assert found.failed == 2  # the second is about a video that the data set lacks
    for n in (1, 5):
        for level in (0.3, 0.5, 0.7):
            one = found.intervals[f"R@{n} IoU {level:g}"]
            assert one.value == pytest.approx(report.recall_at(n, level))
            assert one.low <= one.value <= one.high
    text = str(found)
    assert "rules that see no video:\n  one constant segment: R@1 IoU 0.3 " in text
    assert "2 queries left out:" in text
    assert found.content()["blind"]["one constant segment"].keys() >= {"R@1 IoU 0.5", "mIoU"}


def test_large_products_in_bfloat16(folder):
    one, two = (evaluate(folder, dtype=dtype).report for dtype in ("fp32", "bf16"))
    assert one.miou == pytest.approx(two.miou, abs=3)
    assert "--train-queries" in str(evaluate(folder, resampling=Resampling(resamples=0)))


def test_matchers_are_refused(folder):
    store = FeatureStore(folder / "clips")
    with pytest.raises(ConfigError, match=r"expected one of drn \(got scan"):
        evaluate_moment_files(folder / "scan", data_set([0]), store)


def test_intervals_are_those_of_drawn_videos():
    random = np.random.default_rng(0)
    owner = torch.from_numpy(np.repeat(np.arange(40), random.integers(1, 5, 40)))
    iou = torch.from_numpy(random.random(len(owner)))
    rules = MomentProtocol(at=(1,), ious=(0.5,))
    hits = (iou >= 0.5).view(-1, 1, 1)
    how = Resampling(resamples=4000)
    found = moment_intervals(hits, iou, owner, protocol=rules, resampling=how)
    drawn = []
    for _ in range(2000):
        rows = [k for video in random.integers(0, 40, 40) for k in np.flatnonzero(owner == video)]
        drawn.append([100 * hits[rows].double().mean(), 100 * iou[rows].mean()])
    low, high = np.quantile(np.array(drawn), [0.025, 0.975], axis=0)
    for k, name in enumerate(("R@1 IoU 0.5", "mIoU")):
        assert found[name].low == pytest.approx(low[k], abs=1)
        assert found[name].high == pytest.approx(high[k], abs=1)
    assert found["mIoU"].value == pytest.approx(100 * float(iou.mean()))


def test_rules_that_see_no_video_equal_loops():
    random = np.random.default_rng(1)
    ends = np.sort(random.integers(0, 51, (60, 2)), axis=1) / 50
    ends[:, 1] += (ends[:, 0] == ends[:, 1]) / 50
    sentences = ["the door opens", "a cup falls"] * 30
    timed = (sentences, torch.from_numpy(ends))
    rules = MomentProtocol(at=(1, 2), ious=(0.5,))
    found = blind_recalls(timed, timed, protocol=rules)
    grid = [(a / 50, b / 50) for a in range(51) for b in range(a + 1, 51)]

    def rate(rows, segment):
        return sum(naive_iou(segment, ends[row].tolist()) >= 0.5 for row in rows)

    every = range(60)
    best = max(rate(every, segment) for segment in grid)
    assert found["one constant segment"]["R@1 IoU 0.5"] == pytest.approx(100 * best / 60)
    by_word = sum(max(rate(rows, s) for s in grid) for rows in (every[::2], every[1::2]))
    words = found["constant by first content word"]
    assert words["R@1 IoU 0.5"] == pytest.approx(100 * by_word / 60)
    assert found["2 constant segments"]["R@2 IoU 0.5"] >= 100 * best / 60


@pytest.mark.slow
def test_blind_rules_of_charades_sta(data):
    """What the README of the data measured on the same 2,605 queries."""
    folder = data / "charades_sta"
    parts = [
        timed_queries(
            read_queries(
                folder / f"Charades_sta_{name}.txt", durations=folder / "Charades_duration.json"
            )
        )
        for name in ("train", "test")
    ]
    assert [len(sentences) for sentences, _ in parts] == [12404, 2605]
    found = blind_recalls(*parts)
    one = found["one constant segment"]
    assert [one[f"R@1 IoU {m}"] for m in (0.3, 0.5, 0.7)] == pytest.approx(
        [49.3, 30.9, 16.8], abs=0.6
    )
    words = found["constant by first content word"]
    # there the segment for IoU 0.5 stands for all, and finds 49.8 and 17.9 at the others
    assert words["R@1 IoU 0.5"] == pytest.approx(35.7, abs=0.6)
    assert words["R@1 IoU 0.3"] > 49.8
    assert words["R@1 IoU 0.7"] > 17.9
    assert words["mIoU"] == pytest.approx(33.5, abs=0.6)
    assert found["5 constant segments"]["R@5 IoU 0.5"] == pytest.approx(84.3, abs=1)
