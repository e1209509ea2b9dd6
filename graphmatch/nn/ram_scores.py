"""Scores of IMRAM's recurrent attention, without any attended context.

Source: IMRAM (CVPR 2020) sections 3.2 and 3.3; `graphmatch.nn.ram_block` has the equations. Exact
savings over the official code, which makes all d numbers of every attended context:

1. no memory is updated after the last step, where nothing reads it;
2. contexts are projected once per item, and the projections are averaged by the attention;
3. the first memory is the query itself, whose projection is computed once per item, too;
4. cosines come from the products of the first step and from the Gram matrices of the contexts.

What is left is one product of d x 2d per pair, query node and update from the second on.
"""

from __future__ import annotations

from functools import partial
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from graphmatch.encoded import Encoded
from graphmatch.nn.attended_cosine import attended_cosine, gram_matrices, node_lengths
from graphmatch.nn.cross_attention import FirstNorm, attention_weights
from graphmatch.nn.ram_block import RAMBlock, distil, mix

_ROWS = 1024  # query nodes whose memory is updated at once: 8 MB of projections in float32,
_DEVICE_ROWS = 1 << 16  # and 512 MB on a GPU, which small parts would leave idle
_PRODUCTS = 1 << 18  # products whose attention is computed at once where nothing is updated: 1 MB


def prepare_contexts(items: Encoded, block: RAMBlock, *, steps: int) -> Encoded:
    """Add what contexts need: `gram` [n, M, M], and `context_part` [n, M, 2d] for updates.

    Args:
        items: n encoded items.
        block: weights of the direction in which they are contexts.
        steps: K; without a second step there is no update.

    Returns:
        The items with more in `extra`.
    """
    items = items.with_extra(axes={"gram": (1, 2)}, gram=gram_matrices(items.nodes))
    if steps == 1:
        return items
    part = block.project_contexts(items.nodes)  # [n, M, 2d]
    return items.with_extra(axes={"context_part": (1,)}, context_part=part)


def prepare_queries(items: Encoded, block: RAMBlock, *, steps: int) -> Encoded:
    """Add what queries need: `lengths` [n, M], and `memory_part` [n, M, 2d] for updates.

    Args:
        items: n encoded items.
        block: weights of the direction in which they are queries.
        steps: K; without a second step there is no update.

    Returns:
        The items with more in `extra`.
    """
    items = items.with_extra(axes={"lengths": (1,)}, lengths=node_lengths(items.nodes))
    if steps == 1:
        return items
    part = block.project_memory(items.nodes)  # [n, M, 2d]
    return items.with_extra(axes={"memory_part": (1,)}, memory_part=part)


def ram_scores(
    contexts: Encoded,
    queries: Encoded,
    products: Tensor,
    *,
    block: RAMBlock,
    steps: int,
    scale: float,
    first_norm: FirstNorm = "clipped_l2norm",
) -> Tensor:
    """Scores of one direction: sum over the steps of the mean cosine of the real query nodes.

    Args:
        contexts: C items from `prepare_contexts`, m nodes each.
        queries: Q items from `prepare_queries`, n nodes each.
        products: [C, m, Q, n] products of their nodes, at least float32, of any strides; not
            changed.
        block: weights of the direction.
        steps: K.
        scale: inverse temperature of the attention.
        first_norm: normalisation of products, see `attention_weights`.

    Returns:
        [C, Q] in the dtype of `products`. Allocates a few tensors of about 1,024 query nodes by d
        (65,536 on a GPU); with gradients it keeps 3d numbers for each query node of a pair and
        update. Looks at the masks if they are on the CPU.
    """
    c_mask, q_mask = _padding(contexts.mask), _padding(queries.mask)
    attend = partial(attention_weights, scale=scale, first_norm=first_norm)
    weight = block.memory_weight(queries.nodes.dtype) if steps > 2 else None
    m, n = products.size(1), products.size(3)
    most = _ROWS if steps > 1 else _PRODUCTS // m  # query nodes of a part
    if products.device.type != "cpu":
        most = _DEVICE_ROWS
    rows = []
    for q in _slices(len(queries), most // n):
        part = queries[q]
        parts = []
        for c in _slices(len(contexts), most // (len(part) * n)):
            cosines = _cosines(
                contexts[c],
                part,
                # a copy: cosines overwrite it, and the other direction reads the products too
                products[c, :, q].clone(memory_format=torch.contiguous_format),
                block=block,
                weight=weight,
                steps=steps,
                attend=partial(
                    attend,
                    context_mask=None if c_mask is None else c_mask[c],
                    query_mask=None if q_mask is None else q_mask[q],
                ),
            )  # [c, q, n]
            parts.append(_mean(cosines, None if q_mask is None else q_mask[q]))
        rows.append(torch.cat(parts))  # [C, q]
    return torch.cat(rows, dim=1)


class _Attend(Protocol):
    def __call__(self, products: Tensor, *, normalise: bool) -> Tensor: ...


def _cosines(
    contexts: Encoded,
    queries: Encoded,
    products: Tensor,
    *,
    block: RAMBlock,
    weight: Tensor | None,
    steps: int,
    attend: _Attend,
) -> Tensor:
    """[C, Q, n] cosines, summed over the steps; `weight` is W_x of the memory, for three steps."""
    gram, lengths = contexts.extra["gram"], queries.extra["lengths"]
    if steps == 1:
        return attended_cosine(products, attend(products, normalise=False), gram, lengths)
    context_part = contexts.extra["context_part"]  # [C, m, 2d]
    memory = queries.nodes.reshape(1, -1, queries.nodes.size(-1))  # [1, Q * n, d]
    memory_part = queries.extra["memory_part"].reshape(1, memory.size(1), -1)
    memory_part = memory_part.expand(len(contexts), -1, -1)  # [C, Q * n, 2d]
    weights = attend(products, normalise=True)  # [C, m, Q, n]
    total = attended_cosine(products.clone(), weights, gram, lengths)
    for step in range(2, steps + 1):
        if weight is not None and step > 2:
            memory_part = functional.linear(memory, weight)
        mixed = mix(memory_part, weights.flatten(2), context_part, reuse=step > 2)
        memory = distil(memory, mixed, normalise=block.normalise)  # [C, Q * n, d]
        current = torch.bmm(contexts.nodes, memory.transpose(1, 2)).view_as(products)
        weights = attend(current.to(products.dtype), normalise=step < steps)
        total = total + attended_cosine(products.clone(), weights, gram, lengths)
    return total


def _mean(cosines: Tensor, mask: Tensor | None) -> Tensor:
    """[C, Q] means of the real nodes of [C, Q, n]; 0 for an item without any."""
    if mask is None:
        return cosines.mean(dim=-1)
    return cosines.masked_fill(~mask, 0).sum(dim=-1) / mask.sum(dim=-1).clamp(min=1)


def _slices(count: int, most: int) -> list[slice]:
    most = max(1, most)
    return [slice(start, start + most) for start in range(0, count, most)]


def _padding(mask: Tensor) -> Tensor | None:
    """The mask, or None if it is on the CPU, where looking is cheap, and all nodes are real."""
    return None if mask.device.type == "cpu" and bool(mask.all()) else mask
