"""`MomentHeads`: every point of a pyramid over time predicts a moment, a match and an IoU.

Source: Dense Regression Network for Video Grounding (DRN), R. Zeng et al., CVPR 2020, arXiv
2004.03545; official code, `model/fcos/`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from graphmatch.nn.conv_norm import ConvNorm
from graphmatch.nn.moment_targets import LEVELS


class Predictions(NamedTuple):
    """Predictions of P points, the finest level first, float32 at least.

    Args:
        match: [B, P] logit of the match with the query.
        distance: [B, P, 2] distances to start and end of the moment in clip units, above 0.
        iou: [B, P] logit of the IoU of that moment with the true one.
    """

    match: Tensor
    distance: Tensor
    iou: Tensor


class MomentHeads(nn.Module):
    """Three heads; one set of weights for all levels, but for a factor of the distances.

    | part | layers |
    |---|---|
    | towers A (match) and R (distance) | `tower_layers` x ConvNorm, kernel 3 |
    | match | convolution of A, kernel 3 |
    | distances | exp(s_l * convolution of R, kernel 3) with a learned factor s_l |
    | IoU | ConvNorm of [A ; R], kernel 1; ConvNorm, kernel 3; convolution, kernel 1 |

    In training each level is normalised with its own statistics, and the running statistics are
    updated three times, the finest level first. The biases of convolutions before a normalisation
    have no effect; official checkpoints have them.

    Args:
        size: channels of the pyramid.
        tower_layers: of each tower.
        prior: probability of a match that the heads begin with.

    Example:
        >>> heads = MomentHeads(4)
        >>> found = heads([torch.randn(2, 4, size) for size in (8, 4, 2)])
        >>> found.match.shape, found.distance.shape, found.iou.shape
        (torch.Size([2, 14]), torch.Size([2, 14, 2]), torch.Size([2, 14]))
    """

    def __init__(self, size: int, *, tower_layers: int = 1, prior: float = 0.01) -> None:
        super().__init__()
        half = max(1, size // 2)
        self.match_tower = _tower(size, tower_layers)
        self.distance_tower = _tower(size, tower_layers)
        self.match = nn.Conv1d(size, 1, 3, padding=1)
        self.distance = nn.Conv1d(size, 2, 3, padding=1)
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(1)) for _ in range(LEVELS))
        self.mix = ConvNorm(2 * size, size, kernel=1, bias=True)
        self.iou_hidden = ConvNorm(size, half, kernel=3, bias=True)
        self.iou = nn.Conv1d(half, 1, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv1d) and layer.bias is not None:
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)
        assert self.match.bias is not None
        nn.init.constant_(self.match.bias, -math.log((1 - prior) / prior))

    def forward(
        self, levels: Sequence[Tensor], masks: Sequence[Tensor] | None = None
    ) -> Predictions:
        """Predict.

        Args:
            levels: three of [B, size, T_l].
            masks: three of [B, T_l] bool, which columns are real; None if all are.

        Returns:
            Predictions of P = sum of T_l points.
        """
        parts = [
            self.level(x, number, None if masks is None else masks[number])
            for number, x in enumerate(levels)
        ]
        match, distance, iou = (torch.cat(part, dim=1) for part in zip(*parts, strict=True))
        return Predictions(match, distance, iou)

    def level(self, x: Tensor, number: int, mask: Tensor | None = None) -> Predictions:
        """Predictions of one level: x [B, size, T], its number from 0, mask [B, T] or None."""
        match, distance = x, x
        for layer in self.match_tower:
            match = layer(match, mask)
        for layer in self.distance_tower:
            distance = layer(distance, mask)
        mixed = self.mix(torch.cat((match, distance), dim=1), mask)
        iou = self.iou(self.iou_hidden(mixed, mask))  # [B, 1, T]
        exponent = self.scales[number] * _wide(self.distance(distance))  # [B, 2, T]
        return Predictions(
            match=_wide(self.match(match)).squeeze(1),
            distance=exponent.exp().transpose(1, 2),
            iou=_wide(iou).squeeze(1),
        )

    def iou_parameters(self) -> list[nn.Parameter]:
        """Parameters that the IoU alone depends on."""
        parts = (self.mix, self.iou_hidden, self.iou)
        return [parameter for part in parts for parameter in part.parameters()]


def _tower(size: int, layers: int) -> nn.ModuleList:
    return nn.ModuleList(ConvNorm(size, size, kernel=3, bias=True) for _ in range(layers))


def _wide(x: Tensor) -> Tensor:
    """In float32 at least: sums of losses and exponentials want it."""
    return x.float() if x.dtype.itemsize < 4 else x
