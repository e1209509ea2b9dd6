"""Numbers as ids: `bucket_edges`, `bucket_ids`, `time_gap_ids`. Id 0 is missing or padding.

Source: MARN (WWW 2020) section 3 discretises statistics; how is a choice of this project.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graphmatch.errors import ConfigError, GraphError


def bucket_edges(values: ArrayLike, buckets: int) -> NDArray[np.float64]:
    """Inner edges of buckets that hold about as many values each.

    Args:
        values: numbers of the training split, of any shape; those that are not finite do not count.
        buckets: how many buckets.

    Returns:
        At most `buckets` - 1 edges, ascending and different: many equal values share one bucket.
        None without values, so that all numbers share one.

    Raises:
        ConfigError: no bucket.

    Example:
        >>> bucket_edges([1, 2, 3, 4, 5, 6, 7, 8], 4)
        array([2.75, 4.5 , 6.25])
        >>> bucket_edges([0, 0, 0, 0, 0, 9], 4)
        array([0.])
    """
    if buckets < 1:
        raise ConfigError(f"buckets: expected at least 1 (got {buckets})")
    numbers = np.asarray(values, dtype=np.float64).reshape(-1)
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return np.zeros(0)
    return np.unique(np.quantile(numbers, np.arange(1, buckets) / buckets))


def bucket_ids(values: ArrayLike, edges: ArrayLike) -> NDArray[np.int64]:
    """Ids of numbers: 1 + the number of edges that are not above the value, 0 for NaN.

    Args:
        values: numbers of any shape.
        edges: [Q - 1] ascending inner edges of Q buckets.

    Returns:
        Ids from 0 to Q of the same shape.

    Raises:
        ConfigError: edges that are not ascending numbers.

    Example:
        >>> bucket_ids([1.0, 3.0, 9.0, float("nan")], [3.0, 5.0])
        array([1, 2, 3, 0])
    """
    numbers, inner = np.asarray(values, np.float64), np.asarray(edges, np.float64)
    if inner.ndim != 1 or not (inner[1:] >= inner[:-1]).all() or np.isnan(inner).any():
        raise ConfigError(f"edges: expected ascending numbers (got {inner.tolist()!r:.100})")
    ids: NDArray[Any] = 1 + np.searchsorted(inner, numbers, side="right")
    return np.where(np.isnan(numbers), 0, ids).astype(np.int64, copy=False)


def time_gap_ids(seconds: ArrayLike, buckets: int = 16) -> NDArray[np.int64]:
    """Ids of the time from a behaviour to its candidate: min(1 + floor(log2(s / 60 + 1)), Q - 1).

    Args:
        seconds: gaps from 0, of any shape; NaN where the time is not known.
        buckets: Q, the number of ids, 0 included: the table of the embedding has so many rows.

    Returns:
        Ids from 0 to Q - 1 of the same shape; 0 only for NaN, so that padding has it for itself.

    Raises:
        ConfigError: fewer than 2 ids.
        GraphError: a gap below 0: the behaviour is later than its candidate and gives it away.

    Example:
        >>> time_gap_ids([0, 59, 60, 3600, 1e9, float("nan")])
        array([ 1,  1,  2,  6, 15,  0])
    """
    if buckets < 2:
        raise ConfigError(f"buckets of time: expected at least 2 (got {buckets})")
    gaps = np.asarray(seconds, np.float64)
    if gaps.size and (lowest := np.nanmin(gaps, initial=0.0)) < 0:
        raise GraphError(
            f"expected behaviours that are not later than their candidate (got one {-lowest:g} s "
            "later); leave them out of the history"
        )
    missing = np.isnan(gaps)
    steps = np.log2(np.where(missing, 0.0, gaps) / 60 + 1)
    ids = np.minimum(1 + np.floor(steps), buckets - 1).astype(np.int64)
    return np.where(missing, 0, ids)
