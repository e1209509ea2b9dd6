"""`align`: what HGR's scores are made of, for pictures and tests."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from graphmatch.columns import KINDS
from graphmatch.encoded import Encoded
from graphmatch.nn.frame_attention import frame_weights
from graphmatch.nn.frame_scores import Fusion, unit_vectors


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HGRAlignment:
    """What attends to what in every pair of n_v videos and n_t captions.

    Args:
        attention: [n_v, n_t, F, M] phi of each action and entity over the frames of its level, sums
            to 1; 0 for padding and for the event, which does not attend.
        similarity: [n_v, n_t, M] score of each node; 0 for padding.
        levels: [3, n_v, n_t] scores of events, actions and entities.
    """

    attention: Tensor
    similarity: Tensor
    levels: Tensor


def align(visual: Encoded, text: Encoded, *, scale: float, fusion: Fusion) -> HGRAlignment:
    """Attention and scores of all pairs, step by step as in the official code.

    Args:
        visual: n_v videos, not prepared.
        text: n_t captions, not prepared.
        scale: lambda of `frame_weights`.
        fusion: "embed" or "sim".

    Returns:
        The alignment. Allocates D numbers for every pair of a video and a node.
    """
    count, width, size = text.nodes.shape
    nodes, _ = unit_vectors(text.nodes.reshape(-1, size))  # [n_t M, D]
    kind = text.extra["kind"].masked_fill(~text.mask, -1)  # [n_t, M]
    real = visual.mask.unsqueeze(-1)  # [n_v, F, 1]
    padding = torch.zeros_like(visual.mask, dtype=nodes.dtype).masked_fill(~visual.mask, -torch.inf)
    event, _ = unit_vectors(visual.nodes[:, 0] if visual.pooled is None else visual.pooled)
    own = (event @ nodes.T).view(-1, count, width)  # [n_v, n_t, M]
    similarity = own * (kind == KINDS.index("event"))
    attention = similarity.new_zeros(len(visual), visual.nodes.size(1), count, width)
    for level, frames in (("action", visual.nodes), ("entity", visual.extra["entity"])):
        cosine = (unit_vectors(frames * real)[0] @ nodes.T) * real  # [n_v, F, n_t M]
        weights = frame_weights(cosine, padding, scale)
        phi = weights / weights.sum(dim=1, keepdim=True)
        if fusion == "embed":
            mean = torch.einsum("vfn,vfd->vnd", phi, frames)  # [n_v, n_t M, D]
            score = (unit_vectors(mean)[0] * nodes).sum(dim=-1)
        else:
            score = (phi * cosine).sum(dim=1)
        here = kind == KINDS.index(level)  # [n_t, M]
        similarity = similarity + score.view(-1, count, width) * here
        attention = attention + phi.view(*attention.shape) * here
    sums = [(similarity * (kind == number)).sum(dim=-1) for number in range(3)]  # [n_v, n_t] each
    counts = [(kind == number).sum(dim=-1).clamp(min=1) for number in range(3)]  # [n_t] each
    return HGRAlignment(
        attention=attention.transpose(1, 2),
        similarity=similarity,
        levels=torch.stack([total / n for total, n in zip(sums, counts, strict=True)]),
    )
