"""Items made in a thread."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmatch.prefetch import prefetch


@given(st.lists(st.integers() | st.none()), st.integers(1, 5))
def test_items_come_in_order(items, depth):
    assert list(prefetch(iter(items), depth)) == items


def test_an_error_comes_after_the_items_before_it():
    def failing():
        yield 1
        yield 2
        raise OSError("disk")

    found = prefetch(failing(), 1)
    assert next(found) == 1
    assert next(found) == 2
    with pytest.raises(OSError, match="disk"):
        next(found)


def test_no_more_than_depth_items_are_made_ahead():
    made = []

    def items():
        for number in range(100):
            made.append(number)
            yield number

    found = prefetch(items(), 3)
    next(found)
    time.sleep(0.3)
    assert len(made) <= 5  # one used, three waiting, one in work
    found.close()
    assert len(made) <= 6


def test_the_thread_ends_with_the_iterator():
    before = threading.active_count()
    found = prefetch(iter(range(1000)), 2)
    next(found)
    assert threading.active_count() == before + 1
    found.close()
    assert threading.active_count() == before


def test_stages_run_at_the_same_time():
    together = threading.Barrier(2, timeout=20)  # breaks unless both sides arrive

    def items():
        for number in range(3):
            if number:
                together.wait()
            yield number

    for number in prefetch(items(), 1):
        if number < 2:
            together.wait()
