from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmatch.buckets import bucket_edges, bucket_ids, time_gap_ids
from graphmatch.errors import ConfigError, GraphError

numbers = st.floats(-1e6, 1e6, allow_nan=False)


@given(st.lists(numbers | st.just(math.nan), max_size=20), st.lists(numbers, max_size=6))
def test_ids_are_counted_edges(values, edges):
    edges.sort()
    wanted = [
        0 if math.isnan(value) else 1 + sum(edge <= value for edge in edges) for value in values
    ]
    assert bucket_ids(values, edges).tolist() == wanted


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40), st.integers(1, 8))
def test_edges_are_few_and_ascending(values, buckets):
    edges = bucket_edges(values, buckets)
    assert len(edges) < buckets or buckets == 1
    assert (np.diff(edges) > 0).all()
    ids = bucket_ids(values, edges)
    assert ids.min() >= 1
    assert ids.max() <= buckets


def test_buckets_are_equally_full():
    values = np.random.default_rng(0).normal(size=1000)
    assert np.bincount(bucket_ids(values, bucket_edges(values, 10)))[1:].tolist() == [100] * 10


def test_values_that_are_not_finite_fit_nothing():
    assert bucket_edges([np.nan, np.inf], 4).tolist() == []
    assert bucket_edges([np.nan, 1, 3, -np.inf], 2).tolist() == [2]
    assert bucket_ids([-np.inf, np.inf], [2.0]).tolist() == [1, 2]


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=20), st.integers(2, 20))
def test_gaps_are_those_of_the_formula(gaps, buckets):
    wanted = [min(1 + math.floor(np.log2(gap / 60 + 1)), buckets - 1) for gap in gaps]
    assert time_gap_ids(gaps, buckets).tolist() == wanted


def test_gaps_of_the_specification():
    gaps = [0, 1, 59, 60, 119, 120, 3600, 86400, 2592000, 1e9]
    assert time_gap_ids(gaps, 16).tolist() == [1, 1, 1, 2, 2, 2, 6, 11, 15, 15]


def test_shapes_are_kept():
    assert time_gap_ids(np.zeros((2, 0))).shape == (2, 0)
    assert bucket_ids(np.zeros((2, 3)), [1.0]).shape == (2, 3)


def test_errors():
    with pytest.raises(ConfigError, match="at least 1"):
        bucket_edges([1], 0)
    with pytest.raises(ConfigError, match="ascending"):
        bucket_ids([1], [2, 1])
    with pytest.raises(ConfigError, match="at least 2"):
        time_gap_ids([1], 1)
    with pytest.raises(GraphError, match="3 s later"):
        time_gap_ids([1, np.nan, -3])
