"""`Grounding`: what a network over time says about queries, point by point; and its losses.

Source: Dense Regression Network for Video Grounding (DRN), R. Zeng et al., CVPR 2020, arXiv
2004.03545; official code, `model/fcos/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from graphmatch.nn.moment_heads import Predictions
from graphmatch.nn.moment_losses import focal_loss, hull_iou, log_iou_loss, masked_mean
from graphmatch.nn.moment_targets import Points, moment_targets

Clamp = Literal["first", "none", "all"]
Divisor = Literal["positives and items", "positives"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grounding:
    """Predictions of P points for each of B queries.

    Args:
        found: the predictions.
        points: where the P points are.
        mask: [B, P] bool, which points stand for real clips; None if all do.
        scale: [B] clip units of each video.
    """

    found: Predictions
    points: Points
    mask: Tensor | None
    scale: Tensor

    def __len__(self) -> int:
        return len(self.scale)

    def segments(self) -> Tensor:
        """[B, P, 2] start and end of every predicted moment as shares of the video, not cut."""
        left, right = self.found.distance.unbind(-1)  # [B, P]
        x = self.points.location
        return torch.stack((x - left, x + right), dim=-1) / self.scale.view(-1, 1, 1)


class GroundingLosses(NamedTuple):
    """The three losses of a batch and what they are means over.

    Args:
        match: focal loss of the matches.
        location: mean -ln IoU of the moments of positive points.
        iou: mean smooth L1 distance of the predicted IoU to the true one.
        positives: number of positive points, int64.
        selected: number of points whose IoU is learned, int64.
    """

    match: Tensor
    location: Tensor
    iou: Tensor
    positives: Tensor
    selected: Tensor


def grounding_losses(
    grounding: Grounding,
    moment: Tensor,
    *,
    ranges: Sequence[tuple[float, float]],
    alpha: float = 0.25,
    gamma: float = 2.0,
    divisor: Divisor = "positives and items",
    iou_positive: float = 0.9,
    clamp: Clamp = "first",
    detach_iou: bool = False,
) -> GroundingLosses:
    """Losses of B queries, in float32 at least; nothing is computed item by item.

    Args:
        grounding: predictions.
        moment: [B, 2] true start and end as shares of the video.
        ranges: lo and hi of each level, see `moment_targets`.
        alpha: of the focal loss.
        gamma: of the focal loss.
        divisor: of the sum of focal losses: N_pos + B, or N_pos alone (at least 1).
        iou_positive: points whose IoU is above it learn to predict it; -1 for all points.
        clamp: which predicted moments are cut to the video before the IoU is taken: the official
            code cuts that of each item's first point only, by a slip.
        detach_iou: whether the IoU is a constant target; as in the official code, it is not, so
            that this loss moves the predicted moments, too.

    Returns:
        The losses. Those without a point are 0 with gradients of 0. Does not synchronise a device.

    Raises:
        GraphError: moments of another shape.
    """
    found, points = grounding.found, grounding.points
    targets = moment_targets(moment, points, ranges, grounding.scale)
    positive, real = targets.positive, torch.ones_like(targets.positive)
    if grounding.mask is not None:
        real = grounding.mask
        positive = positive & real
    positives = positive.sum()
    focal = focal_loss(found.match, positive, alpha=alpha, gamma=gamma) * real
    count = positives + len(grounding) if divisor == "positives and items" else positives
    inside = positive.unsqueeze(-1)  # at other points distances may be negative or infinite
    location = log_iou_loss(
        found.distance.masked_fill(~inside, 1), targets.distance.masked_fill(~inside, 1)
    )
    with torch.no_grad():
        selected = (true_iou(grounding, moment, clamp=clamp) > iou_positive) & real
    iou = true_iou(grounding, moment, clamp=clamp).masked_fill(~selected, 0)
    if detach_iou:
        iou = iou.detach()
    error = functional.smooth_l1_loss(found.iou.sigmoid(), iou, reduction="none")
    return GroundingLosses(
        match=focal.sum() / count.clamp(min=1),
        location=masked_mean(location, positive),
        iou=masked_mean(error, selected),
        positives=positives,
        selected=selected.sum(),
    )


def true_iou(grounding: Grounding, moment: Tensor, *, clamp: Clamp = "first") -> Tensor:
    """IoU of every predicted moment with the true one, see `hull_iou`.

    Args:
        grounding: predictions of B queries.
        moment: [B, 2] true start and end as shares of the video.
        clamp: which predicted moments are cut to the video first, see `grounding_losses`.

    Returns:
        [B, P].
    """
    segments = grounding.segments()
    if clamp == "all":
        segments = segments.clamp(0, 1)
    elif clamp == "first":
        segments = torch.cat((segments[:, :1].clamp(0, 1), segments[:, 1:]), dim=1)
    return hull_iou(segments, moment.to(segments.dtype).unsqueeze(1))
