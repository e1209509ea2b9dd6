"""Node-level matching of GSMN for all pairs of a tile, on products by block.

See `graphmatch.models.gsmn` for the equations. One batched matrix product gives the products of all
nodes in each of t blocks. Their sum over the blocks is what both attentions are made of, and they
are what the block cosines need besides Gram matrices; see `graphmatch.nn.block_cosine`.

Axes of a tile: t blocks, C images, R regions, n words, Q captions; captions come last, so that sums
over words and over regions both run along whole rows of memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from graphmatch.encoded import Encoded
from graphmatch.nn.block_cosine import (
    EPS,
    at_least_float32,
    attended_dot,
    attended_length,
    packed_gram,
    split_blocks,
)
from graphmatch.nn.cross_attention import weights_along

CHUNK = 1 << 22
"""Numbers that the products of one step hold: 16 MB, which the caches keep."""
SCRATCH = 1 << 19
"""Numbers of the intermediates that are made of them at a time; more if one item needs it."""


class _Products(NamedTuple):
    """Products of all nodes of some pairs of items.

    Args:
        by_block: [t, C, R, n, Q].
        summed: [C, R, n, Q] their sum over the blocks.
        regions: [C, R, 1, 1] bool, which regions are real; None if all are.
        words: [n, Q] bool, which words are real; None if all are.
        scratch: flat memory for what is computed from them; None with gradients.
    """

    by_block: Tensor
    summed: Tensor
    regions: Tensor | None
    words: Tensor | None
    scratch: Tensor | None


def with_blocks(items: Encoded, blocks: int) -> Encoded:
    """Add what block cosines need of each item alone.

    Args:
        items: n captions or images of up to M nodes.
        blocks: t, number of blocks; it divides the numbers of a node.

    Returns:
        The items with `extra["lengths"]` [n, t, M], and with `extra["gram"]` from `packed_gram`
        unless there are more nodes than numbers in a block.
    """
    nodes = split_blocks(at_least_float32(items.nodes), blocks)  # [n, M, t, D / t]
    lengths = torch.linalg.vector_norm(nodes, dim=-1).transpose(1, 2).contiguous()
    items = items.with_extra(axes={"lengths": (2,)}, lengths=lengths)
    if nodes.size(1) > nodes.size(-1):
        return items
    return items.with_extra(axes={}, gram=packed_gram(items.nodes, blocks))


def node_cosines(
    visual: Encoded, text: Encoded, *, scale: float, blocks: int
) -> Iterator[tuple[Encoded, Tensor, Tensor]]:
    """Node matching vectors of all pairs, a few images at a time.

    Without gradients, the steps share their memory, because mapping new memory takes longer than
    the computation.

    Args:
        visual: images from `with_blocks`, at least one.
        text: Q captions from `with_blocks`, at least one.
        scale: inverse temperature of the attention.
        blocks: t, number of blocks.

    Yields:
        C images; [t, C, n, Q] block cosines of words with the regions that they attend to;
        [t, C, R, Q] of regions with the words.
    """
    images, regions, _ = visual.nodes.shape
    n, queries = text.nodes.size(1), text.mask.numel()
    size = blocks * regions * queries  # products of one image
    steps = -(-images // max(1, CHUNK // size))
    step = -(-images // steps)  # about as many in each
    # [t, n Q, D / t] in memory: bfloat16 products are slow on strided matrices
    words = split_blocks(text.nodes, blocks).permute(2, 1, 0, 3).flatten(1, 2).contiguous().mT
    memory = None
    if not torch.is_grad_enabled():
        row = regions * queries  # of one image
        scratch = max(SCRATCH, step * row, (regions + 1) * row, step * (n + 1) * regions * n)
        memory = text.extra["lengths"].new_empty(step * size + scratch)
    real_words, real_regions = _padding(text.mask), _padding(visual.mask)
    for start in range(0, images, step):
        some = visual[start : start + step]
        by_block, scratch_memory = _products(some, words, memory)  # [t, C R, n Q]
        real = None if real_regions is None else some.mask[:, :, None, None]
        by_block = by_block.view(blocks, len(some), regions, n, len(text))
        products = _Products(by_block, by_block.sum(dim=0), real, real_words, scratch_memory)
        word_x = _word_cosines(products, some, text, scale=scale, blocks=blocks)
        region_x = _region_cosines(products, some, text, scale=scale, blocks=blocks)
        yield some, word_x, region_x


def _products(
    visual: Encoded, words: Tensor, memory: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """[t, C R, n Q] products with words by block [t, D / t, n Q], and what of `memory` is left."""
    nodes = split_blocks(visual.nodes, len(words)).flatten(0, 1)  # [C R, t, D / t]
    nodes = nodes.transpose(0, 1).contiguous()
    if memory is None:
        return at_least_float32(nodes @ words), None
    shape = len(words), nodes.size(1), words.size(-1)
    size = math.prod(shape)
    products = memory[:size].view(shape)
    if words.dtype == products.dtype:
        torch.bmm(nodes, words, out=products)
    else:
        products.copy_(nodes @ words)
    return products, memory[size:]


def _word_cosines(
    products: _Products, visual: Encoded, text: Encoded, *, scale: float, blocks: int
) -> Tensor:
    """[t, C, n, Q]."""
    weights = weights_along(
        products.summed,
        scale,
        contexts=1,
        queries=2,
        context_mask=products.regions,
        query_mask=products.words,
        normalise=True,  # EPS is meant for weights that sum to 1
    )  # [C, R, n, Q]
    dot = attended_dot(products.by_block, weights, 1, products.scratch)  # [t, C, n, Q]
    length = attended_length(
        visual.nodes,
        weights.flatten(2),
        blocks,
        gram=visual.extra.get("gram"),
        scratch=products.scratch,
    )  # [C, t, n Q]
    lengths = text.extra["lengths"].permute(1, 2, 0).unsqueeze(1)  # [t, 1, n, Q]
    return _cosine(dot, length.transpose(0, 1).reshape(dot.shape) * lengths)


def _region_cosines(
    products: _Products, visual: Encoded, text: Encoded, *, scale: float, blocks: int
) -> Tensor:
    """[t, C, R, Q]."""
    weights = weights_along(
        products.summed,
        scale,
        contexts=2,
        queries=1,
        context_mask=products.words,
        query_mask=products.regions,
        normalise=True,
    )  # [C, R, n, Q]
    dot = attended_dot(products.by_block, weights, 2, products.scratch)  # [t, C, R, Q]
    length = attended_length(
        text.nodes,
        weights.permute(3, 2, 0, 1).flatten(2),  # [Q, n, C R]
        blocks,
        gram=text.extra.get("gram"),
        scratch=products.scratch,
    )  # [Q, t, C R]
    lengths = visual.extra["lengths"].transpose(0, 1).unsqueeze(-1)  # [t, C, R, 1]
    return _cosine(dot, length.permute(1, 2, 0).reshape(dot.shape) * lengths)


def _cosine(dot: Tensor, lengths: Tensor) -> Tensor:
    """Rounding may pass 1 where contexts cancel, so the limits are set."""
    if torch.is_grad_enabled() and dot.requires_grad:
        return (dot / lengths.clamp(min=EPS)).clamp(-1, 1)
    return dot.div_(lengths.clamp_(min=EPS)).clamp_(-1, 1)


def _padding(mask: Tensor) -> Tensor | None:
    """[M, N] of a mask [N, M]; None where all are real, which is looked at on a CPU only."""
    return None if mask.device.type == "cpu" and bool(mask.all()) else mask.T
