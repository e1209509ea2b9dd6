"""`span_pool`: vectors of nodes from the vectors of their words."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from graphmatch.errors import GraphError, check_choice

Pool = Literal["max", "mean"]


def span_pool(words: Tensor, span: Tensor, nodes: int, *, pool: Pool = "max") -> Tensor:
    """Element-wise maximum, or mean, over the words of each node.

    Source: HGR (CVPR 2020) section 3.1, official code `encoders/mlsent.py`: actions and entities
    are the maximum over the words of their span. There it runs over padded slots with a mask; here
    over (node, word) pairs, for any number of nodes.

    Args:
        words: [T, D] vectors of all words of a batch.
        span: [2, S] int64 rows (node, word) with ascending nodes, as in `TextGraph.span`.
        nodes: N, number of nodes.
        pool: "max" or "mean". Of several equal maxima each gets an equal part of the gradient.

    Returns:
        [N, D]; 0 for nodes without words. Allocates S x D.

    Raises:
        ConfigError: an unknown way to pool.
        GraphError: tensors of another shape.

    Example:
        >>> words = torch.tensor([[1.0, 5.0], [3.0, 2.0]])
        >>> span_pool(words, torch.tensor([[0, 0, 2], [0, 1, 1]]), 3)
        tensor([[3., 5.],
                [0., 0.],
                [3., 2.]])
    """
    check_choice("pool", pool, get_args(Pool))
    if words.dim() != 2 or span.dim() != 2 or len(span) != 2:
        got = f"{list(words.shape)} and {list(span.shape)}"
        raise GraphError(f"expected words [T, D] and span [2, S] (got {got})")
    count = words.new_zeros(nodes, dtype=torch.int64)
    count = count.index_add(0, span[0], torch.ones_like(span[0]))  # [N]
    picked = words[span[1]]  # [S, D]
    pooled = torch.segment_reduce(picked, pool, lengths=count, axis=0, unsafe=True)  # [N, D]
    return torch.where((count > 0).unsqueeze(1), pooled, 0)
