"""AUC, GAUC and log loss against loops over pairs; streamed against whole."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmatch.click_metrics import auc, grouped_auc, log_loss, relative_improvement
from graphmatch.click_metrics_stream import StreamingMetrics
from graphmatch.errors import GraphError

samples = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 1), st.integers(0, 4)), min_size=1, max_size=40
)


def naive(scores, labels):
    """Wins and half of the ties over all pairs; None if a class is absent."""
    pairs = [
        (p > n) + (p == n) / 2
        for p, one in zip(scores, labels, strict=True)
        for n, other in zip(scores, labels, strict=True)
        if one == 1 and other == 0
    ]
    return sum(pairs) / len(pairs) if pairs else None


@given(samples)
def test_auc_is_counted_over_pairs(rows):
    scores, labels, _ = zip(*rows, strict=True)
    wanted = naive(scores, labels)
    if wanted is None:
        with pytest.raises(GraphError, match="with and without a click"):
            auc(scores, labels)
        return
    assert auc(scores, labels) == pytest.approx(wanted, abs=1e-12)
    assert auc(np.negative(scores), labels) == pytest.approx(1 - wanted, abs=1e-12)


@given(samples)
def test_gauc_is_weighted_by_samples(rows):
    scores, labels, users = (np.array(column) for column in zip(*rows, strict=True))
    total = weight = skipped = 0
    for user in {*users.tolist()}:
        own = users == user
        value = naive(scores[own], labels[own])
        skipped += value is None
        total += 0 if value is None else value * own.sum()
        weight += 0 if value is None else own.sum()
    found = grouped_auc(scores, labels, users)
    assert (found.samples, found.skipped) == (weight, skipped)
    assert found.users + found.skipped == len({*users.tolist()})
    if weight:
        assert found.value == pytest.approx(total / weight, abs=1e-12)
    else:
        assert math.isnan(found.value)


@pytest.mark.slow
@given(samples, st.integers(1, 7))
def test_streamed_is_whole(rows, size):
    rows = sorted(rows, key=lambda row: row[2])
    scores, labels, users = (np.array(column) for column in zip(*rows, strict=True))
    scores = scores / 8  # different bins
    metrics = StreamingMetrics(by_user=True)
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        metrics.add(scores[part], labels[part], users[part])
        metrics.result()  # changes nothing
    found, wanted = metrics.result(), naive(scores, labels)
    if wanted is None:
        assert math.isnan(found.auc)
    else:
        ties = sum(
            a == b
            for a, one in zip(scores, labels, strict=True)
            for b, other in zip(scores, labels, strict=True)
            if one > other
        )
        assert found.auc == pytest.approx(wanted, abs=1e-12)
        pairs = labels.sum() * (1 - labels).sum()
        assert found.auc_error == pytest.approx(ties / 2 / pairs, abs=1e-12)
    whole = grouped_auc(scores, labels, users)
    assert (found.gauc.users, found.gauc.skipped) == (whole.users, whole.skipped)
    if whole.samples:
        assert found.gauc.value == pytest.approx(whole.value, abs=1e-12)
    assert found.log_loss == pytest.approx(log_loss(scores, labels), abs=1e-12)


def test_the_error_of_the_bins_is_bounded():
    numbers = np.random.default_rng(0)
    scores = 0.3 + numbers.random(20_000) * 0.01  # ten or so bins
    labels = numbers.random(20_000) < scores
    metrics = StreamingMetrics()
    metrics.add(scores, labels)
    found, exact = metrics.result(), auc(scores, labels)
    assert 0 < abs(found.auc - exact) <= found.auc_error < 0.05
    spread = 1 / (1 + np.exp(-numbers.normal(size=20_000)))
    labels = numbers.random(20_000) < spread
    metrics = StreamingMetrics()
    metrics.add(spread, labels)
    assert metrics.result().auc_error < 1e-3
    assert metrics.result().auc == pytest.approx(auc(spread, labels), abs=1e-4)


def test_log_loss():
    scores, labels = [0.0, 1.0, 0.25], [1, 1, 0]
    wanted = -(math.log(1e-7) + math.log(1 - 1e-7) + math.log(0.75)) / 3
    assert log_loss(scores, labels) == pytest.approx(wanted)
    for bad in ([1.5], [-0.1]):
        with pytest.raises(GraphError, match="probabilities"):
            log_loss(bad, [1])
    with pytest.raises(GraphError, match="one or more"):
        log_loss([], [])


def test_relative_improvement():
    assert relative_improvement(0.6, 0.55) == pytest.approx(100)
    with pytest.raises(GraphError, match=r"above 0\.5"):
        relative_improvement(0.6, 0.5)


def test_errors():
    with pytest.raises(GraphError, match="finite"):
        auc([math.nan, 0.5], [0, 1])
    with pytest.raises(GraphError, match="labels 0 and 1"):
        auc([0.1, 0.5], [0, 2])
    with pytest.raises(GraphError, match="scores"):
        auc([0.1, 0.5], [0])
    with pytest.raises(GraphError, match="users"):
        grouped_auc([0.1, 0.5], [0, 1], [4])
    metrics = StreamingMetrics(by_user=True)
    with pytest.raises(GraphError, match="expected samples"):
        metrics.result()
    with pytest.raises(GraphError, match="expected users"):
        metrics.add([0.1], [0])
    metrics.add([], [], [])
    metrics.add([0.1, 0.2], [0, 1], [4, 5])
    with pytest.raises(GraphError, match="came again"):
        metrics.add([0.1], [0], [4])
    with pytest.raises(GraphError, match="probabilities"):
        metrics.add([1.5], [0], [9])
