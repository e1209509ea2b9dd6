"""Arrow columns to numbers, and statistics of earlier events against loops."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmatch.causal_statistics import EarlierEvents
from graphmatch.click_columns import ValueCodes, as_text, lists, numbers, times, vectors
from graphmatch.click_features import Splitting
from graphmatch.click_histories import split_rows
from graphmatch.errors import FormatError


def test_codes_are_kept_from_batch_to_batch():
    codes = ValueCodes("item")
    found = [
        codes.add(column).tolist()
        for column in (
            pa.array(["b", "", None, "a"]),
            pa.array([7, 8, None]),
            pa.array(["8", "a", "c"]).dictionary_encode(),
            pa.array([7.0, float("nan")], from_pandas=True),
            pa.chunked_array([["c"], ["b"]]),
        )
    ]
    assert found == [[0, -1, -1, 1], [2, 3, -1], [3, 1, 4], [2, -1], [4, 0]]
    assert codes.values.to_pylist() == ["b", "a", "7", "8", "c"]
    with pytest.raises(FormatError, match="column item: expected ids"):
        codes.add(pa.array([1.5]))
    with pytest.raises(FormatError, match="column item: expected ids"):
        codes.add(pa.array([[1]]))
    assert as_text(pa.array([True]), "a").to_pylist() == ["true"]


def test_numbers():
    values, bad = numbers(pa.array([" 1.5 ", "1e3", "x", None, "", "inf"]), "a")
    assert values[:2].tolist() == [1.5, 1000]
    assert np.isnan(values[2:]).all()
    assert bad.tolist() == [False, False, True, False, False, True]
    assert numbers(pa.array([2**62, None]), "a")[0][0] == 2**62
    assert numbers(pa.array([True, False]), "a")[0].tolist() == [1, 0]
    with pytest.raises(FormatError, match="expected numbers"):
        numbers(pa.array([[1]]), "a")


def test_times():
    values, bad = times(pa.array([1500, None]), "t", "ms")
    assert values[0] == 1.5
    assert np.isnan(values[1])
    assert not bad.any()
    iso = ["1970-01-01 00:01:00", "1970-01-01T00:00:01Z", "1970-01-01T01:00:00+01:00", "x", ""]
    values, bad = times(pa.array(iso), "t", "s")
    assert values[:3].tolist() == [60, 1, 0]
    assert bad.tolist() == [False, False, False, True, False]
    assert times(pa.array(["5", "7"]), "t", "s")[0].tolist() == [5, 7]
    stamps = pa.array([0, 90_000_000_000, None], pa.timestamp("ns"))
    assert times(stamps, "t", "s")[0][:2].tolist() == [0, 90]
    with pytest.raises(FormatError, match="column t"):
        times(pa.array([[1]]), "t", "s")


def test_lists():
    lengths, flat = lists(pa.array(["It's 2 Käfer, no_1!", None, "--"]), "t", None)
    assert lengths.tolist() == [4, 0, 0]
    assert flat.to_pylist() == ["it's", "2", "käfer", "no_1"]
    lengths, flat = lists(pa.array([[1, None], None, []]), "t", "^")
    assert lengths.tolist() == [2, 0, 0]
    assert flat.to_pylist() == [1, None]
    assert lists(pa.nulls(2), "t", "^")[0].tolist() == [0, 0]
    with pytest.raises(FormatError, match="expected lists"):
        lists(pa.array([1]), "t", "^")


def test_vectors():
    values, present = vectors(pa.array([[1.0, 2], None, [1], [3, float("nan")], [5, 6]]), "v")
    assert values.tolist() == [[1, 2], [0, 0], [0, 0], [0, 0], [5, 6]]
    assert present.tolist() == [True, False, False, False, True]
    with pytest.raises(FormatError, match="expected vectors"):
        vectors(pa.array([None, []], pa.list_(pa.float32())), "v")


events = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 5), st.sampled_from([0.0, 1.0, np.nan])),
    min_size=1,
    max_size=25,
)


@given(events)
def test_earlier_events_are_counted(rows):
    item, time, value = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    earlier = EarlierEvents(item.astype(int), time)
    count, total, mean = earlier.count(), earlier.total(value), earlier.mean(value)
    for k in range(len(rows)):
        others = [r for r in rows if r[0] == item[k] and r[1] < time[k]]
        known = [r[2] for r in others if not np.isnan(r[2])]
        assert count[k] == len(others)
        assert total[k] == sum(known)
        assert mean[k] == sum(known) / len(known) if known else np.isnan(mean[k])


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.floats(0, 1), st.floats(0, 1))
def test_splits_by_time_are_in_order(moments, one, two):
    time = np.array(moments, np.float64)
    splitting = Splitting(by="time", train=min(one, two), test=max(one, two))
    split = split_rows(splitting, None, time)
    order = np.argsort(time)
    assert (np.diff(split[order]) >= 0).all()
    for moment in {*moments}:
        assert len({*split[time == moment].tolist()}) == 1
    assert (split == 0).sum() <= splitting.train * len(time)
