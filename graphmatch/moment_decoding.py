"""`decode_moments`: what the heads say at the points of a video becomes moments with scores.

Source: Dense Regression Network for Video Grounding (DRN), R. Zeng et al., CVPR 2020, arXiv
2004.03545; official code, `model/inference.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from graphmatch.errors import ConfigError, GraphError

if TYPE_CHECKING:
    from graphmatch.nn.moment_targets import Points

_FIELDS = ("segment", "score", "location", "level", "mask")
_MIDDLE = 0.5  # location of the fallback, as in the official code


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moments:
    """Moments of Q queries, up to K each, in the order of their points; not sorted by score.

    Args:
        segment: [Q, K, 2] start and end as shares of the video, in [0, 1].
        score: [Q, K] in [0, 1].
        location: [Q, K] the point that a moment comes from, as a share of the video.
        level: [Q, K] int64 level of the point; -1 for the whole video as a fallback.
        mask: [Q, K] bool, which moments there are: one or more a query. The others are 0, at level
            -1.
    """

    segment: Tensor
    score: Tensor
    location: Tensor
    level: Tensor
    mask: Tensor

    @classmethod
    def cat(cls, parts: Sequence[Moments]) -> Moments:
        """Moments of several batches, one after the other.

        Args:
            parts: at least one; K may differ.

        Returns:
            All of them, on one device.

        Raises:
            GraphError: no part.
        """
        if not parts:
            raise GraphError("expected the moments of a batch or more (got none)")
        most = max(part.mask.size(1) for part in parts)
        padded = [part._padded(most) for part in parts]
        return cls(**{n: torch.cat([getattr(part, n) for part in padded]) for n in _FIELDS})

    def seconds(self, duration: Tensor) -> Tensor:
        """Start and end of every moment in seconds.

        Args:
            duration: [Q] of each query's video, in seconds.

        Returns:
            [Q, K, 2].

        Raises:
            GraphError: durations of another shape.
        """
        if duration.shape != self.score.shape[:1]:
            raise GraphError(f"duration: expected [{len(self)}] (got {[*duration.shape]})")
        return self.segment * duration.view(-1, 1, 1)

    def to(self, device: torch.device | str) -> Moments:
        """The moments on a device.

        Args:
            device: where to.

        Returns:
            New moments; these stay where they are.
        """
        return type(self)(**{name: getattr(self, name).to(device) for name in _FIELDS})

    def select(self, numbers: Tensor) -> Moments:
        """Moments of some queries.

        Args:
            numbers: [n] int64 numbers of queries.

        Returns:
            Those of n queries, in that order.
        """
        return type(self)(**{name: getattr(self, name)[numbers] for name in _FIELDS})

    def __len__(self) -> int:
        return len(self.score)

    def _padded(self, most: int) -> Moments:
        rest = most - self.mask.size(1)
        pad = torch.nn.functional.pad
        return Moments(
            segment=pad(self.segment, (0, 0, 0, rest)),
            score=pad(self.score, (0, rest)),
            location=pad(self.location, (0, rest)),
            level=pad(self.level, (0, rest), value=-1),
            mask=pad(self.mask, (0, rest)),
        )


@torch.no_grad()
def decode_moments(
    logit: Tensor,
    distance: Tensor,
    points: Points,
    *,
    scale: Tensor | float,
    iou_logit: Tensor | None = None,
    mask: Tensor | None = None,
    threshold: float = 0.05,
    candidates: int = 32,
) -> Moments:
    """Moments that the heads predict at P points.

    A point with p = sigmoid(logit) above the threshold is a candidate; its score is sqrt(p), or
    sqrt(p sigmoid(iou_logit)), and its moment ((x - left) / scale, (x + right) / scale) with both
    ends clamped to [0, 1]. Of a level's candidates those with the best scores are kept. A query
    without a candidate gets the whole video, [0, 1] with score 1. The threshold looks at p alone,
    as in the official code: a good IoU does not save a point.

    Args:
        logit: [Q, P] of matching.
        distance: [Q, P, 2] to start and end in clip units, from 0.
        points: P points of all levels.
        scale: clip units of a video, one number or [Q].
        iou_logit: [Q, P] of the IoU; None leaves it out, as in the first stage of training.
        mask: [Q, P] bool, points inside the video; None is all. The others are never candidates.
        threshold: that p must exceed.
        candidates: of each level that are kept at most.

    Returns:
        The moments with K = P; float32, or float64 for such logits. Synchronises the device once.

    Raises:
        GraphError: shapes that do not fit, no point, a logit that is not finite, a negative or NaN
            distance.
        ConfigError: `candidates` below 1.

    Example:
        >>> from graphmatch.nn.moment_targets import level_points
        >>> logit, distance = torch.full((1, 7), -9.0), torch.ones(1, 7, 2)
        >>> logit[0, 1] = 9.0
        >>> moments = decode_moments(logit, distance, level_points(4), scale=4.0)
        >>> moments.segment[moments.mask]  # from clip 1.5 - 1 to clip 1.5 + 1
        tensor([[0.1250, 0.6250]])
    """
    if candidates < 1:
        raise ConfigError(f"expected candidates from 1 (got {candidates})")
    shape = (*logit.shape[:1], len(points.location))
    dtype = torch.promote_types(logit.dtype, torch.float32)
    logit = _inside("logit", logit, shape, mask).to(dtype)
    iou_logit = None if iou_logit is None else _inside("iou_logit", iou_logit, shape, mask)
    if distance.shape != (*shape, 2):
        raise GraphError(f"distance: expected {[*shape, 2]} (got {[*distance.shape]})")
    numbers = [x.isfinite().all() for x in (logit, iou_logit) if x is not None]
    fits = (distance >= 0).all(-1)  # [Q, P], not NaN either
    numbers.append((fits if mask is None else fits | ~mask).all())
    if not bool(torch.stack(numbers).all()):
        raise GraphError(
            "expected finite logits and distances from 0; the model or its input is broken"
        )
    matching = logit.sigmoid()
    chosen = matching > threshold
    if mask is not None:
        chosen = chosen & mask
    score = matching if iou_logit is None else matching * iou_logit.to(dtype).sigmoid()
    chosen = _best_of_levels(score, chosen, points.level, candidates)
    scale = torch.as_tensor(scale, dtype=dtype, device=logit.device).view(-1, 1)  # [1 or Q, 1]
    location = points.location.to(dtype)
    left, right = distance.to(dtype).unbind(-1)
    ends = torch.stack((location - left, location + right), dim=-1)  # [Q, P, 2]
    segment = (ends / scale.unsqueeze(-1)).clamp(0, 1)
    return _with_fallback(
        Moments(
            segment=segment.where(chosen.unsqueeze(-1), 0),
            score=score.sqrt().where(chosen, 0),
            location=(location / scale).expand(shape).where(chosen, 0),
            level=points.level.expand(shape).where(chosen, -1),
            mask=chosen,
        )
    )


def _inside(name: str, value: Tensor, shape: tuple[int, ...], mask: Tensor | None) -> Tensor:
    """Logits with 0 at points outside the video."""
    if value.shape != shape or not shape[-1]:
        raise GraphError(
            f"{name}: expected [Q, {shape[-1]}], a point or more (got {[*value.shape]})"
        )
    if mask is None:
        return value
    if mask.shape != shape:
        raise GraphError(f"mask: expected {[*shape]} (got {[*mask.shape]})")
    return value.masked_fill(~mask, 0)


def _best_of_levels(score: Tensor, chosen: Tensor, level: Tensor, most: int) -> Tensor:
    """[Q, P] bool: the candidates with the best scores of their level; of equals the earlier."""
    if score.size(1) <= most:
        return chosen
    order = score.where(chosen, -1).argsort(dim=1, descending=True, stable=True)  # [Q, P]
    levels, by_level = level[order].sort(dim=1, stable=True)  # best first in each level
    order = order.gather(1, by_level)
    first = torch.searchsorted(levels, levels)  # where each one's level begins
    rank = torch.arange(order.size(1), device=order.device) - first
    return chosen & torch.zeros_like(chosen).scatter(1, order, rank < most)


def _with_fallback(moments: Moments) -> Moments:
    """The whole video in the first place of every query without a candidate."""
    none = ~moments.mask.any(1)  # [Q]
    for tensor, value in (
        (moments.segment[:, 0, 1], 1),
        (moments.score[:, 0], 1),
        (moments.location[:, 0], _MIDDLE),
        (moments.mask[:, 0], True),
    ):
        tensor.masked_fill_(none, value)
    return moments
