"""Cosines of queries with their attended contexts, without making those contexts.

Of a context item with the nodes y_j and a query x_i with the weights w_j, the attended context is
a = sum_j w_j y_j, and

    x_i . a = sum_j w_j (x_i . y_j),    |a|^2 = sum_jk w_j w_k (y_j . y_k)

so the products that gave the weights and one Gram matrix for each context item are enough. Source
of the cosine x . a / max(|x| |a|, 1e-8): SCAN (ECCV 2018), official code; the rest is algebra.
"""

from __future__ import annotations

import torch
from torch import Tensor


def node_products(contexts: Tensor, queries: Tensor) -> Tensor:
    """Products of all nodes of context items with all nodes of query items.

    Args:
        contexts: [C, m, d] nodes.
        queries: [Q, n, d] nodes of the same dtype.

    Returns:
        [C, m, Q, n] from one matrix product, float32 for half precision. Allocates C m x Q n.

    Example:
        >>> node_products(torch.ones(2, 3, 8), torch.ones(4, 5, 8)).shape
        torch.Size([2, 3, 4, 5])
    """
    products = contexts.reshape(-1, contexts.size(-1)) @ queries.reshape(-1, queries.size(-1)).T
    products = products.view(*contexts.shape[:2], *queries.shape[:2])
    return products if products.dtype == torch.float64 else products.float()


def gram_matrices(nodes: Tensor) -> Tensor:
    """Products of the nodes of each item with each other.

    Args:
        nodes: [C, m, d] nodes.

    Returns:
        [C, m, m], float32 for half precision, also where autocast would choose less.

    Example:
        >>> gram_matrices(torch.tensor([[[3.0, 4.0], [1.0, 0.0]]]))
        tensor([[[25.,  3.],
                 [ 3.,  1.]]])
    """
    exact = nodes if nodes.dtype == torch.float64 else nodes.float()
    with torch.autocast(nodes.device.type, enabled=False):
        return exact @ exact.transpose(1, 2)


def node_lengths(nodes: Tensor) -> Tensor:
    """Length of each node.

    Args:
        nodes: [Q, n, d] nodes.

    Returns:
        [Q, n], float32 for half precision.
    """
    exact = nodes if nodes.dtype == torch.float64 else nodes.float()
    lengths: Tensor = torch.linalg.vector_norm(exact, dim=-1)
    return lengths


def attended_cosine(
    products: Tensor, weights: Tensor, gram: Tensor, lengths: Tensor, *, eps: float = 1e-8
) -> Tensor:
    """Cosine of every query node with what it attends to in every context item.

    Args:
        products: [C, m, Q, n] as `node_products` gives them; may be overwritten where no gradient
            is needed.
        weights: [C, m, Q, n] as `attention_weights` gives them; right up to a positive factor.
        gram: [C, m, m] as `gram_matrices` gives them.
        lengths: [Q, n] as `node_lengths` gives them.
        eps: the product of the two lengths counts as this much at least, the context being that of
            weights with the sum 1; 0 for no such limit.

    Returns:
        [C, Q, n] in [-1, 1]; 0 where the query or the attended context is 0. Allocates C m x Q n.

    Example:
        >>> contexts, queries = torch.eye(2).view(1, 2, 2), torch.tensor([[[3.0, 4.0]]])
        >>> products = node_products(contexts, queries)
        >>> attended_cosine(products, torch.ones(1, 2, 1, 1), gram_matrices(contexts),
        ...                 node_lengths(queries))  # (1, 1) and (3, 4)
        tensor([[[0.9899]]])
    """
    contexts, m, queries, n = weights.shape
    with torch.autocast(weights.device.type, enabled=False):
        mixed = torch.bmm(gram, weights.reshape(contexts, m, queries * n)).view_as(weights)
    if torch.is_grad_enabled() and (products.requires_grad or weights.requires_grad):
        square, dot = (mixed * weights).sum(dim=1), (products * weights).sum(dim=1)  # [C, Q, n]
    else:
        square, dot = mixed.mul_(weights).sum(dim=1), products.mul_(weights).sum(dim=1)
    tiny = torch.finfo(square.dtype).tiny
    length = square.clamp(min=tiny).sqrt() * lengths.clamp(min=tiny**0.5)
    if eps:
        length = length.maximum(eps * weights.sum(dim=1))
    return (dot / length).clamp(-1, 1)  # rounding may pass 1, above all where contexts cancel
