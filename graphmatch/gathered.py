"""Negatives of all processes: the loss of a global batch that several processes share.

Each process encodes its share of the captions and its share of the distinct images or videos. All
encoded captions are gathered, each process scores its own items against all of them, and the rows
of scores are gathered, so that every process has the score matrix and the loss of the whole batch.
Gradients flow back the same way: what a gathered copy receives on any process is summed where it
came from. Every process has the same loss, so a gradient sums to W times its value, and the mean
over W processes, as every training with several of them takes it, is that of one process with the
whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, distributed, nn

from graphmatch.encoded import Encoded
from graphmatch.graphs.base import Graph
from graphmatch.graphs.batch import MatchBatch, batch_graphs
from graphmatch.graphs.text import TextGraph
from graphmatch.models.matcher import Matcher


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one process encodes of a global batch.

    Args:
        text: PyG batch of its captions.
        visual: PyG batch of its images or videos.
        texts: how many of the captions count; 0 for a process that has none and encodes one all the
            same, because all processes must take the same steps.
        visuals: how many of the images or videos count.
        owner: [n_text of all processes] int64 row of each caption's item among those of all.
        text_ids: ids of its captions.
        visual_ids: ids of its images or videos.
    """

    text: Any
    visual: Any
    texts: int
    visuals: int
    owner: Tensor
    text_ids: tuple[str, ...]
    visual_ids: tuple[str, ...]

    @classmethod
    def collate(
        cls,
        texts: Sequence[tuple[TextGraph, str]],
        visuals: Sequence[tuple[Graph, str]],
        *,
        count: tuple[int, int],
        owner: Tensor,
    ) -> Share:
        """A share of graphs with their ids.

        Args:
            texts: at least one caption.
            visuals: at least one image or video.
            count: how many captions and how many items count.
            owner: as the class has it.

        Returns:
            The share.

        Raises:
            GraphError: graphs that do not go together.
        """
        return cls(
            text=batch_graphs([graph for graph, _ in texts], follow=("word",)),
            visual=batch_graphs([graph for graph, _ in visuals]),
            texts=count[0],
            visuals=count[1],
            owner=owner,
            text_ids=tuple(key for _, key in texts),
            visual_ids=tuple(key for _, key in visuals),
        )

    def to(self, device: torch.device | str) -> Share:
        """The share on a device.

        Args:
            device: where to.

        Returns:
            A new share; this one stays where it is.
        """
        return replace(
            self,
            text=self.text.clone().to(device),
            visual=self.visual.clone().to(device),
            owner=self.owner.to(device),
        )


class BatchLoss(nn.Module):
    """The loss of a `MatchBatch`, or of the global batch of a `Share`; what a training wraps.

    Args:
        matcher: encodes, scores, and has the loss.
    """

    def __init__(self, matcher: Matcher) -> None:
        super().__init__()
        self.matcher = matcher

    def forward(self, batch: MatchBatch | Share) -> Tensor:
        """The loss.

        Args:
            batch: a batch of its own, or a share of the batch of all processes, each of which must
                call this with its share.

        Returns:
            A number; for a share the same on every process. Every process then holds all encoded
            captions, and the scores of all pairs.
        """
        if isinstance(batch, MatchBatch):
            loss: Tensor = self.matcher(batch)
            return loss
        visual = self.matcher.encode_visual(batch.visual)
        text = self.matcher.encode_text(batch.text)
        captions = gather_items(text[: batch.texts])
        rows = self.matcher.training_scores(visual, captions)  # [K, own n_v, n_t]
        counts = gather_counts(batch.visuals, rows.device)
        scores = gather_rows(rows[:, : batch.visuals].transpose(0, 1), counts)  # [n_v, K, n_t]
        return self.matcher.training_loss(scores.transpose(0, 1).contiguous(), batch.owner)


def gather_items(items: Encoded) -> Encoded:
    """Encoded items of all processes, with gradients; each process may have other numbers of them.

    Args:
        items: n items of this process, of any width; none is fine.

    Returns:
        The items of all processes, those of the first one first, as wide as the widest process has
        them. Half precision travels as float32. Synchronises the processes and their device.
    """
    device = items.nodes.device
    counts = gather_counts(len(items), device)
    items = items.widen(max(gather_counts(items.nodes.size(1), device)))
    return replace(
        items,
        nodes=gather_rows(items.nodes, counts),
        mask=gather_rows(items.mask, counts),
        pooled=None if items.pooled is None else gather_rows(items.pooled, counts),
        extra={name: gather_rows(value, counts) for name, value in items.extra.items()},
    )


def gather_rows(rows: Tensor, counts: Sequence[int]) -> Tensor:
    """A tensor of all processes, joined along the first axis, with gradients.

    Args:
        rows: [n, ...] of this process; the other sizes are the same on every process.
        counts: n of every process.

    Returns:
        [sum of counts, ...], of the dtype of `rows`.
    """
    dtype = rows.dtype
    if dtype in (torch.bfloat16, torch.float16):
        rows = rows.float()
    elif dtype == torch.bool:
        rows = rows.byte()
    padding = rows.new_zeros(max(counts) - len(rows), *rows.shape[1:])
    parts = _Gather.apply(torch.cat([rows, padding]))  # type: ignore[no-untyped-call]
    joined = torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])
    return joined.to(dtype)


def gather_counts(count: int, device: torch.device) -> list[int]:
    """A number of every process.

    Args:
        count: of this process.
        device: of the processes' messages.

    Returns:
        The numbers, in the order of the processes. Synchronises them.
    """
    if not distributed.is_initialized():
        return [count]
    own = torch.tensor([count], device=device)
    every = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
    distributed.all_gather(every, own)
    return torch.cat(every).tolist()


class _Gather(torch.autograd.Function):
    """[n, ...] of each process to a tuple of all; the gradients of all are summed for each."""

    @staticmethod
    def forward(_: Any, own: Tensor) -> tuple[Tensor, ...]:
        if not distributed.is_initialized():
            return (own.clone(),)
        every = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
        distributed.all_gather(every, own.contiguous())
        return tuple(every)

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        total = torch.stack(gradients)  # [W, n, ...]
        if not distributed.is_initialized():
            return total[0]
        distributed.all_reduce(total)
        return total[distributed.get_rank()]
