"""Numbers from ranks: recall at K, median and mean rank.

Ranks start at 1; a rank of 0 marks a query without a right answer, which is left out.
"""

from __future__ import annotations

from torch import Tensor

from graphmatch.errors import ConfigError, GraphError


def recall(rank: Tensor, k: int) -> float:
    """Recall at K: the share of queries with a right answer among the first K.

    Args:
        rank: [n] int ranks, one side of `graphmatch.ranks.Ranks`.
        k: how many answers are looked at; may exceed the gallery.

    Returns:
        Percent.

    Raises:
        GraphError: no query has a right answer.
        ConfigError: `k` below 1.

    Example:
        >>> import torch
        >>> recall(torch.tensor([1, 3, 6, 2, 0]), 5)
        75.0
    """
    if k < 1:
        raise ConfigError(f"expected K of at least 1 (got {k})")
    counted = _counted(rank)
    return 100 * int((counted <= k).sum()) / len(counted)


def median_rank(rank: Tensor, *, floor: bool = False) -> float:
    """Median rank; of an even number of queries the mean of the two in the middle.

    Args:
        rank: [n] int ranks.
        floor: round down, as the code of SCAN, GSMN and IMRAM does; HGR's does not.

    Returns:
        From 1.

    Raises:
        GraphError: no query has a right answer.

    Example:
        >>> import torch
        >>> median_rank(torch.tensor([1, 2])), median_rank(torch.tensor([1, 2]), floor=True)
        (1.5, 1.0)
    """
    ordered = _counted(rank).sort().values
    middle = len(ordered) // 2
    total = int(ordered[middle]) + int(ordered[~middle])  # ~middle counts from the end
    return float(total // 2) if floor else total / 2


def mean_rank(rank: Tensor) -> float:
    """Mean rank.

    Args:
        rank: [n] int ranks.

    Returns:
        From 1.

    Raises:
        GraphError: no query has a right answer.

    Example:
        >>> import torch
        >>> mean_rank(torch.tensor([1, 4, 0]))
        2.5
    """
    counted = _counted(rank)
    return int(counted.sum()) / len(counted)


def _counted(rank: Tensor) -> Tensor:
    counted = rank[rank > 0]
    if not len(counted):
        raise GraphError(f"expected queries with a right answer (got none of {len(rank)})")
    return counted
