"""`order_rows`, `split_rows`, `find_histories`: which rows come before which, in whole columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphmatch.click_features import Splitting

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


def order_rows(*keys: NDArray[Any] | None, length: int) -> Integers:
    """Numbers of rows, sorted.

    Args:
        keys: [n] columns to sort by, the first one first; those that are None do not count. Rows
            that are equal in all stay in their order.
        length: n.

    Returns:
        [n] int64.

    Example:
        >>> order_rows(np.array([1, 0, 1]), np.array([5.0, 9.0, 2.0]), None, length=3)
        array([1, 2, 0])
    """
    present = [key for key in reversed(keys) if key is not None]
    return np.lexsort(present) if present else np.arange(length)


def split_rows(
    splitting: Splitting, user: NDArray[Any] | None, time: Floats | None
) -> NDArray[np.int8]:
    """Splits of rows by their place in time.

    Args:
        splitting: by `user` or `time`.
        user: [n] of rows that are sorted by user and time; not read with `time`.
        time: [n] seconds; not read with `user`.

    Returns:
        [n] 0 training, 1 validation, 2 test. By user, the first floor(train * k) of k rows are for
        training, those from floor(test * k) on for testing; by time so many of all rows, but rows
        of one time are in one split.

    Example:
        >>> split_rows(Splitting(), np.array([4] * 10 + [5]), None)
        array([0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 2], dtype=int8)
    """
    if splitting.by == "time":
        assert time is not None
        moments = np.sort(time)
        bounds = [moments[int(part * len(moments))] if part * len(moments) < len(moments)
                  else np.inf for part in (splitting.train, splitting.test)]  # fmt: skip
        found: NDArray[np.int8] = np.searchsorted(np.array(bounds), time, side="right").astype(
            np.int8
        )
        return found
    assert user is not None
    start, count = group_starts(user)
    rank = np.arange(len(user)) - start
    after_train = rank >= np.floor(splitting.train * count)
    after_valid = rank >= np.floor(splitting.test * count)
    split: NDArray[np.int8] = np.add(after_train, after_valid, dtype=np.int8)
    return split


def group_starts(*keys: NDArray[Any]) -> tuple[Integers, Integers]:
    """Where the group of each row starts and how long it is.

    Args:
        keys: [n] columns; neighbours that are equal in all are one group.

    Returns:
        [n] first row and [n] number of rows of each row's group.

    Example:
        >>> group_starts(np.array([4, 4, 7]))
        (array([0, 0, 2]), array([2, 2, 1]))
    """
    new = np.ones(len(keys[0]), bool)
    if len(new):
        new[1:] = False
        for key in keys:
            new[1:] |= key[1:] != key[:-1]
    first = np.flatnonzero(new)
    length = np.diff(np.append(first, len(new)))
    return np.repeat(first, length), np.repeat(length, length)


@dataclass(frozen=True, slots=True, kw_only=True)
class Histories:
    """Which behaviours come before rows.

    Args:
        first: [n] number of the first behaviour of the row's user.
        length: [n] how many of the user's behaviours are before the row.
    """

    first: Integers
    length: Integers


def find_histories(
    user: NDArray[Any], time: Floats, order: Floats | None, behaviour: NDArray[np.bool_]
) -> Histories:
    """The history of each row: the behaviours of its user that are before it, strictly.

    Before is an earlier time, or the same time and a smaller order. Rows that are equal in both do
    not see each other, so no history depends on the row itself or a later one.

    Args:
        user: [n] of rows that are sorted by user, time and order.
        time: [n] seconds.
        order: [n] order of rows of the same time; None if they do not see each other.
        behaviour: [n] which rows are behaviours. Behaviours are counted in the order of rows.

    Returns:
        Histories, as ranges of behaviours.

    Example:
        >>> found = find_histories(np.array([4, 4, 4]), np.array([0.0, 5.0, 5.0]), None,
        ...                        np.array([True, True, True]))
        >>> found.length
        array([0, 1, 1])
    """
    before = np.zeros(len(user) + 1, np.int64)  # behaviours before a row
    np.cumsum(behaviour, out=before[1:])
    first = before[group_starts(user)[0]]
    keys = (user, time) if order is None else (user, time, order)
    return Histories(first=first, length=before[group_starts(*keys)[0]] - first)
