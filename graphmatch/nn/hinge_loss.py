"""Margin ranking loss of SCAN, GSMN, IMRAM and HGR.

Sources: SCAN (ECCV 2018, arXiv 1803.08024), official code `model.py`, ContrastiveLoss;
HGR (CVPR 2020), official code `models/criterion.py`, ContrastiveLoss.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from graphmatch.errors import ConfigError, GraphError, check_choice

Negatives = Literal["hardest", "all"]
LossDirection = Literal["both", "i2t", "t2i"]
Reduction = Literal["sum", "mean"]


def hinge_loss(
    scores: Tensor,
    owner: Tensor,
    *,
    margin: float = 0.2,
    negatives: Negatives = "hardest",
    top_k: int = 1,
    direction: LossDirection = "both",
    reduction: Reduction = "sum",
    ignore_same: bool = False,
) -> Tensor:
    """How far wrong pairs come within a margin of the right ones.

    With S_ij the score of caption j against the item of caption i, a square matrix of B captions
    whose diagonal holds the right pairs, and for all i != j:

        i2t: cost_ij = max(0, margin + S_ij - S_ii)      another caption j for item i
        t2i: cost_ij = max(0, margin + S_ij - S_jj)      another item i for caption j

    | negatives, reduction | loss of one direction |
    |---|---|
    | `"hardest"`, `"sum"` | sum over items (i2t) or captions (t2i) of the mean of k largest costs |
    | `"hardest"`, `"mean"` | that over B |
    | `"all"`, `"sum"` | sum of all costs |
    | `"all"`, `"mean"` | that over the number of wrong pairs, B (B - 1) |

    with k = min(`top_k`, B).
    SCAN, GSMN and IMRAM use `"hardest"`, k = 1, `"sum"`; HGR `"hardest"`, k = 1, `"mean"`. An item
    with several captions in the batch counts once for each of them, as in the official batches of
    pairs. There, two captions of one item are wrong for each other; `ignore_same` leaves such
    pairs out. Where no wrong pair is left, as in a batch of one, the loss is 0; the official mean
    over all pairs divides 0 by 0 there and gives NaN, which would end a training for nothing.

    A score that is NaN or infinite makes the loss NaN, also where the formula would hide it (an
    infinite right score costs nothing). It is no error, since looking at the scores would
    synchronise a device at every step; a training loop sees it in the loss.

    Args:
        scores: [n_v, n_t] scores, any unit; half precision is computed in float32.
        owner: [n_t] int64 row of each caption's own item; items may repeat or have no caption.
        margin: in units of the scores.
        negatives: `"hardest"` or `"all"`.
        top_k: how many of the hardest; without effect on `"all"`. Costs of 0 count too, so the
            divisor does not depend on the scores.
        direction: `"both"` is the sum of `"i2t"` and `"t2i"`.
        reduction: `"sum"` or `"mean"`.
        ignore_same: whether captions of one item are no negatives of each other.

    Returns:
        A number, float32 (float64 for float64). Allocates n_t x n_t.

    Raises:
        ConfigError: an unknown choice, `top_k` below 1.
        GraphError: shapes that do not go together, no captions, an owner out of range (looked at
            on the CPU only; on other devices it is an error of the device).

    Example:
        >>> scores = torch.tensor([[0.9, 0.8], [0.1, 0.5]])
        >>> hinge_loss(scores, torch.tensor([0, 1]), margin=0.2)  # 0.1 (i2t) + 0.5 (t2i)
        tensor(0.6000)
    """
    _check_options(negatives, direction, reduction, top_k)
    _check(scores, owner)
    if scores.dtype not in (torch.float32, torch.float64):
        scores = scores.float()
    square = scores[owner]  # [B, B]: row i is the item of caption i
    right = square.diagonal()  # [B]
    if ignore_same:
        no_pair = owner.unsqueeze(1) == owner  # [B, B]
    else:
        no_pair = torch.eye(len(owner), dtype=torch.bool, device=scores.device)
    total = 0 * scores.detach().sum()  # NaN if any score is not finite
    for axis, name in ((1, "i2t"), (0, "t2i")):
        if direction in ("both", name):
            cost = (margin + square - right.unsqueeze(axis)).clamp(min=0)  # [B, B]
            cost = cost.masked_fill(no_pair, 0)
            if negatives == "hardest":
                # not `amax`: the gradient goes to one of several equal costs, as in the sources
                cost = cost.topk(min(top_k, len(owner)), dim=axis).values.mean(dim=axis)  # [B]
            total = total + cost.sum()
    if reduction == "sum":
        return total
    if negatives == "hardest":
        return total / len(owner)
    return total / (~no_pair).sum().clamp(min=1)


class HingeLoss(nn.Module):
    """`hinge_loss` with its options; no parameters.

    Args:
        margin: in units of the scores.
        negatives: `"hardest"` or `"all"`.
        top_k: how many of the hardest.
        direction: `"both"`, `"i2t"` or `"t2i"`.
        reduction: `"sum"` or `"mean"`.
        ignore_same: whether captions of one item are no negatives of each other.

    Raises:
        ConfigError: an unknown choice, a margin below 0, `top_k` below 1.

    Example:
        >>> HingeLoss(margin=0.2)(torch.tensor([[0.9, 0.8], [0.1, 0.5]]), torch.tensor([0, 1]))
        tensor(0.6000)
    """

    def __init__(
        self,
        *,
        margin: float = 0.2,
        negatives: Negatives = "hardest",
        top_k: int = 1,
        direction: LossDirection = "both",
        reduction: Reduction = "sum",
        ignore_same: bool = False,
    ) -> None:
        super().__init__()
        _check_options(negatives, direction, reduction, top_k)
        if not 0 <= margin < math.inf:
            raise ConfigError(f"margin: expected a number from 0 (got {margin})")
        self.margin, self.negatives, self.top_k = margin, negatives, top_k
        self.direction, self.reduction, self.ignore_same = direction, reduction, ignore_same

    def forward(self, scores: Tensor, owner: Tensor) -> Tensor:
        """The loss of scores [n_v, n_t] and the row [n_t] of each caption's own item."""
        return hinge_loss(
            scores,
            owner,
            margin=self.margin,
            negatives=self.negatives,
            top_k=self.top_k,
            direction=self.direction,
            reduction=self.reduction,
            ignore_same=self.ignore_same,
        )

    def extra_repr(self) -> str:
        """The options."""
        return (
            f"margin={self.margin}, negatives={self.negatives!r}, top_k={self.top_k}, "
            f"direction={self.direction!r}, reduction={self.reduction!r}, "
            f"ignore_same={self.ignore_same}"
        )


def _check_options(negatives: str, direction: str, reduction: str, top_k: int) -> None:
    check_choice("negatives", negatives, get_args(Negatives))
    check_choice("direction", direction, get_args(LossDirection))
    check_choice("reduction", reduction, get_args(Reduction))
    if top_k < 1:
        raise ConfigError(f"top_k: expected at least 1 (got {top_k})")


def _check(scores: Tensor, owner: Tensor) -> None:
    if scores.dim() != 2 or owner.shape != scores.shape[1:]:
        got = f"{list(scores.shape)} and {list(owner.shape)}"
        raise GraphError(f"expected scores [n_v, n_t] and owner [n_t] (got {got})")
    if not len(owner):
        raise GraphError("expected scores of at least one caption (got none)")
    if owner.dtype != torch.int64:
        raise GraphError(f"expected owner as int64 (got {owner.dtype})")
    if owner.device.type == "cpu" and not bool(((owner >= 0) & (owner < len(scores))).all()):
        raise GraphError(f"expected owners from 0 to {len(scores) - 1} (got {owner.tolist()})")
