"""`ClipGraph`: a video as a chain of clips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from graphmatch.graphs.base import Graph, Rule, require
from graphmatch.graphs.chain import node_ptr, temporal_chain


class ClipGraph(Graph):
    """L clips of one video in the order of time.

    Args:
        x: [L, F] features.
        time: [L, 2] start and end of each clip in seconds, sorted.
        duration: [1] length of the video in seconds.

    Example:
        >>> time = torch.tensor([[0.0, 2.0], [2.0, 4.0]])
        >>> clips = ClipGraph(x=torch.zeros(2, 5), time=time, duration=torch.tensor([4.5]))
        >>> clips
        ClipGraph(2 clips in 4.5 s; 5 features)
        >>> clips.chain().tolist()
        [[0, 1], [1, 0]]
    """

    RULES: ClassVar[Mapping[str, Rule]] = {
        "x": Rule(shape=("N", "F")),
        "time": Rule(shape=("N", 2)),
        "duration": Rule(shape=(1,)),
    }

    def __init__(
        self,
        *,
        x: Tensor | None = None,
        time: Tensor | None = None,
        duration: Tensor | None = None,
    ) -> None:
        super().__init__()
        self._fill(x=x, time=time, duration=duration)

    def chain(self) -> Tensor:
        """Edges between neighbouring clips, both ways; for a batch, inside each video.

        Returns:
            edge_index [2, E] int64; derived, never stored.
        """
        return temporal_chain(node_ptr(self))

    def _check(self) -> None:
        start, end = self.time.unbind(-1)  # [L] each
        require(bool((start <= end).all()), "time", "clips that start before they end", "others")
        ascending = (start.diff() > 0) | ((start.diff() == 0) & (end.diff() >= 0))
        require(bool(ascending.all()), "time", "clips sorted by start and end", "others")
        inside = bool(((self.time >= 0) & (self.time <= self.duration)).all())
        require(inside, "time", f"seconds in [0, {float(self.duration):g}]", "others")
        require(bool((self.duration >= 0).all()), "duration", "seconds from 0", self.duration)

    def _inside(self) -> str:
        features = self.x.size(-1) if self.get("x") is not None else 0
        seconds = float(torch.as_tensor(self.get("duration", 0.0)).sum())
        return f"{self.num_nodes} clips in {seconds:g} s; {features} features"
