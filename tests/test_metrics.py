"""Recall, median and mean rank, nDCG, average precision and binary selection."""

from __future__ import annotations

from math import log2

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphmatch import graded_metrics
from graphmatch.binary_selection import binary_selection
from graphmatch.errors import ConfigError, GraphError
from graphmatch.graded_metrics import mean_average_precision, ndcg
from graphmatch.metrics import mean_rank, median_rank, recall

RANKS = st.lists(st.integers(0, 20), min_size=1, max_size=30).filter(any)


@given(RANKS, st.integers(1, 40))
def test_numbers_from_ranks(values, k):
    rank = torch.tensor(values)
    counted = sorted(value for value in values if value)
    assert recall(rank, k) == 100 * sum(value <= k for value in counted) / len(counted)
    assert mean_rank(rank) == pytest.approx(sum(counted) / len(counted))
    middle = (counted[len(counted) // 2] + counted[(len(counted) - 1) // 2]) / 2
    assert median_rank(rank) == middle
    assert median_rank(rank, floor=True) == middle // 1
    # the forms of SCAN and HGR, which count ranks from 0
    from_zero = torch.tensor(counted, dtype=torch.float64) - 1
    assert median_rank(rank, floor=True) == from_zero.quantile(0.5).floor() + 1
    assert median_rank(rank) == from_zero.quantile(0.5) + 1


def test_no_query_counts():
    for metric in (mean_rank, median_rank, lambda rank: recall(rank, 1)):
        for rank in (torch.zeros(2, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)):
            with pytest.raises(GraphError, match=f"none of {len(rank)}"):
                metric(rank)
    with pytest.raises(ConfigError, match="at least 1"):
        recall(torch.tensor([1]), 0)


def in_order(scores, gains):
    """Gains of the answers of a query, best first, equal scores by position."""
    places = sorted(range(len(scores)), key=lambda place: (-scores[place], place))
    return [gains[place] for place in places]


def naive_ndcg(scores, gains, depth):
    values = []
    for row, gain in zip(scores, gains, strict=True):
        k = sum(g > 0 for g in gain) if depth is None else depth
        dcg, best = (
            sum(g / log2(r + 1) for r, g in enumerate(ordered[:k], 1))
            for ordered in (in_order(row, gain), sorted(gain, reverse=True))
        )
        if best > 0:
            values.append(dcg / best)
    return sum(values) / len(values)


def naive_map(scores, gains):
    values = []
    for row, gain in zip(scores, gains, strict=True):
        ordered = in_order(row, gain)
        precision = [sum(ordered[:r]) / r for r, g in enumerate(ordered, 1) if g == 1]
        if precision:
            values.append(sum(precision) / len(precision))
    return sum(values) / len(values)


@st.composite
def graded(draw):
    rows, columns = draw(st.integers(1, 5)), draw(st.integers(1, 7))
    lists = [
        draw(
            st.lists(
                st.lists(st.sampled_from(choice), min_size=columns, max_size=columns),
                min_size=rows,
                max_size=rows,
            )
        )
        for choice in ([0.0, 0.25, 0.5, 0.75], [0.0, 0.0, 0.3, 0.5, 1.0])
    ]
    lists[1][0][0] = 1.0  # something to find
    return lists


@given(graded(), st.sampled_from([None, 1, 3, 100]), st.sampled_from([1, 10, 1000]))
def test_graded_metrics_as_defined(lists, depth, block):
    scores, gains = lists
    score, gain = torch.tensor(scores), torch.tensor(gains, dtype=torch.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graded_metrics, "_BLOCK", block)
        expected = naive_ndcg(scores, gains, depth)
        assert ndcg(score, gain, depth=depth) == pytest.approx(expected)
        assert ndcg(score.numpy(), lambda part: gain[part], depth=depth) == pytest.approx(expected)
        assert mean_average_precision(score, gain) == pytest.approx(naive_map(scores, gains))


def test_a_perfect_order_is_one_and_scale_does_not_matter():
    torch.manual_seed(1)
    gain = torch.rand(5, 9)
    assert ndcg(gain, gain) == pytest.approx(1)
    scores = torch.rand(5, 9)
    assert ndcg(scores, gain) == pytest.approx(ndcg(3 * scores - 1, 7 * gain))
    assert ndcg(scores, gain) < 1
    assert mean_average_precision(gain, (gain > 0.5).float()) == pytest.approx(1)


@pytest.mark.parametrize("metric", [ndcg, mean_average_precision])
def test_bad_gains(metric):
    scores = torch.zeros(2, 3)
    for gain, message in (
        (torch.zeros(3, 2), r"gains \(2, 3\)"),
        (lambda part: torch.ones(part.stop, 2), r"gains \(2, 3\)"),
        (torch.full((2, 3), -1.0), "not negative"),
        (torch.full((2, 3), float("nan")), "finite"),
        (torch.zeros(2, 3), "none"),
    ):
        with pytest.raises(GraphError, match=message):
            metric(scores, gain)
    with pytest.raises(GraphError, match="none"):
        metric(torch.zeros(0, 3), torch.zeros(0, 3))
    scores[1, 2] = float("nan")
    with pytest.raises(GraphError, match="item 1 and caption 2"):
        metric(scores, torch.ones(2, 3))
    with pytest.raises(GraphError, match="float32"):
        metric(scores.half(), torch.ones(2, 3))


def test_bad_depth():
    with pytest.raises(ConfigError, match="at least 1"):
        ndcg(torch.zeros(1, 1), torch.ones(1, 1), depth=0)


def test_binary_selection():
    found = binary_selection(
        torch.tensor([0.3, 0.3, 0.9, 0.1]),
        torch.tensor([0.2, 0.3, 1.0, 0.0]),
        ["scene", "action", "scene", "scene"],
    )
    assert list(found) == ["scene", "action"]
    assert found["scene"] == (pytest.approx(200 / 3), 2, 0, 3)
    assert found["action"] == (0.0, 0, 1, 1)


def test_bad_binary_selection():
    one = torch.zeros(1)
    for true, changed, category in (
        (one, torch.zeros(2), ["a"]),
        (one, one, ["a", "b"]),
        (torch.zeros(1, 1), torch.zeros(1, 1), ["a"]),
        (torch.zeros(0), torch.zeros(0), []),
    ):
        with pytest.raises(GraphError, match="P scores"):
            binary_selection(true, changed, category)
    for bad in ("nan", "inf"):
        with pytest.raises(GraphError, match="finite"):
            binary_selection(one, torch.tensor([float(bad)]), ["a"])
