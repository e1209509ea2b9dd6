"""Polar coordinates of regions as GSMN sees them: how far and in which direction two centres lie.

Source: GSMN (CVPR 2020), visual graph; official code. The region i looks at its neighbour j:

    centre   m_i = (x1 + (x2 - x1) / 2, y1 + (y2 - y1) / 2)
    offset   (dx, dy) = m_i - m_j
    rho      sqrt(dx^2 + dy^2)
    theta    atan2(dx, dy), x first, so the angle from the y axis, in (-pi, pi]

y points down in an image: sin(theta) < 0 says that i is left of j, cos(theta) < 0 that it is above.
Equal centres, a region and itself among them, have (0, 0).

`torch_geometric.transforms.Polar` is another convention: it measures the angle from the x axis,
atan2(dy, dx), turns it to [0, 2 pi), and by default divides rho by the largest one of all edges,
so that a graph's values depend on the batch it is in, and theta by 2 pi. Its offset has the same
sign: target minus source, the target being i. Unnormalised, rho is the same and theta here is
pi/2 minus theta there, brought to (-pi, pi].

Gradients are exact and finite; that of a pair is 0 where its centres are equal, or closer than
1e-31 in float32, where the true one does not exist or cannot be represented.
"""

from __future__ import annotations

import torch
from torch import Tensor

from graphmatch.errors import GraphError


def box_centre(box: Tensor) -> Tensor:
    """Centres of boxes: (x1 + (x2 - x1) / 2, y1 + (y2 - y1) / 2).

    Args:
        box: [..., R, 4] x1 y1 x2 y2 in any unit; [0, 1] of width and height in `RegionGraph`.

    Returns:
        [..., R, 2] x, y in the unit of the boxes.

    Raises:
        GraphError: boxes of another shape.

    Example:
        >>> box_centre(torch.tensor([[0.0, 0.25, 0.5, 0.75]]))
        tensor([[0.2500, 0.5000]])
    """
    if box.dim() < 2 or box.size(-1) != 4:
        raise GraphError(f"box: expected shape [..., R, 4] (got {list(box.shape)})")
    low, high = box[..., :2], box[..., 2:]
    return low + 0.5 * (high - low)  # [..., R, 2]


def pairwise_polar(box: Tensor, mask: Tensor | None = None) -> Tensor:
    """Polar coordinates of every two regions of an image.

    Args:
        box: [..., R, 4] x1 y1 x2 y2; [B, R, 4] for padded images.
        mask: [..., R] bool, which regions are real; all if None.

    Returns:
        [..., R, R, 2] rho and theta (radians) of centre i minus centre j; 0 where i or j is
        padding. Allocates R x R an image.

    Raises:
        GraphError: boxes or mask of another shape.

    Example:
        >>> left, right = [0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]
        >>> pairwise_polar(torch.tensor([left, right]))[0, 1]  # left of: rho 1/2, theta -pi/2
        tensor([ 0.5000, -1.5708])
    """
    x, y = box_centre(box).unbind(-1)  # [..., R]
    pairs = None
    if mask is not None:
        check_mask(mask, x.shape)
        pairs = mask.unsqueeze(-1) & mask.unsqueeze(-2)  # [..., R, R]
    return _polar(x.unsqueeze(-1) - x.unsqueeze(-2), y.unsqueeze(-1) - y.unsqueeze(-2), pairs)


def neighbour_polar(box: Tensor, index: Tensor, mask: Tensor | None = None) -> Tensor:
    """Polar coordinates of regions and some neighbours of each, padded.

    Args:
        box: [..., R, 4] x1 y1 x2 y2.
        index: [..., R, M] int64, number of each neighbour in its image, as `nearest_neighbours`
            gives it.
        mask: [..., R, M] bool, which neighbours are real; all if None.

    Returns:
        [..., R, M, 2] rho and theta (radians) of centre i minus centre index[i, m]; 0 where there
        is no neighbour.

    Raises:
        GraphError: boxes, index or mask of another shape.

    Example:
        >>> box = torch.tensor([[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]])
        >>> neighbour_polar(box, torch.tensor([[1], [0]])).tolist()
        [[[0.5, -1.5707963705062866]], [[0.5, 1.5707963705062866]]]
    """
    x, y = box_centre(box).unbind(-1)  # [..., R]
    if index.shape[:-1] != x.shape:
        raise GraphError(f"index: expected shape {[*x.shape, 'M']} (got {list(index.shape)})")
    if mask is not None:
        check_mask(mask, index.shape)
    flat = index.flatten(-2)  # [..., R M]
    dx = x.unsqueeze(-1) - x.gather(-1, flat).view_as(index)  # [..., R, M]
    dy = y.unsqueeze(-1) - y.gather(-1, flat).view_as(index)
    return _polar(dx, dy, mask)  # [..., R, M, 2]


def edge_polar(box: Tensor, edge_index: Tensor) -> Tensor:
    """Polar coordinates of the edges of a graph or a PyG batch of graphs.

    Args:
        box: [N, 4] x1 y1 x2 y2 of all regions.
        edge_index: [2, E] int64, first row the neighbour j (source), second row the region i
            (target), as PyG's layers read it; see `complete_edges` and `nearest_edges`.

    Returns:
        [E, 2] rho and theta (radians) of centre i minus centre j.

    Raises:
        GraphError: boxes or edges of another shape.

    Example:
        >>> box = torch.tensor([[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]])
        >>> edge_polar(box, torch.tensor([[1], [0]]))
        tensor([[ 0.5000, -1.5708]])
    """
    if box.dim() != 2 or edge_index.dim() != 2 or edge_index.size(0) != 2:
        raise GraphError(
            "expected boxes [N, 4] and edge_index [2, E] "
            f"(got {list(box.shape)} and {list(edge_index.shape)})"
        )
    x, y = box_centre(box).unbind(-1)  # [N]
    source, target = edge_index
    return _polar(x[target] - x[source], y[target] - y[source])  # [E, 2]


def check_mask(mask: Tensor, shape: torch.Size) -> None:
    """Raise `GraphError` unless a mask has a shape and is boolean.

    Args:
        mask: the mask.
        shape: what its shape should be.

    Raises:
        GraphError: another shape or dtype.
    """
    if mask.shape != shape or mask.dtype != torch.bool:
        raise GraphError(
            f"mask: expected torch.bool of shape {list(shape)} "
            f"(got {mask.dtype} of shape {list(mask.shape)})"
        )


def _polar(dx: Tensor, dy: Tensor, mask: Tensor | None = None) -> Tensor:
    if mask is not None:
        dx, dy = dx.masked_fill(~mask, 0), dy.masked_fill(~mask, 0)
    # scaled to a longer side of 1: a square neither underflows nor overflows, nor does a gradient;
    # the scale is detached, because neither rho nor theta depends on it
    scale = torch.maximum(dx.detach().abs(), dy.detach().abs())
    limit = torch.finfo(dx.dtype)
    steep = scale < limit.tiny / limit.eps
    dx, dy = torch.where(steep, dx.detach(), dx), torch.where(steep, dy.detach(), dy)
    apart = scale > 0
    divisor = torch.where(apart, scale, 1)
    x, y = dx / divisor, torch.where(apart, dy / divisor, 1)  # equal: 0 times the unit (0, 1)
    return torch.stack((scale * torch.hypot(x, y), torch.atan2(x, y)), dim=-1)
