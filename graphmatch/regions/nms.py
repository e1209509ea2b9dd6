"""Non-maximum suppression: of boxes on the same object, the best one stays."""

from __future__ import annotations

import torch
from torch import Tensor

from graphmatch.errors import GraphError

_BLOCK = 256  # boxes that are compared with each other at once


def box_iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of all pairs of boxes.

    A box from x1 to x2 is x2 - x1 wide; a pair without any area has 0.

    Args:
        first: [..., N, 4] x1 y1 x2 y2, x1 <= x2 and y1 <= y2, in one unit.
        second: [..., M, 4] in the same unit.

    Returns:
        [..., N, M] in [0, 1]; a few times as many numbers are allocated on the way.

    Example:
        >>> box_iou(torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[1.0, 0.0, 3.0, 2.0]]))
        tensor([[0.3333]])
    """
    # [4, ..., N, 1] and [4, ..., 1, M]: long runs are fast
    a = first.movedim(-1, 0).contiguous().unsqueeze(-1)
    b = second.movedim(-1, 0).contiguous().unsqueeze(-2)
    width = torch.minimum(a[2], b[2]).sub_(torch.maximum(a[0], b[0]))  # [..., N, M]
    height = torch.minimum(a[3], b[3]).sub_(torch.maximum(a[1], b[1]))
    common = width.clamp_(min=0).mul_(height.clamp_(min=0))
    union = (_area(a) + _area(b)).sub_(common)
    return common.div_(union.clamp_(min=torch.finfo(union.dtype).tiny))


def _area(box: Tensor) -> Tensor:
    return (box[2] - box[0]) * (box[3] - box[1])


def nms(
    box: Tensor,
    score: Tensor,
    label: Tensor | None = None,
    *,
    threshold: float,
    top: int | None = None,
) -> Tensor:
    """Greedy non-maximum suppression.

    From the best box to the worst, a box stays if its IoU with every box that stayed is at most
    `threshold`. Of equal scores the box with the smaller number comes first. Not differentiable;
    synchronises the device.

    Args:
        box: [N, 4] x1 y1 x2 y2 in any unit.
        score: [N]; not NaN.
        label: [N] int64; boxes of different labels do not suppress each other. None is one label.
        threshold: IoU that is allowed, in [0, 1]; 1 keeps all boxes.
        top: boxes that are returned at most; the few best are found much faster than all.

    Returns:
        [K] int64 numbers of the boxes that stay, best first. Allocates a few times 256 x K numbers.

    Example:
        >>> box = torch.tensor([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 8.0], [5.0, 5.0, 9.0, 9.0]])
        >>> nms(box, torch.tensor([0.5, 0.9, 0.2]), threshold=0.6)
        tensor([1, 2])
    """
    order = score.argsort(descending=True, stable=True)
    if threshold >= 1:
        return order[:top]
    kept = order[:0]
    for block in torch.split(order, _BLOCK):
        if len(kept):
            block = block[~_overlap(block, kept, box, label, threshold).any(1)]
        # overlap[i, j]: i comes before j and suppresses it if i itself stays
        overlap = _overlap(block, block, box, label, threshold).triu_(1).to(torch.float32)
        stays = torch.ones(len(block), device=box.device)
        while True:  # each round settles one more box at least, as a rule all but a few
            settled = (stays @ overlap == 0).to(torch.float32)
            if torch.equal(settled, stays):
                break
            stays = settled
        kept = torch.cat([kept, block[stays.bool()]])
        if top is not None and len(kept) >= top:
            break
    return kept[:top]


def _overlap(
    first: Tensor, second: Tensor, box: Tensor, label: Tensor | None, threshold: float
) -> Tensor:
    """[N, M] bool: whether two boxes have one label and overlap too much."""
    much = box_iou(box[first], box[second]) > threshold
    return much if label is None else much & (label[first][:, None] == label[second])


def best_classes(
    box: Tensor, score: Tensor, *, least_score: float, threshold: float, top: int
) -> tuple[Tensor, Tensor]:
    """The best pairs of a box and a class, after non-maximum suppression class by class.

    Args:
        box: [N, 4] x1 y1 x2 y2 in any unit.
        score: [N, C] of each class.
        least_score: pairs that do not score more are left out.
        threshold: IoU that boxes of one class may have.
        top: pairs that are returned at most.

    Returns:
        Numbers of the boxes [K] int64 and their classes [K] int64, best first, equal scores by box
        and then class.

    Raises:
        GraphError: a score is NaN.

    Example:
        >>> box = torch.tensor([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 8.0]])
        >>> score = torch.tensor([[0.9, 0.6], [0.8, 0.0]])
        >>> best_classes(box, score, least_score=0.5, threshold=0.6, top=100)
        (tensor([0, 0]), tensor([0, 1]))
    """
    if score.isnan().any():
        raise GraphError("score: expected numbers (got NaN); the model or its input is broken")
    row, label = (score > least_score).nonzero(as_tuple=True)  # [P], [P]
    kept = nms(box[row], score[row, label], label, threshold=threshold, top=top)
    return row[kept], label[kept]


def drop_overlapping(
    box: Tensor, score: Tensor, *, threshold: float = 0.7, thinnest: float = 2.0
) -> Tensor:
    """Boxes that differ from each other, whatever their classes.

    Args:
        box: [N, 4] x1 y1 x2 y2 in pixels.
        score: [N].
        threshold: a box whose IoU with a better one is above it is dropped.
        thinnest: in pixels; a box of less width or height is dropped first.

    Returns:
        [K] int64 numbers of the boxes that stay, best first, equal scores by number.

    Example:
        >>> box = torch.tensor([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 8.0], [0.0, 0.0, 9.0, 1.0]])
        >>> drop_overlapping(box, torch.tensor([0.5, 0.9, 0.7]))
        tensor([1])
    """
    wide = ((box[:, 2:] - box[:, :2]).amin(1) >= thinnest).nonzero()[:, 0]  # [W]
    return wide[nms(box[wide], score[wide], threshold=threshold)]
