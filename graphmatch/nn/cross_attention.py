"""Attention between the nodes of captions and images: the SCAN family.

Source: SCAN (ECCV 2018), official code. Of C context items with m nodes and Q query items with n
nodes, z are the products of all nodes. For one pair of items, contexts j and queries i:

    z'_ji = LeakyReLU(z_ji, 0.1) / (sqrt(sum over queries i of LeakyReLU(z_ji, 0.1)^2) + 1e-8)
    a_ji = softmax over contexts j of scale * z'_ji

The first line normalises over the queries, the second over the contexts.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from graphmatch.errors import ConfigError, GraphError, check_choice

FirstNorm = Literal["clipped_l2norm", "l2norm", "clipped", "softmax", "no_norm"]
_BOUNDED = ("clipped_l2norm", "l2norm", "softmax")  # |z'| <= 1
_LARGEST = 30.0  # exp(2 * 30) leaves float32 room for squares of sums of many nodes


def check_first_norm(first_norm: str) -> None:
    """Raise `ConfigError` for a first normalisation that there is not.

    Args:
        first_norm: its name.

    Raises:
        ConfigError: an unknown name, or one of two that the official code names but cannot run.
    """
    if first_norm in ("l1norm", "clipped_l1norm"):
        raise ConfigError(
            f"first_norm {first_norm!r}: the official code has the name, but calls a function that "
            "does not exist; use 'l2norm' or 'clipped_l2norm'"
        )
    check_choice("first_norm", first_norm, get_args(FirstNorm))


def attention_weights(
    products: Tensor,
    scale: float,
    *,
    first_norm: FirstNorm = "clipped_l2norm",
    context_mask: Tensor | None = None,
    query_mask: Tensor | None = None,
    normalise: bool = False,
) -> Tensor:
    """How much each query node attends to each context node.

    Without `normalise` the weights of a query are right up to one positive factor, which is all
    that a cosine with the attended context needs; where |z'| <= 1 and the scale is moderate they
    are exp(scale * z'), without a maximum or a sum.

    Args:
        products: [C, m, Q, n] products z of m context nodes and n query nodes, at least float32.
        scale: inverse temperature, lambda of the paper (9 for t2i, 4 for i2t).
        first_norm: what is done to products first: "clipped_l2norm" as above, "l2norm" without
            LeakyReLU, "clipped" LeakyReLU alone, "softmax" over the queries, "no_norm" nothing.
        context_mask: [C, m] bool, which context nodes are real; all if None.
        query_mask: [Q, n] bool, which query nodes are real; all if None.
        normalise: whether weights of each query sum to 1 over the contexts.

    Returns:
        [C, m, Q, n] weights, 0 for contexts that are not real; those of queries that are not real
        mean nothing. Allocates a few tensors of this size; `products` is not changed.

    Raises:
        ConfigError: an unknown first normalisation.
        GraphError: products or masks of another shape.

    Example:
        >>> products = torch.tensor([[0.3, 0.3], [0.1, 0.2]]).view(1, 2, 1, 2)
        >>> attention_weights(products, 4.0, normalise=True).view(2, 2)
        tensor([[0.7388, 0.3210],
                [0.2612, 0.6790]])
    """
    _check_shapes(products, context_mask, query_mask)
    return weights_along(
        products.contiguous(),
        scale,
        contexts=1,
        queries=3,
        first_norm=first_norm,
        context_mask=None if context_mask is None else context_mask[:, :, None, None],
        query_mask=query_mask,
        normalise=normalise,
    )


def weights_along(
    products: Tensor,
    scale: float,
    *,
    contexts: int,
    queries: int,
    first_norm: FirstNorm = "clipped_l2norm",
    context_mask: Tensor | None = None,
    query_mask: Tensor | None = None,
    normalise: bool = False,
) -> Tensor:
    """`attention_weights` for any order of the axes.

    Args:
        products: products z of context and query nodes, at least float32, contiguous.
        scale: inverse temperature.
        contexts: axis of an item's context nodes; weights sum to 1 along it.
        queries: axis of an item's query nodes; the first normalisation is along it.
        first_norm: see `attention_weights`.
        context_mask: bool, which context nodes are real; broadcasts with `products`.
        query_mask: bool, which query nodes are real; broadcasts with `products`.
        normalise: whether weights of each query sum to 1 over the contexts.

    Returns:
        Weights of the shape of `products`, which are not changed; see `attention_weights`.

    Raises:
        ConfigError: an unknown first normalisation.

    Example:
        >>> products = torch.tensor([[0.3, 0.3], [0.1, 0.2]])
        >>> weights_along(products, 4.0, contexts=0, queries=1, normalise=True)
        tensor([[0.7388, 0.3210],
                [0.2612, 0.6790]])
    """
    check_first_norm(first_norm)
    in_place = not (torch.is_grad_enabled() and products.requires_grad)
    # exp(x) = 2^(x / log 2); torch's exp2 takes a third of the time of its exp on a CPU
    logits = _first(products, scale / math.log(2), first_norm, query_mask, queries)
    if first_norm not in _BOUNDED or scale > _LARGEST:
        if context_mask is not None:
            logits = logits.masked_fill(~context_mask, torch.finfo(logits.dtype).min)
        logits = logits - logits.detach().amax(dim=contexts, keepdim=True)
    weights = logits.exp2_() if in_place else logits.exp2()
    if context_mask is not None:
        real = context_mask.to(weights.dtype)
        weights = weights.mul_(real) if in_place else weights * real
    if normalise:
        total = weights.sum(dim=contexts, keepdim=True)
        total = total.clamp(min=torch.finfo(total.dtype).tiny)
        weights = weights.div_(total) if in_place else weights / total
    return weights


def _first(
    products: Tensor, scale: float, first_norm: str, query_mask: Tensor | None, axis: int
) -> Tensor:
    """A new tensor: scale * z'."""
    if first_norm == "softmax":
        if query_mask is not None:
            products = products.masked_fill(~query_mask, torch.finfo(products.dtype).min)
        return products.softmax(dim=axis) * scale
    in_place = not (torch.is_grad_enabled() and products.requires_grad)
    if first_norm.startswith("clipped"):
        clipped = functional.leaky_relu(products, 0.1)
    else:
        clipped = products.clone() if in_place else products
    if query_mask is not None:
        real = query_mask.to(clipped.dtype)
        clipped = clipped.mul_(real) if in_place else clipped * real
    if not first_norm.endswith("l2norm"):
        return clipped.mul_(scale) if in_place else clipped * scale
    if not in_place:
        length = torch.linalg.vector_norm(clipped, dim=axis, keepdim=True)
        return clipped * (scale / (length + 1e-8))  # type: ignore[no-any-return]
    square = clipped.square()
    if axis == clipped.dim() - 1:  # a product with ones: sums of short rows are slow on a CPU
        rows = square.view(-1, clipped.size(-1))
        with torch.autocast(rows.device.type, enabled=False):
            square = (rows @ rows.new_ones(rows.size(1))).view(*clipped.shape[:-1], 1)
    else:
        square = square.sum(dim=axis, keepdim=True)
    return clipped.mul_(scale / square.sqrt_().add_(1e-8))


def _check_shapes(products: Tensor, context_mask: Tensor | None, query_mask: Tensor | None) -> None:
    if products.dim() != 4:
        raise GraphError(f"products: expected [C, m, Q, n] (got {list(products.shape)})")
    for name, mask, shape in (
        ("context_mask", context_mask, products.shape[:2]),
        ("query_mask", query_mask, products.shape[2:]),
    ):
        if mask is not None and mask.shape != shape:
            raise GraphError(f"{name}: expected {list(shape)} (got {list(mask.shape)})")
