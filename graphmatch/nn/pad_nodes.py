"""`pad_nodes`: nodes of a batch of graphs, one row each, to one padded matrix a graph."""

from __future__ import annotations

import torch
from torch import Tensor

from graphmatch.errors import GraphError


def pad_nodes(x: Tensor, ptr: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of n items, one after the other, padded to the longest item.

    Args:
        x: [N, ...] rows of all items.
        ptr: [n + 1] int64, item i has the rows ptr[i] to ptr[i + 1] - 1; ptr[0] is 0.

    Returns:
        [n, M, ...] rows of each item, zero past its last, and [n, M] bool, which rows are real;
        M is at least 1. Reads `ptr`, so it synchronises a device.

    Raises:
        GraphError: a `ptr` that does not end at N.

    Example:
        >>> pad_nodes(torch.tensor([7, 8, 9]), torch.tensor([0, 1, 3]))
        (tensor([[7, 0],
                [8, 9]]), tensor([[ True, False],
                [ True,  True]]))
    """
    if ptr.dim() != 1 or len(ptr) < 1 or int(ptr[-1]) != len(x):
        raise GraphError(f"ptr: expected [n + 1] that ends at {len(x)} (got {ptr.tolist()})")
    counts = ptr.diff()  # [n]
    width = max(1, int(counts.max())) if len(counts) else 1
    mask = torch.arange(width, device=x.device) < counts.unsqueeze(1)  # [n, M]
    nodes = x.new_zeros(len(counts), width, *x.shape[1:])
    nodes[mask] = x
    return nodes, mask
