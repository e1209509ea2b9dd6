"""`Backbone`: what turns images into feature maps that regions are pooled from."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class Backbone(Protocol):
    """An image network that gives one or more feature maps.

    Attributes:
        name: what it is, for the manifest of a store.
        version: of the weights and the options: whatever changes its results.
        side: S, width and height in pixels of the images it is meant for.
        channels: C of each map, in the order of `maps`.
    """

    name: str
    version: str
    side: int
    channels: tuple[int, ...]

    @property
    def device(self) -> torch.device:
        """Where the weights are, and so where images are to be."""
        ...

    def maps(self, images: Tensor) -> list[Tensor]:
        """Feature maps of images.

        Args:
            images: [B, 3, S, S] RGB from 0 to 255, uint8 or floating; the backbone normalises.

        Returns:
            [B, C, h, w] a map, each covering the whole image.
        """
        ...
