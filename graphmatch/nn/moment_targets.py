"""`moment_targets`: which points of a pyramid over time lie in a moment, and how far from its ends.

Source: Dense Regression Network for Video Grounding (DRN), R. Zeng et al., CVPR 2020, arXiv
2004.03545; official code, `model/fcos/`. Times are in clip units: 1 is one clip of the finest
level. Points of level l have a stride of 2^l clips and lie in the middle of theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from graphmatch.errors import GraphError

LEVELS = 3
"""Levels of the pyramid, of strides 1, 2 and 4."""


class Points(NamedTuple):
    """P points of all levels, the finest level first.

    Args:
        location: [P] place in clip units.
        level: [P] int64 level from 0.
    """

    location: Tensor
    level: Tensor


class Targets(NamedTuple):
    """What P points of B videos are to predict.

    Args:
        positive: [B, P] bool, whether a point stands for its moment.
        distance: [B, P, 2] distances to start and end in clip units; negative where the point is
            not between them.
    """

    positive: Tensor
    distance: Tensor


def level_points(
    clips: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
) -> Points:
    """Points of a video: x = i s + s / 2 at the levels of strides s = 1, 2, 4.

    Args:
        clips: T; the levels have ceil(T / s) points.
        device: of the tensors.
        dtype: of the locations; torch's default if None.

    Returns:
        The points.

    Raises:
        GraphError: no clips.

    Example:
        >>> level_points(4)
        Points(location=tensor([0.5000, 1.5000, 2.5000, 3.5000, 1.0000, 3.0000, 2.0000]), level=tensor([0, 0, 0, 0, 1, 1, 2]))
    """  # noqa: E501
    if clips < 1:
        raise GraphError(f"expected at least one clip (got {clips})")
    counts = level_counts(clips)
    locations = [
        (torch.arange(count, device=device, dtype=dtype or torch.get_default_dtype()) + 0.5)
        * 2**level
        for level, count in enumerate(counts)
    ]
    levels = torch.arange(LEVELS, device=device)
    repeats = torch.tensor(counts, device=device)
    return Points(torch.cat(locations), levels.repeat_interleave(repeats, output_size=sum(counts)))


def level_counts(clips: int) -> list[int]:
    """Points of each level: ceil(T / 1), ceil(T / 2), ceil(T / 4).

    Args:
        clips: T.

    Returns:
        Three numbers.

    Example:
        >>> level_counts(32), level_counts(5)
        ([32, 16, 8], [5, 3, 2])
    """
    return [-(-clips // 2**level) for level in range(LEVELS)]


def moment_targets(
    moment: Tensor, points: Points, ranges: Sequence[tuple[float, float]], scale: Tensor | float
) -> Targets:
    """Targets of every point for the one moment of its item.

    A point at x has the distances l = x - start and r = end - x. It is positive if it is strictly
    inside, min(l, r) > 0, and of the level for such moments: lo <= max(l, r) <= hi.

    Args:
        moment: [B, 2] start and end as shares of the video.
        points: P points.
        ranges: lo and hi of each level, in 1/32 of a video.
        scale: clip units of a video, one number or [B].

    Returns:
        The targets. A moment that ends before it starts has no positive point.

    Raises:
        GraphError: a moment of another shape.

    Example:
        >>> ranges = ((-1.0, 6.0), (5.6, 11.0), (11.0, 1e8))
        >>> targets = moment_targets(torch.tensor([[0.1, 0.2]]), level_points(32), ranges, 32.0)
        >>> targets.positive.nonzero()[:, 1].tolist()  # between clips 3.2 and 6.4
        [3, 4, 5]
    """
    if moment.dim() != 2 or moment.size(1) != 2:
        raise GraphError(f"moment: expected [B, 2] (got {list(moment.shape)})")
    location = points.location
    scale = torch.as_tensor(scale, dtype=location.dtype, device=location.device).view(-1, 1)
    ends = moment.to(location.dtype) * scale  # [B, 2]
    distance = torch.stack((location - ends[:, :1], ends[:, 1:] - location), dim=-1)  # [B, P, 2]
    limits = location.new_tensor(ranges)[points.level] * (scale / 32).unsqueeze(-1)  # [B, P, 2]
    nearest, farthest = distance.amin(dim=-1), distance.amax(dim=-1)  # [B, P]
    fits = (limits[..., 0] <= farthest) & (farthest <= limits[..., 1])
    return Targets(positive=(nearest > 0) & fits, distance=distance)
