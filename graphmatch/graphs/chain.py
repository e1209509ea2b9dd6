"""`temporal_chain`: the edges of clips and behaviours, derived from their order."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import Batch

from graphmatch.graphs.base import Graph


def temporal_chain(ptr: Tensor) -> Tensor:
    """Edges between neighbours in time, both ways, never from one graph to another.

    Args:
        ptr: [B + 1] where each graph's nodes start; [0, N] for one graph.

    Returns:
        edge_index [2, 2 (N - B)], all forward edges first.

    Example:
        >>> temporal_chain(torch.tensor([0, 2, 5])).tolist()
        [[0, 2, 3, 1, 3, 4], [1, 3, 4, 0, 2, 3]]
    """
    last = torch.zeros(int(ptr[-1]), dtype=torch.bool, device=ptr.device)  # [N]
    ends = ptr[1:][ptr[1:] > ptr[:-1]] - 1
    last[ends] = True
    start = torch.nonzero(~last).flatten()  # [N - B]
    forward = torch.stack((start, start + 1))
    return torch.cat((forward, forward.flip(0)), dim=1)  # [2, 2 (N - B)]


def node_ptr(graph: Graph) -> Tensor:
    """Where the nodes of each graph start, for one graph or a batch.

    Args:
        graph: a graph, or a PyG batch of graphs.

    Returns:
        [B + 1] int64 on the device of the graph.
    """
    if isinstance(graph, Batch):
        return torch.as_tensor(graph.ptr)
    device = next(value.device for _, value in graph.columns())
    return torch.tensor([0, graph.num_nodes or 0], device=device)
