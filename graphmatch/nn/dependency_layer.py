"""`DependencyLayer`: a word learns of the words that it depends on and that depend on it.

Beyond the papers. For a word i with vector x_i and its neighbours j in the tree of dependencies,
r_ij being a learned vector of the relation between them and of its direction,

    x_i <- x_i + tanh(W mean over j of (x_j + r_ij))

W starts at 0: a model with this layer begins as the one without it. A word without neighbours stays
as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from graphmatch.errors import ConfigError, GraphError
from graphmatch.graphs.text import RELATIONS

_SPREAD = 0.1  # of the vectors of relations at first; those of GloVe's words have about 0.4


class DependencyLayer(MessagePassing):  # type: ignore[misc]  # PyG has no types
    """One step along the dependencies of captions, both ways.

    Args:
        size: D, numbers of a word.

    Raises:
        ConfigError: a size below 1.

    Example:
        >>> layer = DependencyLayer(3)
        >>> edge_index, relation = torch.tensor([[1], [0]]), torch.tensor([5])  # from the head
        >>> layer(torch.ones(2, 3), edge_index, relation)[0]
        tensor([1., 1., 1.], grad_fn=<SelectBackward0>)
        >>> layer
        DependencyLayer(3)
    """

    def __init__(self, size: int) -> None:
        super().__init__(aggr="mean")
        if size < 1:
            raise ConfigError(f"expected a size from 1 (got {size})")
        self.size = size
        self.relation = nn.Embedding(2 * len(RELATIONS), size)  # to the dependent, to the head
        self.context = nn.Linear(size, size, bias=False)
        nn.init.normal_(self.relation.weight, std=_SPREAD)
        nn.init.zeros_(self.context.weight)

    def forward(self, x: Tensor, edge_index: Tensor, relation: Tensor) -> Tensor:
        """Let the words learn of their neighbours once.

        Args:
            x: [N, D] words of all captions.
            edge_index: [2, E] int64 rows (head, dependent).
            relation: [E] int64 numbers of relations, see `graphmatch.graphs.text.RELATIONS`.

        Returns:
            [N, D]. Allocates 2 E x D. On a GPU the order of the sums, and so their rounding, may
            vary.

        Raises:
            GraphError: words of another size, another number of relations.
        """
        if x.dim() != 2 or x.size(1) != self.size:
            raise GraphError(f"expected words [N, {self.size}] (got {[*x.shape]})")
        if edge_index.shape != (2, len(relation)):
            raise GraphError(f"expected edges [2, {len(relation)}] (got {[*edge_index.shape]})")
        both = torch.cat((edge_index, edge_index.flip(0)), dim=1)  # [2, 2 E]
        label = self.relation(torch.cat((relation, relation + len(RELATIONS))))  # [2 E, D]
        received = self.propagate(both, x=x, label=label, size=(len(x), len(x)))  # [N, D]
        return x + self.context(received).tanh()  # type: ignore[no-any-return]

    def message(self, x_j: Tensor, label: Tensor) -> Tensor:
        """[2 E, D] what each edge carries."""
        return x_j + label

    def __repr__(self) -> str:
        return f"DependencyLayer({self.size})"
