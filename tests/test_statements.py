"""`statement_report`, `similarity_row`."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmatch.errors import ConfigError, GraphError
from graphmatch.similarity import SimilarityReport, similarity_row, spearman
from graphmatch.statements import area_under_curve, statement_report

LABELLED = st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=12)


@given(LABELLED)
def test_area_is_that_of_a_loop(values):
    scores = np.array([0.0, 1.0, *(float(score) for score, _ in values)])
    true = np.array([True, False, *(label for _, label in values)])
    found = [
        1.0 if left > right else 0.5 if left == right else 0.0
        for left, right in product(scores[true], scores[~true])
    ]
    assert area_under_curve(scores, true) == pytest.approx(sum(found) / len(found))


def world(count=60):
    random = np.random.default_rng(1)
    true = random.random(count) < 0.6
    images = [f"image {n // 3}" for n in range(count)]
    relations = [("on", "under", "beside")[n % 3] for n in range(count)]
    return true, images, relations, random.standard_normal(count)


def test_perfect_reversed_and_constant_scores():
    true, images, relations, noise = world()
    perfect = np.where(true, 5.0, -5.0) + np.abs(noise) * np.where(true, 1, -1)
    scores = {"matcher": perfect, "reversed": -perfect, "constant": np.zeros(len(true))}
    report = statement_report(scores, true, images, relations, skipped={"no image": 2})
    assert [report.auc[name].value for name in scores] == [100, 0, 50]
    assert report.accuracy["matcher"].percent == 100
    assert report.accuracy["constant"] == report.majority
    assert report.majority.percent == pytest.approx(100 * true.mean())
    assert (report.auc["matcher"].low, report.auc["matcher"].high) == (100, 100)
    assert sum(row.count for row in report.relations.values()) == 60
    on = np.array(relations) == "on"
    assert report.relations["on"].true == true[on].sum()
    assert report.relations["on"].auc == 100
    content = json.loads(report.to_json())
    assert content["auc"]["constant"]["value"] == 50
    assert content["skipped"] == {"no image": 2}
    assert "60 statements" in str(report)


def test_noise_is_near_the_middle():
    true, images, relations, noise = world(600)
    report = statement_report({"matcher": noise}, true, images, relations)
    auc = report.auc["matcher"]
    assert auc.low < 50 < auc.high
    positive, negative = int(true.sum()), int((~true).sum())
    expected = 100 * ((positive + negative + 1) / (12 * positive * negative)) ** 0.5
    assert auc.error == pytest.approx(expected, rel=0.2)  # Mann-Whitney without ties
    assert report == statement_report({"matcher": noise}, true, images, relations)


def test_thresholds_are_fitted_on_other_images():
    """Each image has a score of its own: nothing that is fitted on others can tell."""
    true, images = np.array([True, False] * 10), [str(n) for n in range(20)]
    scores = np.where(true, 1.0, 0.0)
    scores[0], scores[1] = -9.0, 9.0
    report = statement_report({"matcher": scores}, true, images, ["on"] * 20)
    assert report.accuracy["matcher"].right == 18


def test_relation_of_one_label_has_no_area():
    report = statement_report(
        {"matcher": np.array([1.0, 0.0, 2.0])}, [True, False, True], list("abc"), ["x", "x", "y"]
    )
    assert report.relations["y"].auc is None
    assert json.loads(report.to_json())["relations"]["y"]["auc"] is None


def test_statements_that_cannot_be_compared():
    with pytest.raises(GraphError, match="true and false"):
        statement_report({"matcher": np.zeros(2)}, [True, True], list("ab"), list("xx"))
    with pytest.raises(GraphError, match="finite"):
        statement_report({"matcher": np.array([1, np.inf])}, [True, False], list("ab"), list("xx"))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=9))
def test_spearman_is_that_of_a_loop(values):
    first, second = (np.array(column, dtype=float) for column in zip(*values, strict=True))

    def rank(column):
        return np.array([np.mean([1 + (column < x).sum(), (column <= x).sum()]) for x in column])

    one, other = rank(first), rank(second)
    if one.std() == 0 or other.std() == 0:
        assert spearman(first, second) == 0
    else:
        assert spearman(first, second) == pytest.approx(np.corrcoef(one, other)[0, 1])


def test_samples_have_one_pair_of_a_query():
    """Within a query people and scores disagree; between queries they agree."""
    queries = [str(n // 2) for n in range(40)]
    base = np.arange(40) // 2 * 10.0
    swing = np.tile([1.0, -1.0], 20)
    row = similarity_row(queries, base + swing, base - swing, samples=50)
    assert (row.pairs, row.queries) == (40, 20)
    assert row.sampled == pytest.approx(1)
    assert row.error == pytest.approx(0, abs=1e-12)
    assert row.spearman < 1
    assert similarity_row(queries, base, -base, samples=9).sampled == pytest.approx(-1)


def test_samples_spread_as_those_of_independent_pairs():
    random = np.random.default_rng(0)
    row = similarity_row([str(n) for n in range(400)], *random.standard_normal((2, 400)), seed=1)
    # half of 400 without replacement: variance (1 / 199) less what all share
    assert row.error == pytest.approx((1 / 199 - 1 / 399) ** 0.5, rel=0.15)
    assert row.low < row.sampled < row.high
    text = str(SimilarityReport(rows={"sits": row}, skipped={"no image": 3}))
    assert "left out: 3 (no image)" in text


def test_pairs_that_cannot_be_compared():
    with pytest.raises(GraphError, match="two queries"):
        similarity_row(["a"], np.zeros(1), np.zeros(1))
    with pytest.raises(GraphError, match="finite"):
        similarity_row(["a", "b"], np.zeros(2), np.array([np.nan, 1]))
    with pytest.raises(GraphError, match="of each pair"):
        similarity_row(["a", "b"], np.zeros(2), np.zeros(3))
    with pytest.raises(ConfigError, match="samples from 2"):
        similarity_row(["a", "b"], np.zeros(2), np.zeros(2), samples=1)
