"""Cosines block by block: the node-level matching of GSMN.

Source: GSMN (CVPR 2020) section 3.2.1, official code. A vector of D numbers is cut into t
consecutive blocks; a node q and what it attends to, the context a, are compared in each:

    x_b = q^b . a^b / max(|q^b| |a^b|, 1e-8)

With the weights w_j of the attention, a^b = sum_j w_j c_j^b, and the context itself is not needed:

    q^b . a^b = sum_j w_j (c_j^b . q^b)     the same products that the attention is made of
    |a^b|^2   = sum_jl w_j w_l G^b_jl       with the Gram matrix of the context nodes in block b

The cosine does not change when all weights of a query are multiplied by one positive number.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from graphmatch.errors import ConfigError

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
    return x.view(*x.shape[:-1], blocks, x.size(-1) // blocks)


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


def packed_gram(nodes: Tensor, blocks: int) -> Tensor:
    """Products of all nodes of an item with each other, block by block, each pair once.

    The pairs (j, l) with l <= j come in the order of j, so that the first m (m + 1) / 2 are those
    of the first m nodes. Pairs of two nodes are doubled: w^T G w is the sum of w_j w_l times these.

    Args:
        nodes: [N, M, D].
        blocks: t, number of blocks; it divides D.

    Returns:
        [N, t, M (M + 1) / 2], float32 at least.

    Raises:
        ConfigError: a number of blocks that does not divide D.

    Example:
        >>> packed_gram(torch.tensor([[[1.0, 2.0], [3.0, 0.0]]]), 2)[0, 0]
        tensor([1., 6., 9.])
    """
    split = split_blocks(at_least_float32(nodes), blocks).transpose(1, 2)  # [N, t, M, D / t]
    gram = split @ split.transpose(-1, -2)  # [N, t, M, M]
    row, column = _pairs(nodes.size(1), nodes.device)
    packed: Tensor = gram[..., row, column] * (2 - (row == column).to(gram.dtype))
    return packed


def attended_dot(
    products: Tensor, weights: Tensor, axis: int, scratch: Tensor | None = None
) -> Tensor:
    """Products, block by block, of query nodes with what they attend to.

    Args:
        products: [t, ...] products of context and query nodes in each block, contiguous.
        weights: [...] weights of the attention.
        axis: of the context nodes in `weights`.
        scratch: flat memory for intermediates, at least as large as `weights`, where no gradients
            are needed. Blocks are done in groups that fit into it: what stays in the caches is not
            waited for, and memory that is mapped anew takes longer than the computation.

    Returns:
        [t, ...] without that axis. Without `scratch` allocates as much as `products`.

    Example:
        >>> products = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
        >>> attended_dot(products, torch.tensor([[1.0, 0.0], [0.5, 1.0]]), 0)
        tensor([[2.5000, 4.0000]])
    """
    if scratch is None:
        return (products * weights).sum(dim=axis + 1)
    group = max(1, scratch.numel() // max(1, weights.numel()))
    shape = (*products.shape[: axis + 1], *products.shape[axis + 2 :])
    dot = products.new_empty(shape)
    weighted = scratch[: group * weights.numel()].view(group, *weights.shape)
    for some, result in zip(torch.split(products, group), torch.split(dot, group), strict=True):
        part = weighted[: len(some)]
        torch.mul(some, weights, out=part)
        torch.sum(part, dim=axis + 1, out=result)
    return dot


def attended_length(
    nodes: Tensor,
    weights: Tensor,
    blocks: int,
    *,
    gram: Tensor | None = None,
    scratch: Tensor | None = None,
) -> Tensor:
    """Lengths of contexts in each block.

    Args:
        nodes: [C, m, D] nodes of context items; read only if `gram` is None.
        weights: [C, m, q] weights of m context nodes for q query nodes.
        blocks: t, number of blocks.
        gram: [C, t, m (m + 1) / 2] or more, from `packed_gram`. If None, the contexts are made,
            which costs less and is more exact where an item has more nodes than a block has
            numbers.
        scratch: flat memory of m (m + 1) q numbers or more, as in `attended_dot`; items are done in
            groups that fit into it.

    Returns:
        [C, t, q], at least float32. Without `scratch` allocates C m (m + 1) q numbers.

    Example:
        >>> nodes = torch.tensor([[[3.0, 0.0], [0.0, 2.0]]])
        >>> attended_length(nodes, torch.tensor([[[1.0], [2.0]]]), 1).item()
        5.0
    """
    if gram is None:
        wide = at_least_float32(nodes).transpose(1, 2) @ weights  # [C, D, q]
        squares = wide.view(len(wide), blocks, -1, wide.size(-1)).square().sum(dim=2)  # [C, t, q]
    else:
        squares = _square_form(gram, weights, scratch)  # [C, t, q]
    # rounding can leave a square below 0; the floor keeps the gradient of the root finite
    length: Tensor = squares.clamp(min=torch.finfo(squares.dtype).tiny).sqrt()
    return length


def _square_form(gram: Tensor, weights: Tensor, scratch: Tensor | None) -> Tensor:
    """w^T G w for a packed gram [C, t, p] and weights [C, m, q]: [C, t, q]."""
    count, m, queries = weights.shape
    row, column = _pairs(m, weights.device)  # [p]
    gram = gram[..., : len(row)]
    if scratch is None:
        return gram @ (weights[:, row] * weights[:, column])
    size = len(row) * queries
    group = min(count, max(1, scratch.numel() // max(1, 2 * size)))
    squares = weights.new_empty(count, gram.size(1), queries)
    one, other = scratch[: 2 * group * size].view(2, group, len(row), queries)
    for some, products, result in zip(
        torch.split(weights, group),
        torch.split(gram, group),
        torch.split(squares, group),
        strict=True,
    ):
        if len(some) < group:  # the last ones
            one, other = one[: len(some)], other[: len(some)]
        torch.index_select(some, 1, row, out=one)
        torch.index_select(some, 1, column, out=other)
        torch.bmm(products, one.mul_(other), out=result)
    return squares


@lru_cache(maxsize=256)
def _pairs(m: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """[m (m + 1) / 2] each: pairs (j, l) of nodes with l <= j."""
    with torch.inference_mode(mode=False):  # a caller in that mode may come first, a training next
        row, column = torch.tril_indices(m, m, device=device)
    return row, column


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
