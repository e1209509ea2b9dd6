"""Suppression against a naive loop over pairs, and what must hold for any boxes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphmatch.errors import GraphError
from graphmatch.regions import nms as module
from graphmatch.regions.nms import best_classes, box_iou, drop_overlapping, nms


def naive_iou(a, b):
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union else 0.0


def naive_nms(box, score, label, iou):
    kept = []
    for i in sorted(range(len(box)), key=lambda i: (-score[i], i)):
        if all(label[i] != label[j] or naive_iou(box[i], box[j]) <= iou for j in kept):
            kept.append(i)
    return kept


def boxes_of(count, seed, scale=40):
    """Small integer boxes, some without area, and scores with ties: products are exact."""
    random = torch.Generator().manual_seed(seed)
    corner = torch.randint(0, scale, (count, 2), generator=random)
    side = torch.randint(0, scale // 2, (count, 2), generator=random)
    box = torch.cat([corner, corner + side], dim=1).float()
    score = torch.randint(0, 16, (count,), generator=random) / 16
    return box, score, torch.randint(0, 3, (count,), generator=random)


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 99))
def test_iou_of_all_pairs(n, m, seed):
    first, second = boxes_of(n, seed)[0], boxes_of(m, seed + 100)[0]
    expected = [[naive_iou(a, b) for b in second.tolist()] for a in first.tolist()]
    torch.testing.assert_close(box_iou(first, second), torch.tensor(expected).reshape(n, m))


def test_iou_of_a_batch_equals_one_by_one():
    first = torch.stack([boxes_of(5, seed)[0] for seed in range(6)]).view(2, 3, 5, 4)
    second = torch.stack([boxes_of(7, seed)[0] for seed in range(10, 13)])  # for both
    together = box_iou(first, second)
    assert together.shape == (2, 3, 5, 7)
    for i in range(2):
        for j in range(3):
            assert torch.equal(together[i, j], box_iou(first[i, j], second[j]))


def test_iou_of_a_box_with_itself_is_exactly_one():
    box = torch.tensor([[0.1, 0.3, 7.7, 9.9], [1e3, 1e3, 4e3, 4e3]])
    assert box_iou(box, box).diag().tolist() == [1, 1]
    assert box_iou(box[:, [0, 1, 0, 1]], box).tolist() == [[0, 0], [0, 0]]


@given(st.integers(0, 60), st.integers(0, 999), st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0]))
def test_naive_loop(count, seed, iou):
    box, score, label = boxes_of(count, seed, scale=20)
    lists = box.tolist(), score.tolist()
    assert nms(box, score, label, threshold=iou).tolist() == naive_nms(*lists, label.tolist(), iou)
    assert nms(box, score, threshold=iou).tolist() == naive_nms(*lists, [0] * count, iou)


def test_blocks_do_not_change_the_result(monkeypatch):
    box, score, label = boxes_of(150, 3)
    expected = naive_nms(box.tolist(), score.tolist(), label.tolist(), 0.3)
    for size in (1, 7, 149, 150, 151):
        monkeypatch.setattr(module, "_BLOCK", size)
        assert nms(box, score, label, threshold=0.3).tolist() == expected
        for top in (0, 1, 10, 999):
            assert nms(box, score, label, threshold=0.3, top=top).tolist() == expected[:top]


def test_long_chain_of_boxes_that_overlap_the_next():
    x = torch.arange(2000.0)
    box = torch.stack([x, x * 0, x + 3, x * 0 + 1], dim=1)  # IoU with the next 1/2, then 1/5
    kept = nms(box, -x, threshold=0.4)
    assert kept.tolist() == list(range(0, 2000, 2))


@given(st.integers(1, 60), st.integers(0, 999))
def test_survivors(count, seed):
    box, score, _ = boxes_of(count, seed)
    kept = nms(box, score, threshold=0.4)
    overlap = box_iou(box[kept], box[kept]).fill_diagonal_(0)
    assert (overlap <= 0.4).all()
    assert (score[kept].diff() <= 0).all()
    assert nms(box[kept], score[kept], threshold=0.4).tolist() == list(range(len(kept)))
    dropped = torch.ones(count, dtype=torch.bool).index_fill(0, kept, False).nonzero()[:, 0]
    for i in dropped:  # each has a reason
        over = box_iou(box[i, None], box[kept])[0] > 0.4
        assert (over & (score[kept] >= score[i])).any()


@given(st.integers(1, 60), st.integers(0, 999))
def test_permutation(count, seed):
    box, _, label = boxes_of(count, seed)
    random = torch.Generator().manual_seed(seed)
    score = torch.randperm(count, generator=random) / count  # no ties
    order = torch.randperm(count, generator=random)
    shuffled = nms(box[order], score[order], label[order], threshold=0.5)
    assert order[shuffled].tolist() == nms(box, score, label, threshold=0.5).tolist()


def test_equal_boxes_and_scores_keep_the_first():
    box = torch.tensor([[0.0, 0.0, 5.0, 5.0]]).repeat(300, 1)
    assert nms(box, torch.full((300,), 0.5), threshold=0.7).tolist() == [0]
    label = torch.arange(300) % 2
    assert nms(box, torch.full((300,), 0.5), label, threshold=0.7).tolist() == [0, 1]


def test_overlap_at_the_threshold_stays():
    box = torch.tensor([[0.0, 0.0, 2.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
    assert nms(box, torch.tensor([1.0, 0.5]), threshold=0.5).tolist() == [0, 1]
    assert nms(box, torch.tensor([1.0, 0.5]), threshold=0.499).tolist() == [0]


@given(st.integers(0, 40), st.integers(0, 999), st.integers(1, 30))
def test_best_classes(count, seed, top):
    box, _, _ = boxes_of(count, seed)
    score = torch.randint(0, 16, (count, 5), generator=torch.Generator().manual_seed(seed)) / 16
    pairs = [(i, c) for i in range(count) for c in range(5) if score[i, c] > 0.3]
    kept = naive_nms(
        [box[i].tolist() for i, _ in pairs],
        [score[i, c].item() for i, c in pairs],
        [c for _, c in pairs],
        0.5,
    )
    row, label = best_classes(box, score, least_score=0.3, threshold=0.5, top=top)
    found = list(zip(row.tolist(), label.tolist(), strict=True))
    assert found == [pairs[k] for k in kept][:top]


def test_nan_scores_are_an_error():
    with pytest.raises(GraphError, match="got NaN"):
        best_classes(
            torch.zeros(1, 4), torch.tensor([[float("nan")]]), least_score=0, threshold=1, top=1
        )


def test_drop_overlapping():
    box = torch.tensor(
        [
            [0.0, 0.0, 100.0, 100.0],
            [0.0, 0.0, 100.0, 95.0],  # better, overlaps
            [50.0, 50.0, 51.9, 90.0],  # thin
            [50.0, 50.0, 52.0, 90.0],  # just wide enough
            [0.0, 0.0, 100.0, 60.0],  # overlaps 0.6 and 0.63
        ]
    )
    score = torch.tensor([0.6, 0.7, 0.9, 0.2, 0.3])
    assert drop_overlapping(box, score).tolist() == [1, 4, 3]
    assert drop_overlapping(box, score, threshold=1, thinnest=0).tolist() == [2, 1, 0, 4, 3]
    assert drop_overlapping(box[:0], score[:0]).tolist() == []
