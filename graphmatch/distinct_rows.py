"""`distinct_rows`: rows of whole numbers, each once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LIMIT = 2**62


def distinct_rows(columns: Sequence[NDArray[Any]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Different rows.

    Args:
        columns: F columns [n] of whole numbers from 0.

    Returns:
        [N] place of the first row of each kind, the kinds in ascending order of their columns, and
        [n] kind of each row. Allocates about 40 bytes a row.

    Example:
        >>> first, kind = distinct_rows([np.array([4, 4, 0]), np.array([1, 1, 7])])
        >>> first, kind
        (array([2, 0]), array([1, 1, 0]))
    """
    key = np.zeros(len(columns[0]), np.int64)
    size = 1
    for column in columns:
        width = int(column.max()) + 1 if len(column) else 1
        if size * width >= _LIMIT:
            _, key = np.unique(key, return_inverse=True)
            size = int(key.max()) + 1
        key = key * width + column
        size *= width
    _, first, kind = np.unique(key, return_index=True, return_inverse=True)
    return first, kind
