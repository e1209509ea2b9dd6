"""Of segments that describe the same moment, the best one stays: for many queries at once.

Sources: DRN (CVPR 2020), official code, the suppression in its metric; OpenMMLab's mmaction2, DRN,
for the soft version.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from graphmatch.errors import ConfigError, GraphError, check_choice

Equal = Literal["first", "last"]
"""Which of equal scores comes first: the one that stands first or last in the input."""


def top_segments(
    score: Tensor, mask: Tensor | None = None, *, top: int | None = None, equal: Equal = "first"
) -> Tensor:
    """Segments in the order of their scores, the best first; none is suppressed.

    Args:
        score: [Q, N] of each query's segments, finite where the mask holds.
        mask: [Q, N] bool, which segments there are; None is all.
        top: how many at most; None is all.
        equal: which of equal scores comes first.

    Returns:
        [Q, K] int64 numbers of segments, -1 after a query's last one; K is the smaller of `top` and
        N. Synchronises the device.

    Raises:
        GraphError: shapes that do not fit, a score that is not finite.
        ConfigError: `top` below 1, an unknown choice.

    Example:
        >>> top_segments(torch.tensor([[0.5, 0.9, 0.5]])).tolist()
        [[1, 0, 2]]
    """
    score, mask = _checked(score, mask, top, equal)
    order = _order(score, mask, equal)[:, :top]  # [Q, K]
    return torch.where(mask.gather(1, order), order, -1)


def nms_segments(
    segment: Tensor,
    score: Tensor,
    mask: Tensor | None = None,
    *,
    threshold: float,
    top: int | None = None,
    equal: Equal = "last",
) -> Tensor:
    """Greedy non-maximum suppression on the time axis.

    The best segment is taken and those whose IoU with it is above the threshold are dropped, until
    none is left; IoU = common length / (both lengths - common length), 0 for two segments without
    length. As in DRN's official code the last of equal scores is taken first. Not differentiable.

    Args:
        segment: [Q, N, 2] start and end in any unit, finite where the mask holds.
        score: [Q, N], finite where the mask holds.
        mask: [Q, N] bool, which segments there are; None is all.
        threshold: IoU that is allowed, from 0; 1 keeps all segments.
        top: how many to take at most: a few are found much faster than all.
        equal: which of equal scores is taken first.

    Returns:
        [Q, K] int64 numbers of the segments that stay, best first, -1 after a query's last one; K
        is `top`, or fewer if no query has as many. Allocates a few times Q x N numbers, and
        synchronises the device once a pick.

    Raises:
        GraphError: shapes that do not fit, a score or a segment that is not finite.
        ConfigError: a negative threshold, `top` below 1, an unknown choice.

    Example:
        >>> segment = torch.tensor([[[0.0, 0.5], [0.1, 0.5], [0.5, 1.0]]])
        >>> nms_segments(segment, torch.tensor([[0.6, 0.9, 0.2]]), threshold=0.45).tolist()
        [[1, 2]]
    """
    score, mask = _checked(score, mask, top, equal)
    _check_segments(segment, mask)
    if not threshold >= 0:
        raise ConfigError(f"expected a threshold from 0 (got {threshold})")
    order = _order(score, mask, equal)
    start, end = _bounds(segment, order)  # [Q, N] each, best first
    alive = mask.gather(1, order)
    number = torch.arange(order.size(1), device=order.device)
    picks = [order[:, :0]]
    while (top is None or len(picks) <= top) and bool(alive.any()):
        place = alive.to(torch.uint8).argmax(1, keepdim=True)  # [Q, 1]
        found = alive.gather(1, place)  # [Q, 1], whether any was left
        picks.append(torch.where(found, order.gather(1, place), -1))
        overlap = _overlap(start.gather(1, place), end.gather(1, place), start, end)  # [Q, N]
        alive = alive & (overlap <= threshold) & (number != place)
    return torch.cat(picks, dim=1)


def soft_nms_segments(
    segment: Tensor,
    score: Tensor,
    mask: Tensor | None = None,
    *,
    top: int = 6,
    spread: float = 0.4,
    low: float = 0.5,
    high: float = 0.9,
) -> tuple[Tensor, Tensor]:
    """Soft suppression: segments beside a better one lose score instead of being dropped.

    After each pick, the score of a segment whose IoU with it exceeds low + (high - low) w, where w
    is the pick's length, is multiplied by exp(-IoU^2 / spread). The defaults are mmaction2's.

    Args:
        segment: [Q, N, 2] start and end as shares of the video, finite where the mask holds.
        score: [Q, N] from 0, finite where the mask holds.
        mask: [Q, N] bool, which segments there are; None is all.
        top: how many to take at most.
        spread: of the Gaussian factor.
        low: IoU that is allowed beside a pick without length.
        high: IoU that is allowed beside a pick as long as the video.

    Returns:
        [Q, K] int64 numbers of segments in the order in which they are taken, -1 after a query's
        last one, and [Q, K] their scores when they were taken, 0 after the last; K is the smaller
        of `top` and N. Of equal scores the one that stands first is taken first. Allocates a few
        times Q x N numbers.

    Raises:
        GraphError: shapes that do not fit, a score or a segment that is not finite.
        ConfigError: `top` below 1, a spread that is not positive.

    Example:
        >>> segment = torch.tensor([[[0.0, 0.5], [0.0, 0.4], [0.5, 1.0]]])
        >>> soft_nms_segments(segment, torch.tensor([[0.9, 0.8, 0.3]]))[0].tolist()
        [[0, 2, 1]]
    """
    score, mask = _checked(score, mask, top, "first")
    _check_segments(segment, mask)
    if not spread > 0:
        raise ConfigError(f"expected a spread above 0 (got {spread})")
    order = _order(score, mask, "first")
    start, end = _bounds(segment, order)
    left = score.masked_fill(~mask, -torch.inf).gather(1, order)  # [Q, N]
    picks, scores = [order[:, :0]], [left[:, :0]]
    for _ in range(min(top, order.size(1))):
        best = left.amax(1, keepdim=True)  # [Q, 1]
        place = (left == best).to(torch.uint8).argmax(1, keepdim=True)
        found = best > -torch.inf
        picks.append(torch.where(found, order.gather(1, place), -1))
        scores.append(torch.where(found, best, 0))
        one_start, one_end = start.gather(1, place), end.gather(1, place)
        overlap = _overlap(one_start, one_end, start, end)
        beside = overlap > low + (high - low) * (one_end - one_start)
        left = torch.where(beside, left * (overlap.square() / -spread).exp(), left)
        left = left.scatter(1, place, -torch.inf)
    return torch.cat(picks, dim=1), torch.cat(scores, dim=1)


def _checked(
    score: Tensor, mask: Tensor | None, top: int | None, equal: Equal
) -> tuple[Tensor, Tensor]:
    """Scores with 0 where there is no segment, and the mask."""
    check_choice("order of equal scores", equal, get_args(Equal))
    if top is not None and top < 1:
        raise ConfigError(f"expected top from 1 (got {top})")
    if score.dim() != 2 or not score.is_floating_point():
        raise GraphError(f"score: expected floats [Q, N] (got {score.dtype} {[*score.shape]})")
    if mask is not None and mask.shape != score.shape:
        raise GraphError(f"mask: expected {[*score.shape]} (got {[*mask.shape]})")
    if mask is None:
        mask = torch.ones_like(score, dtype=torch.bool)
    score = score.masked_fill(~mask, 0)
    if not bool(score.isfinite().all()):
        raise GraphError("score: expected finite numbers; the model or its input is broken")
    return score, mask


def _check_segments(segment: Tensor, mask: Tensor) -> None:
    if segment.shape != (*mask.shape, 2):
        raise GraphError(f"segment: expected {[*mask.shape, 2]} (got {[*segment.shape]})")
    if not bool((segment.isfinite().all(-1) | ~mask).all()):
        raise GraphError("segment: expected finite numbers; the model or its input is broken")


def _order(score: Tensor, mask: Tensor, equal: Equal) -> Tensor:
    """[Q, N] int64 numbers of segments, best first; what is not there comes last."""
    score = score.masked_fill(~mask, -torch.inf)
    if equal == "first":
        return score.argsort(dim=1, descending=True, stable=True)
    return score.size(1) - 1 - score.flip(1).argsort(dim=1, descending=True, stable=True)


def _bounds(segment: Tensor, order: Tensor) -> tuple[Tensor, Tensor]:
    start, end = segment.unbind(-1)
    return start.gather(1, order), end.gather(1, order)


def _overlap(one_start: Tensor, one_end: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """[Q, N] IoU of a segment [Q, 1] with all of its query, rounded as in the official code."""
    common = torch.minimum(one_end, end).sub_(torch.maximum(one_start, start)).clamp_(min=0)
    union = (one_end - one_start) + (end - start) - common
    return common.div_(union.clamp_(min=torch.finfo(union.dtype).tiny))
