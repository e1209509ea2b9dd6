"""The protocols, against recalls counted by hand and against each other."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from graphmatch.encoded import Encoded
from graphmatch.errors import ConfigError, GraphError
from graphmatch.evaluate import (
    average_scores,
    evaluate_folds,
    evaluate_scores,
    evaluate_tiles,
    evaluate_unique,
    split_folds,
)
from graphmatch.models.scan import SCAN, SCANConfig
from graphmatch.ranks import Ranks
from graphmatch.retrieval_report import RetrievalReport
from graphmatch.scoring import score_matrix, score_tiles
from graphmatch.unique_captions import unique_captions


@pytest.fixture
def five():
    """Scores of 20 items with five captions each, of a model that has learnt something."""
    torch.manual_seed(0)
    owner = torch.arange(100) // 5
    scores = torch.randn(20, 100)
    scores[owner, torch.arange(100)] += 1
    return scores, owner


def official(scores):
    """Recalls as SCAN's evaluation computes them: i2t, then t2i."""
    scores = scores.numpy()
    rows = []
    for item, row in enumerate(scores):
        order = np.argsort(row)[::-1]
        rows.append(min(int(np.where(order == 5 * item + n)[0][0]) for n in range(5)))
    columns = [
        int(np.where(np.argsort(column)[::-1] == caption // 5)[0][0])
        for caption, column in enumerate(scores.T)
    ]
    return [
        100.0 * len(np.where(np.array(found) < k)[0]) / len(found)
        for found in (rows, columns)
        for k in (1, 5, 10)
    ]


def recalls(report):
    return [r for way in (report.i2t, report.t2i) for r in (way.r1, way.r5, way.r10)]


def test_all_at_once(five):
    report = evaluate_scores(*five)
    assert recalls(report) == pytest.approx(official(five[0]))
    assert report.rsum == pytest.approx(sum(official(five[0])))
    assert (report.visual, report.text, report.i2t.queries, report.t2i.queries) == (
        20,
        100,
        20,
        100,
    )
    assert evaluate_scores(five[0].numpy(), five[1].tolist(), ties="scan").rsum == report.rsum


def test_five_folds(five):
    scores, owner = five
    report = evaluate_folds(scores, owner, folds=5)
    folds = [official(scores[4 * f : 4 * f + 4, 20 * f : 20 * f + 20]) for f in range(5)]
    assert recalls(report) == pytest.approx(np.mean(folds, axis=0).tolist())
    assert report.rsum == pytest.approx(np.mean(folds, axis=0).sum())
    assert (report.folds, report.visual, report.text) == (5, 20, 100)
    alone = [
        evaluate_scores(scores[fold.items][:, fold.captions], fold.owner)
        for fold in split_folds(owner, visual=20)
    ]
    assert RetrievalReport.mean(alone) == report
    assert evaluate_folds(scores, owner, folds=1) == evaluate_scores(scores, owner)


def test_medians_are_rounded_down_in_each_fold():
    scores = torch.zeros(4, 4)  # equal scores: ranks 1 and 2 in both folds, median 1.5
    assert evaluate_folds(scores, range(4), folds=2).i2t.median_rank == 1.5
    assert evaluate_folds(scores, range(4), folds=2, median="floor").i2t.median_rank == 1


def test_folds_of_captions_in_any_order_and_number():
    torch.manual_seed(1)
    owner = torch.tensor([3, 0, 2, 3, 1, 0, 3])
    folds = split_folds(owner, visual=4, folds=2)
    assert [fold.items.tolist() for fold in folds] == [[0, 1], [2, 3]]
    assert [fold.captions.tolist() for fold in folds] == [[1, 4, 5], [0, 2, 3, 6]]
    assert [fold.owner.tolist() for fold in folds] == [[0, 1, 0], [1, 0, 1, 1]]
    for folds in (0, 3):
        with pytest.raises(ConfigError, match=f"divide 4 items .got {folds}"):
            split_folds(owner, visual=4, folds=folds)
    with pytest.raises(GraphError, match="item of each caption"):
        evaluate_folds(torch.zeros(4, 2), torch.zeros(2, 3, dtype=torch.int64), folds=2)
    with pytest.raises(GraphError, match="item of each of 9"):
        evaluate_folds(torch.zeros(4, 9), owner, folds=2)


def test_items_without_captions_stay_in_the_gallery():
    scores = torch.tensor([[0.9, 0.1], [0.5, 0.5], [0.95, 0.4]])
    report = evaluate_scores(scores, [0, 1])
    assert (report.i2t.queries, report.i2t.skipped) == (2, 1)
    assert (report.t2i.queries, report.t2i.skipped) == (2, 0)
    assert report.t2i.mean_rank == 1.5  # item 2 is before item 0
    assert "left out without a right answer: 1 visual, 0 text" in str(report)
    with pytest.raises(GraphError, match="none of 3"):
        evaluate_scores(torch.zeros(3, 0), [])


def test_a_gallery_smaller_than_k():
    report = evaluate_scores(torch.tensor([[0.0, 1.0], [1.0, 0.0]]), [0, 1])
    assert recalls(report) == [0, 100, 100, 0, 100, 100]


def test_tiles(five):
    scores, owner = five
    tiles = [
        (rows, columns, scores[rows][:, columns])
        for rows in torch.randperm(20).split(7)
        for columns in torch.randperm(100).split(33)
    ]
    with pytest.raises(GraphError, match="cover"):
        evaluate_tiles(lambda: tiles[1:], owner, shape=(20, 100))
    columns = torch.randperm(100)
    tiles = [(rows, columns, scores[rows][:, columns]) for rows in torch.randperm(20).split(7)]
    report = evaluate_tiles(lambda: tiles, owner, shape=(20, 100), median="floor")
    assert report == evaluate_scores(scores, owner, median="floor")
    own = scores[owner, torch.arange(100)]
    assert evaluate_tiles(lambda: tiles, owner, shape=(20, 100), own=own) == evaluate_scores(*five)


def test_tiles_of_a_matcher():
    torch.manual_seed(3)
    model = SCAN(SCANConfig(vocabulary=9, feature_size=4, word_size=4, embed_size=8))
    count = torch.randint(1, 6, (90,))
    mask = torch.arange(5) < count[:, None]  # [90, 5]; tiles are in the order of these counts
    nodes = functional.normalize(torch.randn(90, 5, 8), dim=2) * mask.unsqueeze(2)
    text = Encoded(nodes=nodes, mask=mask)
    visual, owner = text[torch.arange(0, 90, 3)], torch.arange(90) // 3

    def tiles():
        return score_tiles(model, visual, text)

    with torch.no_grad():
        report = evaluate_tiles(tiles, owner, shape=(30, 90))
        assert report == evaluate_scores(score_matrix(model, visual, text), owner)
    assert report.i2t.r1 > 50  # each item is one of its own captions


TEXTS = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 3)), min_size=1, max_size=12)


@given(TEXTS, st.integers(0, 1000))
def test_unique_captions(captions, seed):
    texts, owner = [text for text, _ in captions], [item for _, item in captions]
    unique = unique_captions(texts, owner)
    assert list(unique.texts) == sorted(set(texts), key=texts.index)
    assert [texts[n] for n in unique.first] == list(unique.texts)
    pairs = {(item, unique.texts[place]) for item, place in unique.relevant.T.tolist()}
    assert pairs == {(item, text) for text, item in captions}
    assert unique.relevant.size(1) == len(pairs)
    # equal texts have equal scores; rank = 1 + distinct texts that are better
    torch.manual_seed(seed)
    by_text = dict(zip("abcdef", torch.rand(6, 4), strict=True))
    scores = torch.stack([by_text[text] for text in texts], dim=1)
    report = evaluate_unique(scores, texts, owner)
    best = []
    for item in set(owner):
        own = max(by_text[text][item] for text, n in captions if n == item)
        best.append(1 + sum(bool(by_text[text][item] > own) for text in set(texts)))
    assert report.i2t.mean_rank == pytest.approx(sum(best) / len(best))
    best = []
    for text in set(texts):
        own = max(by_text[text][n] for t, n in captions if t == text)
        best.append(1 + int((by_text[text] > own).sum()))
    assert report.t2i.mean_rank == pytest.approx(sum(best) / len(best))
    assert report.text == len(set(texts))


def test_bad_unique_captions():
    with pytest.raises(GraphError, match="item of each of 1"):
        unique_captions(["a"], [0, 1])
    with pytest.raises(GraphError, match="scores of 2 captions"):
        evaluate_unique(torch.zeros(2, 3), ["a", "b"], [0, 1])
    with pytest.raises(GraphError, match="items from 0"):
        evaluate_unique(torch.zeros(2, 2), ["a", "b"], [0, 2])


def test_ensembles():
    first, second = torch.rand(2, 3), torch.rand(2, 3)
    kept = first.clone()
    assert torch.equal(average_scores([first, second]), (first + second) / 2)
    assert torch.equal(first, kept)
    mixed = average_scores([first, second.double(), first.numpy()])
    assert mixed.dtype == torch.float64
    torch.testing.assert_close(mixed, (2 * first.double() + second) / 3)
    for bad in ([], [first, second.T]):
        with pytest.raises(GraphError, match="one shape"):
            average_scores(bad)


def test_report_as_text_and_json(five):
    report = evaluate_folds(*five, median="floor", ties="hgr")
    content = json.loads(report.to_json())
    assert content["rsum"] == pytest.approx(report.rsum)
    assert content["i2t"]["r1"] == report.i2t.r1
    assert (content["ties"], content["median"], content["folds"]) == ("hgr", "floor", 5)
    lines = str(report).splitlines()
    assert len({len(line) for line in lines[:3]}) == 1
    assert "20 visual, 100 text; ties: hgr; median rounded down" in lines[3]
    assert lines[3].endswith("mean of 5 folds")


def test_bad_reports():
    found = Ranks(torch.tensor([1]), torch.tensor([1]))
    with pytest.raises(ConfigError, match="exact, floor"):
        RetrievalReport.from_ranks(found, median="scan")
    one, two = (RetrievalReport.from_ranks(found, median=name) for name in ("exact", "floor"))
    for reports in ([], [one, two]):
        with pytest.raises(GraphError, match="one rule"):
            RetrievalReport.mean(reports)


def test_constant_scores_are_no_success():
    report = evaluate_scores(torch.zeros(50, 250), torch.arange(250) // 5)
    assert report.t2i.r1 == 2
    assert report.i2t.r1 == 2
