"""Intersection over union of segments on the time axis."""

from __future__ import annotations

import torch
from torch import Tensor


def segment_iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of segments, element by element.

    (min of ends - max of starts) / (max of ends - min of starts), 0 where that is negative: the
    segments are apart, or one of them ends before it starts. Two segments without length have 0.
    For segments that meet, this is the official metric of DRN (CVPR 2020) to the last bit.

    Args:
        first: [..., 2] start and end in any unit.
        second: [..., 2] in the same unit; shapes broadcast.

    Returns:
        [...] in [0, 1].

    Example:
        >>> segment_iou(torch.tensor([0.0, 2.0]), torch.tensor([[1.0, 3.0], [5.0, 6.0]]))
        tensor([0.3333, 0.0000])
    """
    common = torch.minimum(first[..., 1], second[..., 1]).sub_(
        torch.maximum(first[..., 0], second[..., 0])
    )
    hull = torch.maximum(first[..., 1], second[..., 1]).sub_(
        torch.minimum(first[..., 0], second[..., 0])
    )
    return common.clamp_(min=0).div_(hull.clamp_(min=torch.finfo(hull.dtype).tiny))
