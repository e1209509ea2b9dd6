"""InterBERT's box geometry, five numbers a region, and the region of the whole image.

Source: InterBERT (arXiv 2003.13198); official code, `bertmodel/datasets/concept_cap_dataset.py`
(pre-training) and the reader of image features (fine-tuning).
"""

from __future__ import annotations

import torch
from torch import Tensor

from graphmatch.errors import GraphError


def box_location(
    box: Tensor, size: tuple[float, float] | Tensor, mask: Tensor | None = None
) -> Tensor:
    """Where regions lie: [x1 / W, y1 / H, x2 / W, y2 / H, (x2 - x1) (y2 - y1) / (W H)].

    Args:
        box: [..., R, 4] x1 y1 x2 y2 in pixels.
        size: width W and height H of the image in pixels, or [..., 2] of each image.
        mask: [..., R] bool, false on padding, whose rows become 0; None is no padding.

    Returns:
        [..., R, 5] float32.

    Raises:
        GraphError: another shape, or a pair `size` below 1.

    Example:
        >>> box_location(torch.tensor([[50.0, 0.0, 100.0, 50.0]]), (200, 100))
        tensor([[0.2500, 0.0000, 0.5000, 0.5000, 0.1250]])
    """
    if box.dim() < 2 or box.size(-1) != 4:
        raise GraphError(f"box: expected shape [..., R, 4] (got {list(box.shape)})")
    if not isinstance(size, Tensor) and min(size) < 1:
        raise GraphError(f"size: expected a width and a height from 1 pixel (got {size})")
    box = box.float()
    scale = torch.as_tensor(size, dtype=torch.float32, device=box.device).unsqueeze(-2)
    side = box[..., 2:] - box[..., :2]  # [..., R, 2]
    area = side.prod(dim=-1, keepdim=True) / scale.prod(dim=-1, keepdim=True)  # [..., R, 1]
    location = torch.cat([box / torch.cat([scale, scale], dim=-1), area], dim=-1)  # [..., R, 5]
    return location if mask is None else location.masked_fill(~mask.unsqueeze(-1), 0)


def with_global_region(
    feature: Tensor, location: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Put the region of the whole image before the others: its feature is their mean.

    g = sum_i f_i / R with all R real regions in the denominator. In fine-tuning f are the features
    as they are; in pre-training they are masked first, so rows of zeros count in R.

    Args:
        feature: f [..., R, F].
        location: [..., R, 5] of `box_location`.
        mask: [..., R] bool, false on padding; None is no padding.

    Returns:
        feature [..., 1 + R, F], location [..., 1 + R, 5] with [0, 0, 1, 1, 1] in front, and mask
        [..., 1 + R] with true in front; padding is 0, and so is g without regions.

    Raises:
        GraphError: shapes that do not fit.

    Example:
        >>> feature, location, mask = with_global_region(torch.tensor([[2.0], [4.0]]),
        ...                                              torch.zeros(2, 5))
        >>> feature.flatten().tolist(), location[0].tolist(), mask.tolist()
        ([3.0, 2.0, 4.0], [0.0, 0.0, 1.0, 1.0, 1.0], [True, True, True])
    """
    rows = feature.shape[:-1]
    if feature.dim() < 2 or location.shape != (*rows, 5):
        raise GraphError(
            "expected feature [..., R, F] and location [..., R, 5] "
            f"(got {list(feature.shape)} and {list(location.shape)})"
        )
    if mask is None:
        mask = torch.ones(rows, dtype=torch.bool, device=feature.device)
    padding = ~mask.unsqueeze(-1)  # [..., R, 1]
    feature = feature.masked_fill(padding, 0)
    count = mask.sum(dim=-1, keepdim=True).clamp(min=1).unsqueeze(-1)  # [..., 1, 1]
    mean = feature.sum(dim=-2, keepdim=True) / count  # [..., 1, F]
    whole = location.new_tensor([0, 0, 1, 1, 1]).expand(*rows[:-1], 1, 5)
    return (
        torch.cat([mean, feature], dim=-2),
        torch.cat([whole, location.masked_fill(padding, 0)], dim=-2),
        torch.cat([mask.new_ones(*rows[:-1], 1), mask], dim=-1),
    )
