"""RoI pooling: a fixed-size feature of each box from the feature maps of its image."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from graphmatch.errors import ConfigError, GraphError


def roi_pool(maps: Tensor, box: Tensor, image: Tensor, samples: int = 3) -> Tensor:
    """Mean of `samples` x `samples` bilinear samples of a feature map inside each box.

    The box is cut into equal cells and the map sampled at their centres, as in RoIAlign with one
    sample a cell (He et al., Mask R-CNN, 2017, section 3). A map cell is a square whose value
    stands at its centre: the point x in [0, 1] of the image lies at `x w - 0.5` in a map of width w
    (`align_corners=False`). Outside the outermost centres the border repeats.

    Args:
        maps: [B, C, h, w] feature maps. Only the sampled cells are read if the memory is
            channels-last; else the maps are copied once.
        box: [N, 4] x1 y1 x2 y2 in [0, 1] of the image's width and height, of the same type as
            `maps`. A box without area is sampled at one place.
        image: [N] int64 in [0, B), the map of each box; any order.
        samples: s, samples along each side.

    Returns:
        [N, C]. Differentiable in the maps and, between the centres of cells, in the boxes.
        Never holds the N s^2 samples. Synchronises the device once, to check the boxes.

    Raises:
        GraphError: other shapes, coordinates that are not finite, an image that is not there.
        ConfigError: `samples` below 1.

    Example:
        >>> ramp = torch.arange(4.0).repeat(4, 1)[None, None]  # [1, 1, 4, 4], value = column
        >>> box = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.25, 0.0, 0.5, 1.0]])
        >>> roi_pool(ramp, box, torch.tensor([0, 0]), 2).tolist()
        [[1.5], [1.0]]
    """
    index, weight = _corners(maps, box, image, samples)  # [N, s, s, 4]
    return _weighted_cells(maps, index.flatten(1), weight.flatten(1) / samples**2)


def roi_grid(maps: Tensor, box: Tensor, image: Tensor, samples: int = 7) -> Tensor:
    """The samples that `roi_pool` averages.

    Args:
        maps: as in `roi_pool`.
        box: as in `roi_pool`.
        image: as in `roi_pool`.
        samples: s, samples along each side.

    Returns:
        [N, C, s, s], rows from top to bottom. Differentiable as `roi_pool` is.

    Raises:
        GraphError: as `roi_pool`.
        ConfigError: as `roi_pool`.

    Example:
        >>> ramp = torch.arange(4.0).repeat(4, 1)[None, None]
        >>> roi_grid(ramp, torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([0]), 2).tolist()
        [[[[0.5, 2.5], [0.5, 2.5]]]]
    """
    index, weight = _corners(maps, box, image, samples)
    cells = _weighted_cells(maps, index.flatten(0, 2), weight.flatten(0, 2))  # [N s s, C]
    return cells.view(-1, samples, samples, maps.size(1)).permute(0, 3, 1, 2)


def _corners(maps: Tensor, box: Tensor, image: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """The four cells around each sample, as rows of all cells, and their weights."""
    _check(maps, box, image, samples)
    height, width = maps.shape[2:]
    centre = (torch.arange(samples, dtype=box.dtype, device=box.device) + 0.5) / samples
    low, high = box[:, None, :2], box[:, None, 2:]
    point = low + centre[:, None] * (high - low)  # [N, s, 2]
    column, across = _neighbours(point[..., 0], width)  # [N, s, 2]
    row, down = _neighbours(point[..., 1], height)
    row = row + height * image[:, None, None]
    index = row[:, :, None, :, None] * width + column[:, None, :, None, :]  # [N, s, s, 2, 2]
    weight = down[:, :, None, :, None] * across[:, None, :, None, :]
    return index.flatten(3), weight.flatten(3)


def _neighbours(point: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """[N, s, 2]: the two cells around each point of [0, 1] along one side, and their weights."""
    place = (point * size - 0.5).clamp(0, size - 1)
    first = place.detach().floor()
    fraction = place - first
    cell = first.long()
    cells = torch.stack([cell, (cell + 1).clamp(max=size - 1)], dim=-1)
    return cells, torch.stack([1 - fraction, fraction], dim=-1)


def _weighted_cells(maps: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """[K, C]: sums of cells, K rows of numbers of cells and their weights."""
    cells = maps.permute(0, 2, 3, 1).flatten(0, 2)  # [B h w, C], a view if channels-last
    return F.embedding_bag(index, cells, mode="sum", per_sample_weights=weight)


def _check(maps: Tensor, box: Tensor, image: Tensor, samples: int) -> None:
    if samples < 1:
        raise ConfigError(f"samples: expected 1 or more (got {samples})")
    if maps.dim() != 4 or 0 in maps.shape[1:]:
        raise GraphError(f"maps: expected shape [B, C, h, w] (got {list(maps.shape)})")
    if box.dim() != 2 or box.size(1) != 4 or image.shape != box.shape[:1]:
        raise GraphError(
            "expected box [N, 4] and image [N] "
            f"(got box {list(box.shape)} and image {list(image.shape)})"
        )
    if box.dtype != maps.dtype:
        raise GraphError(f"box: expected {maps.dtype}, the type of maps (got {box.dtype})")
    inside = (image >= 0) & (image < maps.size(0))  # [N]
    wrong = ~(inside & box.isfinite().all(dim=1))
    if wrong.any():
        first = int(wrong.nonzero()[0])
        raise GraphError(
            f"expected finite boxes of images 0 to {maps.size(0) - 1} "
            f"(got {box[first].tolist()} of image {int(image[first])})"
        )
