"""`RoleAttention`: HGR's graph layer, and the edges along which it sends.

Source: HGR (CVPR 2020) section 3.1; official code, `encoders/graph.py`, `readers/rolegraphs.py`.
For node i with vector x_i and the nodes j that send to it,

    b_ij = softmax over j of (W_q x_i + b_q) . (W_k x_j + b_k) / sqrt(attention)
    x_i <- LayerNorm(x_i + Dropout(W_t sum_j b_ij x_j))

The paper has one matrix W_t for all edges and a role for each edge; here, as in the official code,
the role is in the node. A node to which none sends has the sum 0 and is normalised all the same.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import coalesce, degree, softmax

from graphmatch.errors import ConfigError, GraphError


def message_edges(edge_index: Tensor, kind: Tensor) -> Tensor:
    """The directed edges along which the nodes of role graphs send to each other.

    Event -> action as in the graph; action -> entity and, in addition, entity -> action. Nothing is
    sent to an event, and no node sends to itself.

    Args:
        edge_index: [2, E] int64 rows (source, target) of role graphs, as in `TextGraph`.
        kind: [N] int64 kinds of the nodes; 0 is the event.

    Returns:
        [2, M] int64, each edge once, sorted by source.

    Example:
        >>> message_edges(torch.tensor([[0, 1, 1], [1, 2, 2]]), torch.tensor([0, 1, 2]))
        tensor([[0, 1, 2],
                [1, 2, 1]])
    """
    inner = edge_index[:, kind[edge_index[0]] != 0]
    return coalesce(torch.cat([edge_index, inner.flip(0)], dim=1), num_nodes=len(kind))  # type: ignore[no-any-return]


class RoleAttention(MessagePassing):  # type: ignore[misc]
    """One layer of role-conditioned graph reasoning, for sparse graphs of any size.

    Args:
        size: D, numbers of a node.
        attention: numbers of queries and keys (512 in the official code); 0 weighs all edges of a
            node equally: the plain graph convolution.
        dropout: share of the numbers of what a node receives that training drops.

    Raises:
        ConfigError: a size out of range.

    Example:
        >>> layer = RoleAttention(8, attention=4)
        >>> layer(torch.zeros(3, 8), torch.tensor([[0, 1, 2], [1, 2, 1]])).shape
        torch.Size([3, 8])
        >>> layer
        RoleAttention(8, attention=4, dropout=0.5)
    """

    def __init__(self, size: int, *, attention: int = 512, dropout: float = 0.5) -> None:
        super().__init__(aggr="add")
        if size < 1 or attention < 0:
            raise ConfigError(f"expected a size from 1, attention from 0 (got {size}, {attention})")
        if not 0 <= dropout < 1:
            raise ConfigError(f"dropout: expected a share in [0, 1) (got {dropout})")
        self.size, self.attention = size, attention
        if attention:
            self.query = nn.Linear(size, attention)
            self.key = nn.Linear(size, attention)
        self.context = nn.Linear(size, size, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(size)

    def weights(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Attention of each edge's target to its source.

        Args:
            x: [N, D] nodes.
            edge_index: [2, M] int64 rows (source, target), each edge once.

        Returns:
            [M], sums to 1 over the edges that reach a node.
        """
        source, target = edge_index
        if not self.attention:
            return 1 / degree(target, len(x), dtype=x.dtype)[target]  # type: ignore[no-any-return]
        products = (self.query(x)[target] * self.key(x)[source]).sum(dim=-1)  # [M]
        logits = products / self.attention**0.5
        return softmax(logits, target, num_nodes=len(x))  # type: ignore[no-any-return]

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Let the nodes receive once.

        Args:
            x: [N, D] nodes.
            edge_index: [2, M] int64 rows (source, target), each edge once; `message_edges` makes
                them.

        Returns:
            [N, D] nodes. Allocates M x D. On a GPU the order of the sums, and so their rounding,
            may vary.

        Raises:
            GraphError: nodes of another size.
        """
        if x.dim() != 2 or x.size(1) != self.size:
            raise GraphError(f"expected nodes [N, {self.size}] (got {list(x.shape)})")
        received = self.propagate(edge_index, x=x, weight=self.weights(x, edge_index))  # [N, D]
        return self.norm(x + self.dropout(self.context(received)))  # type: ignore[no-any-return]

    def message(self, x_j: Tensor, weight: Tensor) -> Tensor:
        """[M, D] what each edge carries: its source x_j [M, D], weighted."""
        return weight.unsqueeze(-1) * x_j

    def __repr__(self) -> str:
        share = self.dropout.p
        return f"RoleAttention({self.size}, attention={self.attention}, dropout={share})"
