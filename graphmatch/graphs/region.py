"""`RegionGraph`: an image as its detected regions.

The graph is complete; its polar edges follow from the boxes and are never stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from graphmatch.graphs.base import Graph, Rule, require


class RegionGraph(Graph):
    """R regions of one image.

    Args:
        x: [R, F] features.
        box: [R, 4] x1 y1 x2 y2 in [0, 1] of the image's width and height.
        size: [1, 2] width and height of the image in pixels.
        label: [R] int64 class of each region; optional.
        score: [R] confidence of each region in [0, 1]; optional.

    Example:
        >>> import torch
        >>> RegionGraph(x=torch.zeros(2, 5), box=torch.tensor([[0, 0, 1, 1], [0, 0, 0.5, 0.5]]),
        ...             size=torch.tensor([[640.0, 480.0]]))
        RegionGraph(2 regions of 640 x 480 pixels; 5 features)
    """

    RULES: ClassVar[Mapping[str, Rule]] = {
        "x": Rule(shape=("N", "F")),
        "box": Rule(shape=("N", 4)),
        "size": Rule(shape=(1, 2)),
        "label": Rule(shape=("N",), dtype="int", optional=True),
        "score": Rule(shape=("N",), optional=True),
    }

    def __init__(
        self,
        *,
        x: Tensor | None = None,
        box: Tensor | None = None,
        size: Tensor | None = None,
        label: Tensor | None = None,
        score: Tensor | None = None,
    ) -> None:
        super().__init__()
        self._fill(x=x, box=box, size=size, label=label, score=score)

    @property
    def size(self) -> Tensor:
        """[1, 2] width and height of the image in pixels, [B, 2] of a batch."""
        return self["size"]  # type: ignore[no-any-return]  # PyG's method of this name hides it

    def _check(self) -> None:
        box = self.box
        inside = bool(((box >= 0) & (box <= 1)).all())
        require(inside, "box", "coordinates in [0, 1] of width and height", _extremes(box))
        ordered = bool((box[:, :2] <= box[:, 2:]).all())
        require(ordered, "box", "x1 <= x2 and y1 <= y2", "corners the other way round")
        require(bool((self.size > 0).all()), "size", "pixels above 0", self.size.tolist())
        if self.get("score") is not None:
            fits = bool(((self.score >= 0) & (self.score <= 1)).all())
            require(fits, "score", "confidences in [0, 1]", _extremes(self.score))

    def _inside(self) -> str:
        features = self.x.size(-1) if self.get("x") is not None else 0
        sizes = self.size.view(-1, 2).tolist() if self.get("size") is not None else []
        image = f" of {sizes[0][0]:g} x {sizes[0][1]:g} pixels" if len(sizes) == 1 else ""
        return f"{self.num_nodes} regions{image}; {features} features"


def _extremes(values: Tensor) -> str:
    return f"{float(values.min()):g} to {float(values.max()):g}" if values.numel() else "none"
