"""Cosines block by block: the node-level matching of GSMN.

Source: GSMN (CVPR 2020) section 3.2.1, official code. A vector of D numbers is cut into t
consecutive blocks; a node q and what it attends to, the context a, are compared in each:

    x_b = q^b . a^b / max(|q^b| |a^b|, 1e-8)

With the weights w_j of the attention, a^b = sum_j w_j c_j^b, and the context itself is not needed:

    q^b . a^b = sum_j w_j (c_j^b . q^b)     the same products that the attention is made of
    |a^b|^2   = sum_jl w_j G^b_jl w_l       with the Gram matrix of the context nodes in block b

The cosine does not change when all weights of a query are multiplied by one positive number.
"""

from __future__ import annotations

import torch
from torch import Tensor

from graphmatch.errors import ConfigError, GraphError

EPS = 1e-8


def split_blocks(x: Tensor, blocks: int) -> Tensor:
    """Vectors cut into consecutive blocks: a view.

    Args:
        x: [..., D].
        blocks: t, number of blocks; it divides D.

    Returns:
        [..., t, D / t].

    Raises:
        ConfigError: a number of blocks that does not divide D.

    Example:
        >>> split_blocks(torch.arange(4), 2)
        tensor([[0, 1],
                [2, 3]])
    """
    if blocks < 1 or x.size(-1) % blocks:
        raise ConfigError(f"blocks: expected a divisor of {x.size(-1)} (got {blocks})")
    return x.unflatten(-1, (blocks, -1))


def block_cosine(x: Tensor, y: Tensor, blocks: int) -> Tensor:
    """Cosines of two vectors in each of their blocks.

    Args:
        x: [..., D] vectors.
        y: [..., D] vectors; the two broadcast.
        blocks: t, number of blocks; it divides D.

    Returns:
        [..., t]; 0 where a block is zero.

    Raises:
        ConfigError: a number of blocks that does not divide D.

    Example:
        >>> block_cosine(torch.tensor([3.0, 4.0, 1.0, 0.0]), torch.tensor([3.0, 4.0, 0.0, 2.0]), 2)
        tensor([1., 0.])
    """
    x, y = split_blocks(x, blocks), split_blocks(y, blocks)
    lengths = torch.linalg.vector_norm(x, dim=-1) * torch.linalg.vector_norm(y, dim=-1)
    cosine: Tensor = (x * y).sum(dim=-1) / lengths.clamp(min=EPS)  # [..., t]
    return cosine


def block_gram(nodes: Tensor, blocks: int) -> Tensor:
    """Products of all nodes of an item with each other, block by block.

    Args:
        nodes: [N, M, D].
        blocks: t, number of blocks; it divides D.

    Returns:
        [N, t, M, M], float32 at least.

    Raises:
        ConfigError: a number of blocks that does not divide D.

    Example:
        >>> block_gram(torch.tensor([[[1.0, 2.0], [3.0, 0.0]]]), 2)[0, 0]
        tensor([[1., 3.],
                [3., 9.]])
    """
    split = split_blocks(at_least_float32(nodes), blocks).transpose(1, 2)  # [N, t, M, D / t]
    return split @ split.transpose(-1, -2)


def attended_block_cosine(
    products: Tensor, weights: Tensor, lengths: Tensor, *, gram: Tensor | None, nodes: Tensor
) -> Tensor:
    """Block cosines of query nodes with what they attend to, without making the contexts.

    The query nodes are counted by two axes A and B, in any order.

    Args:
        products: [t, C, m, A, B] products of m nodes of C context items with query nodes, by block.
        weights: [C, m, A, B] weights of the attention over the m context nodes, not negative; up
            to one positive factor a query. 0 for padding.
        lengths: [t, C or 1, A, B] length of the query nodes in each block.
        gram: [C, t, m, m], from `block_gram`. None makes the contexts from `nodes` all the same,
            which costs less, and is more exact, where there are more context nodes than numbers in
            a block.
        nodes: [C, m, D] the context nodes; read only if `gram` is None.

    Returns:
        [t, C, A, B] cosines, at least float32. Allocates twice the size of `products`.

    Raises:
        GraphError: weights of another shape.

    Example:
        >>> nodes = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
        >>> query = torch.tensor([3.0, 4.0])
        >>> products = (nodes @ query).view(1, 1, 2, 1, 1)
        >>> attended_block_cosine(products, torch.ones(1, 2, 1, 1), torch.full((1, 1, 1, 1), 5.0),
        ...                       gram=block_gram(nodes, 1), nodes=nodes).item()
        0.98994...
    """
    t, (count, m, *queries) = len(products), weights.shape
    if products.shape[1:] != weights.shape:
        raise GraphError(f"expected weights {list(products.shape[1:])} (got {list(weights.shape)})")
    dot = (products * weights).sum(dim=2)  # [t, C, A, B]
    flat = weights.reshape(count, m, -1)  # [C, m, A B]
    if gram is None:
        wide = at_least_float32(nodes).transpose(1, 2) @ flat  # [C, D, A B]
        squares = wide.view(count, t, -1, wide.size(-1)).square().sum(dim=2)  # [C, t, A B]
    else:
        seen = (gram.flatten(1, 2) @ flat).view(count, t, m, -1)  # [C, t, m, A B]
        if torch.is_grad_enabled() and seen.requires_grad:
            seen = seen * flat.unsqueeze(1)
        else:
            seen *= flat.unsqueeze(1)
        squares = seen.sum(dim=2)  # [C, t, A B]
    squares = squares.transpose(0, 1).unflatten(-1, queries)  # [t, C, A, B]
    # rounding can leave a square below 0; the floor keeps the gradient of the root finite
    length = squares.clamp(min=torch.finfo(squares.dtype).tiny).sqrt()
    return dot / (length * lengths).clamp(min=EPS)


def at_least_float32(x: Tensor) -> Tensor:
    """The tensor itself, or a float32 copy of a less precise one.

    Args:
        x: floating-point numbers.

    Returns:
        The numbers in float32 or float64.

    Example:
        >>> at_least_float32(torch.zeros(1, dtype=torch.bfloat16)).dtype
        torch.float32
    """
    return x if x.dtype == torch.float64 else x.float()
