"""`HardNegativeReport`, `Proportion`, the baselines that see texts alone."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmatch.errors import ConfigError, GraphError
from graphmatch.hard_negatives import hard_negative_report
from graphmatch.proportion import Proportion
from graphmatch.text_baselines import Unigram, shortness


def test_preferences_are_counted_by_category():
    always = np.tile([1.0, 0.0], (5, 1))
    scores = {
        "matcher": np.array([[2, 1], [1, 2], [3, 3], [2, 1], [2, 1]], dtype=float),
        "always": always,
        "never": -always,
        "constant": np.zeros((5, 2)),
    }
    report = hard_negative_report(["a", "a", "a", "b", "b"], scores, skipped={"no image": 7})
    assert report.accuracy["a"]["matcher"] == Proportion(right=1.5, count=3)
    assert report.ties["a"]["matcher"] == 1
    assert report.accuracy["b"]["matcher"].percent == 100
    assert report.overall("matcher").percent == 70
    assert report.mean("matcher") == 75
    shares = [report.overall(name).percent for name in ("always", "never", "constant")]
    assert shares == [100, 0, 50]
    content = json.loads(report.to_json())
    assert content["categories"]["a"]["matcher"]["ties"] == 1
    assert content["overall"]["constant"]["percent"] == 50
    assert content["skipped"] == {"no image": 7}
    assert "left out: 7 (no image)" in str(report)


def test_scores_that_cannot_be_compared():
    with pytest.raises(GraphError, match="got none"):
        hard_negative_report([], {"matcher": np.zeros((0, 2))})
    with pytest.raises(GraphError, match="finite scores"):
        hard_negative_report(["a"], {"matcher": np.array([[np.nan, 1.0]])})
    with pytest.raises(GraphError, match="finite scores"):
        hard_negative_report(["a"], {"matcher": np.zeros((1, 3))})


@given(st.integers(0, 40), st.integers(1, 40), st.sampled_from([0.5, 0.9, 0.95]))
def test_ends_of_the_interval_solve_wilsons_equation(right, more, level):
    share = Proportion(right=right, count=right + more)
    z = {0.5: 0.6744897501960817, 0.9: 1.6448536269514722, 0.95: 1.959963984540054}[level]
    for end in share.interval(level):
        p = end / 100
        distance = abs(share.right / share.count - p)
        assert distance == pytest.approx(z * math.sqrt(p * (1 - p) / share.count), abs=1e-6)
    low, high = share.interval(level)
    assert low <= share.percent + 1e-9 <= high + 2e-9


def test_impossible_proportions():
    for right, count in ((0, 0), (3, 2), (-1, 2)):
        with pytest.raises(GraphError, match="right answers"):
            Proportion(right=right, count=count)


def test_unigram_is_a_smoothed_mean():
    model = Unigram([["A", "dog"], ["a", "cat", "a"]])
    total = 5 + 3 + 1
    expected = (math.log(4 / total) + math.log(2 / total) + math.log(1 / total)) / 3
    assert model.score(["a", "DOG", "zebra"]) == pytest.approx(expected)
    known = math.fsum((model.counts[word] + 1) / total for word in ("a", "dog", "cat"))
    assert known + 1 / total == pytest.approx(1)  # the rest is one unknown word
    assert model.score([]) == pytest.approx(math.log(1 / total))
    with pytest.raises(ConfigError, match="got none"):
        Unigram([[]])


def test_shorter_captions_are_preferred():
    assert shortness(["a"]) > shortness(["a", "b"])
