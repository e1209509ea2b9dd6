"""Which regions of an image are masked; a masked region keeps its box and loses its feature.

Source: InterBERT (arXiv 2003.13198), masked region modelling; official code,
`bertmodel/datasets/concept_cap_dataset.py`. The paper and the code differ:

| rule | anchors | with them | feature | scored |
|---|---|---|---|---|
| `paper` | p = 0.15 | regions with IoU > 0.4 to an anchor | zero | what is masked |
| `released` | p = 0.10 | regions with IoU >= 0.4 to an anchor | zero | every zero row |
| `plain` | p = 0.15 | none | zero with p = 0.9, else kept | anchors |

So `released` also scores a region whose feature was zero before. `plain` is the code without
`--span_mask`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from graphmatch.errors import GraphError, check_choice
from graphmatch.masking.tokens import NOT_SCORED
from graphmatch.regions.nms import box_iou

RegionRule = Literal["paper", "released", "plain"]
"""How regions are chosen."""

_ANCHOR = {"paper": 0.15, "released": 0.10, "plain": 0.15}
_OVERLAP = 0.4
_ZEROED = 0.9


class MaskedRegions(NamedTuple):
    """Regions after masking.

    Args:
        feature: [..., R, F] with rows of zeros where a region is masked.
        label: [..., R] int64: 1 where a region is to be guessed, else -1.
    """

    feature: Tensor
    label: Tensor


def mask_regions(
    feature: Tensor,
    box: Tensor,
    uniform: Tensor,
    *,
    rule: RegionRule = "paper",
    mask: Tensor | None = None,
) -> MaskedRegions:
    """Mask regions, of one image or of a padded batch.

    Allocates R x R an image, except for `plain`.

    Args:
        feature: [..., R, F].
        box: [..., R, 4] x1 y1 x2 y2 in pixels.
        uniform: [..., R] random numbers in [0, 1), one a region.
        rule: how regions are chosen.
        mask: [..., R] bool, false on padding, which is neither masked nor scored; None is no
            padding.

    Returns:
        New tensors; the inputs are left as they are.

    Raises:
        ConfigError: an unknown rule.
        GraphError: shapes that do not fit.

    Example:
        >>> box = torch.tensor([[0.0, 0, 9, 9], [0, 0, 9, 8], [50, 50, 59, 59]])
        >>> mask_regions(torch.ones(3, 1), box, torch.tensor([0.1, 0.5, 0.9])).label.tolist()
        [1, 1, -1]
    """
    check_choice("region rule", rule, get_args(RegionRule))
    rows = feature.shape[:-1]
    if feature.dim() < 2 or uniform.shape != rows or box.shape != (*rows, 4):
        raise GraphError(
            "expected feature [..., R, F], box [..., R, 4] and uniform [..., R] "
            f"(got {list(feature.shape)}, {list(box.shape)} and {list(uniform.shape)})"
        )
    real = torch.ones_like(uniform, dtype=torch.bool) if mask is None else mask
    anchor = (uniform < _ANCHOR[rule]) & real  # [..., R]
    if rule == "plain":
        zeroed, scored = anchor & (uniform / _ANCHOR[rule] < _ZEROED), anchor
    else:
        zeroed = with_neighbours(anchor, pixel_iou(box), inclusive=rule == "released") & real
        scored = zeroed
    masked = feature.masked_fill(zeroed.unsqueeze(-1), 0)  # [..., R, F]
    if rule == "released":
        scored = (masked == 0).all(dim=-1) & real
    return MaskedRegions(masked, torch.where(scored, 1, NOT_SCORED))


def with_neighbours(anchor: Tensor, overlap: Tensor, *, inclusive: bool = False) -> Tensor:
    """Anchors and the regions that overlap one: IoU > 0.4.

    Args:
        anchor: [..., R] bool.
        overlap: [..., R, R] IoU of every two regions.
        inclusive: IoU >= 0.4, as in the released code. What lies exactly there depends on rounding.

    Returns:
        [..., R] bool.

    Example:
        >>> overlap = torch.tensor([[1.0, 0.5, 0.0], [0.5, 1.0, 0.3], [0.0, 0.3, 1.0]])
        >>> with_neighbours(torch.tensor([False, True, False]), overlap).tolist()
        [True, True, False]
    """
    near = overlap >= _OVERLAP if inclusive else overlap > _OVERLAP  # [..., R, R]
    return anchor | (near & anchor.unsqueeze(-2)).any(dim=-1)  # [..., R]


def pixel_iou(box: Tensor) -> Tensor:
    """IoU of every two boxes whose last row and column of pixels count: width x2 - x1 + 1.

    The released code divides by the image's size and adds 1 / W and 1 / H, which cancels.

    Args:
        box: [..., R, 4] x1 y1 x2 y2 in pixels.

    Returns:
        [..., R, R]. Allocates a few times R x R an image.

    Raises:
        GraphError: another shape.

    Example:
        >>> pixel_iou(torch.tensor([[0.0, 0, 9, 9], [0, 0, 9, 4]]))
        tensor([[1.0000, 0.5000],
                [0.5000, 1.0000]])
    """
    if box.dim() < 2 or box.size(-1) != 4:
        raise GraphError(f"box: expected shape [..., R, 4] (got {list(box.shape)})")
    far = torch.cat([box[..., :2], box[..., 2:] + 1.0], dim=-1)
    return box_iou(far, far)
