"""`KernelConv`: graph convolution with several kernels, whose edge weights are given.

Source: GSMN (CVPR 2020) section 3.2.2; official code, which has it from the graph layer of
Norcliffe-Brown et al. (2018). Of K kernels, each makes H / K of the H numbers of a node:

    h_i = concat over k of (W_k sum_j w_ijk x_j + b_k)

W_k is applied before the sum over the neighbours j, which is the same and cheaper. There is no
activation. The released GSMN puts x_i in the place of x_j; see `graphmatch.models.gsmn`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from graphmatch.errors import ConfigError, GraphError


class KernelConv(MessagePassing):  # type: ignore[misc]  # PyG has no types
    """K linear maps, each with its own weights of the edges.

    Parameters have the names and shapes of the official checkpoints, `conv_weights.{k}.weight`
    [H / K, F] and `conv_weights.{k}.bias` [H / K], and start as `torch.nn.Linear` does.

    Args:
        in_channels: F, numbers of a node.
        out_channels: H, numbers of a node after the convolution; a multiple of `kernels`.
        kernels: K.
        bias: whether b_k is added, once a node. (Official GSMN: on captions, not on images.)

    Raises:
        ConfigError: a size below 1, or kernels that do not divide `out_channels`.

    Example:
        >>> conv = KernelConv(4, 6, 2)
        >>> edge_index, weight = torch.tensor([[0, 1], [1, 1]]), torch.rand(2, 2)
        >>> conv(torch.rand(2, 4), edge_index, weight).shape
        torch.Size([2, 6])
        >>> conv
        KernelConv(4, 6, kernels=2, bias=True)
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernels: int = 8, *, bias: bool = True
    ) -> None:
        if min(in_channels, out_channels, kernels) < 1 or out_channels % kernels:
            got = f"{in_channels}, {out_channels} and {kernels}"
            raise ConfigError(
                f"expected sizes from 1 and kernels that divide out_channels (got {got})"
            )
        super().__init__(aggr="add", node_dim=0)
        self.in_channels, self.out_channels, self.kernels = in_channels, out_channels, kernels
        self.has_bias, width = bias, out_channels // kernels
        self.conv_weights = nn.ModuleList(
            nn.Linear(in_channels, width, bias=bias) for _ in range(kernels)
        )

    @property
    def weight(self) -> Tensor:
        """[H, F] rows of W_1, ..., W_K."""
        return torch.cat([layer.weight for layer in self._layers()])

    @property
    def bias(self) -> Tensor | None:
        """[H] b_1, ..., b_K, or None."""
        if not self.has_bias:
            return None
        return torch.cat([layer.bias for layer in self._layers()])

    def _layers(self) -> list[nn.Linear]:
        return [layer for layer in self.conv_weights if isinstance(layer, nn.Linear)]

    def forward(self, x: Tensor, edge_index: Tensor, weight: Tensor) -> Tensor:
        """Convolve a graph, or a batch of graphs, given by its edges.

        Args:
            x: [N, F] nodes.
            edge_index: [2, E] int64, source j and target i of each edge.
            weight: [E, K] w_ijk.

        Returns:
            [N, H]. Allocates E x H numbers.

        Raises:
            GraphError: nodes or weights of another shape.
        """
        edges = [edge_index.size(-1), self.kernels]
        if x.dim() != 2 or x.size(1) != self.in_channels or list(weight.shape) != edges:
            raise GraphError(
                f"expected nodes [N, {self.in_channels}] and weights {edges} "
                f"(got {list(x.shape)} and {list(weight.shape)})"
            )
        mapped = self._map(x)  # [N, K, H / K]
        out = self.propagate(edge_index, x=mapped, weight=weight, size=(len(x), len(x)))
        return self._finish(out)

    def message(self, x_j: Tensor, weight: Tensor) -> Tensor:
        """What an edge carries: [E, K, H / K]."""
        return weight.unsqueeze(-1) * x_j

    def dense(self, x: Tensor, weight: Tensor) -> Tensor:
        """Convolve graphs that are padded to one size.

        Args:
            x: [..., M, F] nodes.
            weight: [..., M, M, K] w_ijk, 0 where there is no edge.

        Returns:
            [..., M, H]; what stands in rows of padding means nothing.

        Raises:
            GraphError: nodes or weights of another shape.

        Example:
            >>> conv = KernelConv(4, 6, 2)
            >>> conv.dense(torch.rand(3, 5, 4), torch.rand(3, 5, 5, 2)).shape
            torch.Size([3, 5, 6])
        """
        pairs = [x.size(-2), x.size(-2), self.kernels]
        if x.size(-1) != self.in_channels or list(weight.shape[-3:]) != pairs:
            raise GraphError(
                f"expected nodes [..., M, {self.in_channels}] and weights [..., M, M, K] "
                f"(got {list(x.shape)} and {list(weight.shape)})"
            )
        out = torch.einsum("...ijk,...jkw->...ikw", weight, self._map(x))  # [..., M, K, H / K]
        return self._finish(out)

    def _map(self, x: Tensor) -> Tensor:
        mapped: Tensor = x @ self.weight.t()
        return mapped.reshape(*x.shape[:-1], self.kernels, -1)

    def _finish(self, out: Tensor) -> Tensor:
        flat, bias = out.flatten(-2), self.bias  # [..., H]
        return flat if bias is None else flat + bias

    def __repr__(self) -> str:
        sizes = f"{self.in_channels}, {self.out_channels}"
        return f"KernelConv({sizes}, kernels={self.kernels}, bias={self.has_bias})"
