"""What corresponds to what in GSMN: attention maps and node vectors, made the simple way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from graphmatch.encoded import Encoded
from graphmatch.nn.block_cosine import at_least_float32, block_cosine
from graphmatch.nn.cross_attention import attention_weights


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GSMNAlignment:
    """What corresponds to what in every pair of n_v images and n_t captions; R regions, n words.

    Args:
        word_attention: [n_v, n_t, n, R] of each word over the regions, sums to 1.
        region_attention: [n_v, n_t, R, n] of each region over the words, sums to 1.
        word_x: [n_v, n_t, n, t] block cosines of words with what they attend to.
        region_x: [n_v, n_t, R, t] block cosines of regions.
        word_hidden: [n_v, n_t, n, H] after the convolution of the textual graph.
        region_hidden: [n_v, n_t, R, H] after the convolution of the visual graph.
        textual: [n_v, n_t] scores of the textual graph.
        visual: [n_v, n_t] scores of the visual graph.
    """

    word_attention: Tensor
    region_attention: Tensor
    word_x: Tensor
    region_x: Tensor
    word_hidden: Tensor
    region_hidden: Tensor
    textual: Tensor
    visual: Tensor


class NodeMatches(NamedTuple):
    """Node-level matching: the first four fields of `GSMNAlignment`."""

    word_attention: Tensor
    region_attention: Tensor
    word_x: Tensor
    region_x: Tensor


def node_matches(visual: Encoded, text: Encoded, *, scale: float, blocks: int) -> NodeMatches:
    """Attention both ways, and block cosines with contexts that are made.

    Args:
        visual: n_v images.
        text: n_t captions.
        scale: inverse temperature of the attention.
        blocks: t, number of blocks.

    Returns:
        The matches; 0 for padding. Allocates d numbers for every pair of an item and a node.
    """
    regions, words = at_least_float32(visual.nodes), at_least_float32(text.nodes)
    found = []
    for context, context_mask, query, query_mask in (
        (regions, visual.mask, words, text.mask),
        (words, text.mask, regions, visual.mask),
    ):
        attention = attention_weights(
            torch.einsum("cmd,qnd->cmqn", context, query),
            scale,
            context_mask=context_mask,
            query_mask=query_mask,
            normalise=True,
        )
        attention = (attention * query_mask).permute(0, 2, 3, 1)  # [C, Q, n, m]
        attended = torch.einsum("cqnm,cmd->cqnd", attention, context)
        found.append((attention, block_cosine(query, attended, blocks)))
    (word_attention, word_x), (region_attention, region_x) = found
    return NodeMatches(
        word_attention, region_attention.transpose(0, 1), word_x, region_x.transpose(0, 1)
    )
