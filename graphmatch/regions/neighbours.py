"""Which regions are neighbours: all of an image, or the nearest ones by distance of centres.

Each neighbourhood comes in two layouts that hold the same pairs: padded ([..., R, M] with a mask)
and ragged (the edge_index of a PyG batch, first row the neighbour j, second row the region i that
looks at it). `loops` says whether a region is a neighbour of itself; in GSMN's complete graph it
is. Nothing here is differentiable; coordinates of the pairs are, see `graphmatch.regions.polar`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from graphmatch.errors import ConfigError, GraphError
from graphmatch.regions.polar import box_centre, check_mask


def complete_neighbours(mask: Tensor, *, loops: bool) -> Tensor:
    """Every region of an image is a neighbour of every other.

    Args:
        mask: [..., R] bool, which regions are real.
        loops: whether a region is its own neighbour.

    Returns:
        [..., R, R] bool, whether j is a neighbour of i. Allocates R x R an image.

    Raises:
        GraphError: a mask that is not boolean.

    Example:
        >>> complete_neighbours(torch.tensor([True, True, False]), loops=False).tolist()
        [[False, True, False], [True, False, False], [False, False, False]]
    """
    check_mask(mask, mask.shape)
    pairs = mask.unsqueeze(-1) & mask.unsqueeze(-2)
    if loops:
        return pairs
    return pairs & ~torch.eye(mask.size(-1), dtype=torch.bool, device=mask.device)


def nearest_neighbours(
    box: Tensor, count: int, *, loops: bool, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The `count` regions whose centres are nearest, nearest first, ties by smaller number.

    Distances are compared as squares, dx^2 + dy^2, in the dtype of the boxes: in float32, distances
    below 1e-22 are ties. The same boxes give the same neighbours whatever batch they are in.

    Args:
        box: [..., R, 4] x1 y1 x2 y2.
        count: how many neighbours a region has, itself included if `loops`; a region of an image
            with fewer has them all.
        loops: whether a region is its own neighbour; it is then its first one, even if another
            has the same centre.
        mask: [..., R] bool, which regions are real; all if None.

    Returns:
        index: [..., R, M] int64 number of each neighbour in its image, M = min(count, R); 0 where
            there is none.
        mask: [..., R, M] bool, whether there is one. Allocates R x R an image.

    Raises:
        ConfigError: a count below 1.
        GraphError: boxes or mask of another shape.

    Example:
        >>> box = torch.tensor([[0.0, 0, 0, 0], [0.3, 0, 0.3, 0], [0.4, 0, 0.4, 0]])
        >>> index, mask = nearest_neighbours(box, 1, loops=False)
        >>> index.tolist()
        [[1], [2], [1]]
    """
    if count < 1:
        raise ConfigError(f"count of neighbours: expected at least 1 (got {count})")
    x, y = box_centre(box.detach()).unbind(-1)  # [..., R]
    if mask is None:
        mask = torch.ones_like(x, dtype=torch.bool)
    check_mask(mask, x.shape)
    dx, dy = x.unsqueeze(-1) - x.unsqueeze(-2), y.unsqueeze(-1) - y.unsqueeze(-2)
    # a product and a sum, not hypot: these are rounded alike on every device and in every batch
    distance = dx * dx + dy * dy  # [..., R, R]
    distance.diagonal(dim1=-2, dim2=-1).fill_(-1)
    joined = complete_neighbours(mask, loops=loops)
    order = distance.masked_fill(~joined, torch.inf).sort(dim=-1, stable=True).indices
    index = order[..., :count]  # [..., R, M]
    present = joined.gather(-1, index)
    return index.masked_fill(~present, 0), present


def complete_edges(ptr: Tensor, *, loops: bool) -> Tensor:
    """The edges of complete graphs: `complete_neighbours` of a PyG batch.

    Args:
        ptr: [B + 1] int64, where each image's regions start; [0, R] for one image.
        loops: whether a region is its own neighbour.

    Returns:
        edge_index [2, E], sorted by region i, then by neighbour j: with loops, what belongs to one
        image of R regions can be viewed as [R, R]. Synchronises a GPU, allocates R x R an image.

    Example:
        >>> complete_edges(torch.tensor([0, 2, 3]), loops=True).tolist()
        [[0, 1, 0, 1, 2], [0, 0, 1, 1, 2]]
    """
    pairs = complete_neighbours(_region_mask(ptr), loops=loops)  # [B, R, R]
    graph, target, source = pairs.nonzero(as_tuple=True)
    return torch.stack((source, target)) + ptr[graph]


def nearest_edges(box: Tensor, ptr: Tensor, count: int, *, loops: bool) -> Tensor:
    """The edges from each region's nearest neighbours: `nearest_neighbours` of a PyG batch.

    Args:
        box: [N, 4] x1 y1 x2 y2 of all regions.
        ptr: [B + 1] int64, where each image's regions start; [0, N] for one image.
        count: how many neighbours a region has, itself included if `loops`.
        loops: whether a region is its own neighbour.

    Returns:
        edge_index [2, E], sorted by region i, then nearest first. Synchronises a GPU; pads inside
        to the largest image, R x R an image.

    Raises:
        ConfigError: a count below 1.
        GraphError: boxes of another shape, or not as many as `ptr` says.

    Example:
        >>> box = torch.tensor([[0.0, 0, 0, 0], [0.3, 0, 0.3, 0], [0.4, 0, 0.4, 0]])
        >>> nearest_edges(box, torch.tensor([0, 3]), 1, loops=False).tolist()
        [[1, 2, 1], [0, 1, 2]]
    """
    if box.shape != (int(ptr[-1]), 4):
        raise GraphError(
            f"box: expected shape [{int(ptr[-1])}, 4] as ptr says (got {list(box.shape)})"
        )
    mask = _region_mask(ptr)
    padded = box.new_zeros(*mask.shape, 4)  # [B, R, 4]
    padded[mask] = box
    index, present = nearest_neighbours(padded, count, loops=loops, mask=mask)
    graph, target, place = present.nonzero(as_tuple=True)
    return torch.stack((index[graph, target, place], target)) + ptr[graph]


def _region_mask(ptr: Tensor) -> Tensor:
    counts = ptr.diff()
    most = max(counts.tolist(), default=0)
    return torch.arange(most, device=ptr.device) < counts.unsqueeze(-1)  # [B, R]
