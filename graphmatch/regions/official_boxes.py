"""Boxes as GSMN's released code hands them out: for its released checkpoints only.

Three slips of the official code are part of what its published weights have seen. Nothing else in
this library uses them: `Regions.to_graph` divides once.

* It divides boxes by the image's size in the array that it keeps, at every access, so the n-th
  reader of an image gets boxes divided n times: `official_boxes`.
* Until 12 October 2020, after the checkpoints were released, it divided x by the height and y by
  the width: `divisor="swapped"`.
* Validation and evaluation without folds keep every fifth image vector, because feature files hold
  each image five times, but not every fifth row of boxes: `official_single_fold_boxes`.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from graphmatch.errors import ConfigError, GraphError, check_choice


def official_boxes(
    box: Tensor,
    size: Tensor,
    access: int,
    *,
    divisor: Literal["size", "swapped"] = "size",
) -> Tensor:
    """Boxes at the n-th access: divided n times by the image's size, rounded each time.

    An image of training has been read five times an epoch, once for each caption. Evaluation reads
    every row twice, so `access=2` is what the model was scored with. After about nineteen accesses
    the boxes are 0.

    Args:
        box: [..., R, 4] x1 y1 x2 y2 in pixels, float32 in the official files.
        size: [..., 2] width and height in pixels.
        access: n, 1 for boxes as they are meant.
        divisor: "size" divides x by width and y by height; "swapped" x by height and y by width,
            as before 12 October 2020.

    Returns:
        [..., R, 4] in the dtype of the boxes.

    Raises:
        ConfigError: an access below 1, an unknown divisor.
        GraphError: boxes or sizes of another shape.

    Example:
        >>> box, size = torch.tensor([[32.0, 0.0, 64.0, 16.0]]), torch.tensor([64.0, 32.0])
        >>> official_boxes(box, size, 1).tolist(), official_boxes(box, size, 2).tolist()
        ([[0.5, 0.0, 1.0, 0.5]], [[0.0078125, 0.0, 0.015625, 0.015625]])
    """
    check_choice("divisor", divisor, ("size", "swapped"))
    if access < 1:
        raise ConfigError(f"access: expected 1 or more (got {access})")
    if box.dim() < 2 or box.size(-1) != 4 or size.shape != (*box.shape[:-2], 2):
        raise GraphError(
            "expected boxes [..., R, 4] and sizes [..., 2] "
            f"(got {list(box.shape)} and {list(size.shape)})"
        )
    pair = size if divisor == "size" else size.flip(-1)
    by = torch.cat((pair, pair), dim=-1).unsqueeze(-2).to(box.dtype)  # [..., 1, 4]
    for _ in range(access):
        box = box / by
    return box


def official_single_fold_boxes(box: Tensor) -> Tensor:
    """Boxes that evaluation without folds gives to each image: image k gets those of image k // 5.

    Evaluation in five folds (COCO 1K) is not affected.

    Args:
        box: [N, R, 4], one row an image.

    Returns:
        [N, R, 4].

    Example:
        >>> official_single_fold_boxes(torch.arange(7.0).view(7, 1, 1)).flatten().tolist()
        [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0]
    """
    return box[torch.arange(len(box), device=box.device) // 5]
