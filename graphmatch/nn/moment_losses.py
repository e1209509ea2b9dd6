"""Losses of predicted moments: matching (focal), location (-log IoU), regression of the IoU.

Source: Dense Regression Network for Video Grounding (DRN), R. Zeng et al., CVPR 2020, arXiv
2004.03545; official code, `model/fcos/`. All are for one number or pair a point and are not yet
summed.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_LOG_FLOOR = 1e-8  # in both lengths of the location loss
_HULL_FLOOR = 1e-6  # in the hull of the regressed IoU


def focal_loss(
    logits: Tensor, positive: Tensor, *, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    """Sigmoid focal loss, with p = sigmoid(logit).

    -alpha (1 - p)^gamma ln p for positive points, -(1 - alpha) p^gamma ln(1 - p) for the others;
    safe from overflow.

    Args:
        logits: [...].
        positive: [...] bool.
        alpha: weight of positive points.
        gamma: how much less a point counts that is right already.

    Returns:
        [...] losses.

    Example:
        >>> focal_loss(torch.zeros(2), torch.tensor([True, False]))  # ln 2 / 4 times 0.25 and 0.75
        tensor([0.0433, 0.1300])
    """
    label = positive.to(logits.dtype)
    sign = 2 * label - 1
    right = functional.logsigmoid(logits * sign)  # log of the probability of what is right
    wrong = torch.sigmoid(-logits * sign)
    weight = (1 - alpha) + (2 * alpha - 1) * label  # alpha or 1 - alpha
    return -weight * wrong**gamma * right


def log_iou_loss(distance: Tensor, target: Tensor) -> Tensor:
    """-ln of the IoU of two segments around one point, (I + 1e-8) / (U + 1e-8).

    Args:
        distance: [..., 2] predicted distances to start and end, at least 0.
        target: [..., 2] true distances, at least 0, in the same unit.

    Returns:
        [...] losses; 0 for perfect distances.

    Example:
        >>> log_iou_loss(torch.tensor([1.0, 1.0]), torch.tensor([1.0, 3.0]))  # ln 2
        tensor(0.6931)
    """
    inter = torch.min(distance, target).sum(dim=-1)
    union = distance.sum(dim=-1) + target.sum(dim=-1) - inter
    return -((inter + _LOG_FLOOR) / (union + _LOG_FLOOR)).log()


def hull_iou(segment: Tensor, moment: Tensor) -> Tensor:
    """Intersection of segments over the length of their hull + 1e-6; the IoU where they overlap.

    Args:
        segment: [..., 2] start and end.
        moment: [..., 2] start and end, in the same unit.

    Returns:
        [...] from 0 to 1, with gradients to both.

    Example:
        >>> hull_iou(torch.tensor([[0.0, 2.0], [3.0, 4.0]]), torch.tensor([1.0, 3.0]))
        tensor([0.3333, 0.0000])
    """
    start, end = segment.unbind(-1)
    true_start, true_end = moment.unbind(-1)
    inter = (torch.min(end, true_end) - torch.max(start, true_start)).clamp(min=0)
    hull = (torch.max(end, true_end) - torch.min(start, true_start)).clamp(min=0)
    return inter / (hull + _HULL_FLOOR)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of the chosen values; 0 without any.

    Args:
        values: [...], finite where they are not chosen, too.
        mask: [...] bool.

    Returns:
        A number. Does not look at the mask, so it does not synchronise a device.

    Example:
        >>> masked_mean(torch.tensor([1.0, 5.0]), torch.tensor([False, True]))
        tensor(5.)
    """
    return (values * mask).sum() / mask.sum().clamp(min=1)
