"""Structure-level matching of GSMN: the textual and the visual graph.

See `graphmatch.models.gsmn` for the equations. Both graphs convolve node matching vectors x_i with
given edge weights and read a score from each node: s_i = W2 tanh(W1 h_i + b1) + b2.

In the scores of a tile, vectors stand as [t, C, n, Q]: block, image, node, caption.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from graphmatch.nn.kernel_conv import KernelConv
from graphmatch.nn.polar_kernel import PolarKernels
from graphmatch.nn.textual_edges import word_similarity

Propagation = Literal["paper", "official"]


class _Graph(nn.Module):
    """What the two graphs have in common: convolution, and the score of a node."""

    def __init__(
        self, blocks: int, hidden: int, kernels: int, *, propagation: Propagation, bias: bool
    ) -> None:
        super().__init__()
        self.propagation = propagation
        self.convolution = KernelConv(blocks, hidden, kernels, bias=bias)
        self.out_1 = parametrizations.weight_norm(nn.Linear(hidden, hidden))
        self.out_2 = parametrizations.weight_norm(nn.Linear(hidden, 1))

    def hidden(self, x: Tensor, weight: Tensor) -> Tensor:
        """Hidden vectors [..., n, H] of x [..., n, t] with weights [..., n, n, K]; simple."""
        if self.propagation == "official":  # x_i in every slot
            weight = weight.sum(dim=-2).transpose(-1, -2).diag_embed().movedim(-3, -1)
        hidden: Tensor = self.convolution.dense(x, weight)
        return hidden

    def node_score(self, hidden: Tensor) -> Tensor:
        """Scores [..., n] of hidden vectors [..., n, H]."""
        score: Tensor = self.out_2(torch.tanh(self.out_1(hidden))).squeeze(-1)
        return score

    def _mean_score(self, doubled: Tensor, share: Tensor) -> Tensor:
        """[C, Q] scores of 2 W1 h, [H, C, n, Q]; `share` of each node broadcasts."""
        score = self._read(doubled.flatten(1), self.out_2.weight)  # [1, C n Q]
        mean: Tensor = (score.view(doubled.shape[1:]) * share).sum(dim=1) + self.out_2.bias
        return mean

    def _read(self, doubled: Tensor, weight: Tensor) -> Tensor:
        """[..., 1, q]: weight [..., 1, H] times tanh(W1 h + b1), of 2 W1 h [..., H, q].

        H may stand for those of all nodes of an item, one node after the other.
        tanh(z) = 2 sigmoid(2 z) - 1, which takes a fifth of the time on a CPU.
        """
        bias = 2 * self.out_1.bias  # [H]
        bias = bias.repeat(doubled.size(-2) // len(bias)).unsqueeze(-1)  # [H, 1], or all nodes'
        if torch.is_grad_enabled() and doubled.requires_grad:
            active = (doubled + bias).sigmoid()
        else:
            active = doubled.add_(bias).sigmoid_()
        read: Tensor = weight @ active * 2 - weight.sum(dim=-1, keepdim=True)
        return read


class TextualGraph(_Graph):
    """The graph of a caption's words; module `t2i_match_G` of the official code.

    Args:
        blocks: t, numbers of a node matching vector.
        hidden: H, numbers of a hidden vector.
        kernels: K. Their scalars `kernel_scale` [K, 1] cancel in the edge weights, so they have no
            effect here or there (there, a scalar of exactly 0 gives NaN). They are kept, without a
            gradient, because official checkpoints hold them.
        propagation: "paper" or "official".
    """

    def __init__(self, blocks: int, hidden: int, kernels: int, propagation: Propagation) -> None:
        super().__init__(blocks, hidden, kernels, propagation=propagation, bias=True)
        scale = torch.empty(kernels, 1).uniform_(-1, 1)
        self.kernel_scale = nn.Parameter(scale, requires_grad=False)

    def edges(self, words: Tensor, adjacency: Tensor, *, scale: float) -> Tensor:
        """What stands before W_k x_j, or official W_k x_i, for every pair of words.

        w_ij = A_ij s_ij / sum_j A_ij s_ij, the same in all kernels. The sparse graph then
        multiplies by A_ij once more, which matters for a word that is its own neighbour twice.

        Args:
            words: [N, n, d] unit vectors, float32 at least.
            adjacency: [N, n, n] A; of the dense graph, 1 for every pair of real words.
            scale: inverse temperature of the similarity s of words.

        Returns:
            [N, n, n]; 0 for padding.
        """
        weight = adjacency * word_similarity(words, scale)
        total = weight.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(weight.dtype).tiny)
        return weight / total * adjacency

    def forward(self, x: Tensor, edges: Tensor, mask: Tensor) -> Tensor:
        """Scores of all pairs of C images and Q captions.

        Args:
            x: [t, C, n, Q] node matching vectors of words.
            edges: [Q, n, n] from `edges`; official: [Q, n], their sum over neighbours.
            mask: [Q, n] bool, which words are real.

        Returns:
            [C, Q].
        """
        blocks, images, n, captions = x.shape
        if self.propagation == "official":
            x = x * edges.T  # [t, C, n, Q]
        else:
            by_caption = x.permute(3, 2, 0, 1).reshape(captions, n, -1)  # [Q, n, t C]
            mixed = (edges @ by_caption).view(captions, n, blocks, images)
            x = mixed.permute(2, 3, 1, 0)  # [t, C, n, Q]
        # all kernels see the same sum, so W1 and W_1, ..., W_K are one matrix
        twice = 2 * self.out_1.weight
        constant = (twice @ self.convolution.bias).unsqueeze(-1)  # [H, 1]
        doubled = torch.addmm(constant, twice @ self.convolution.weight, x.reshape(blocks, -1))
        doubled = doubled.view(-1, images, n, captions)  # [H, C, n, Q]
        return self._mean_score(doubled, node_share(mask, x.dtype).T)


class VisualGraph(_Graph):
    """The graph of an image's regions; module `i2t_match_G` of the official code.

    Args:
        blocks: t, numbers of a node matching vector.
        hidden: H, numbers of a hidden vector.
        kernels: K.
        propagation: "paper" or "official".
    """

    def __init__(self, blocks: int, hidden: int, kernels: int, propagation: Propagation) -> None:
        super().__init__(blocks, hidden, kernels, propagation=propagation, bias=False)
        self.kernels = PolarKernels(kernels)

    def merged(self, sums: Tensor) -> Tensor:
        """The one matrix of each region that stands before x_i in official propagation.

        Args:
            sums: [C, R, K] S_ik, sums of the kernel weights over the neighbours.

        Returns:
            [C, R, H, t] 2 W1 times the rows of S_ik W_k.
        """
        width = self.convolution.out_channels // self.convolution.kernels
        rows = sums.repeat_interleave(width, dim=-1).unsqueeze(-1) * self.convolution.weight
        merged: Tensor = 2 * self.out_1.weight @ rows
        return merged

    def forward(self, x: Tensor, weight: Tensor, mask: Tensor) -> Tensor:
        """Scores of all pairs of C images and Q captions.

        Args:
            x: [t, C, R, Q] node matching vectors of regions.
            weight: [C, K, R, R] kernel weights; official: [C, R, H, t] from `merged`.
            mask: [C, R] bool, which regions are real.

        Returns:
            [C, Q].
        """
        blocks, images, _, captions = x.shape
        share = node_share(mask, x.dtype).unsqueeze(-1)  # [C, R, 1]
        if self.propagation == "paper":
            return self._mean_score(self._propagate(x, weight), share)
        by_region = x.view(blocks, -1, captions).transpose(0, 1)  # [C R, t, Q]
        doubled = (weight.flatten(0, 1) @ by_region).view(images, -1, captions)  # [C, R H, Q]
        read = (share * self.out_2.weight).view(images, 1, -1)  # [C, 1, R H], with the mean
        mean: Tensor = self._read(doubled, read).squeeze(1) + self.out_2.bias
        return mean

    def _propagate(self, x: Tensor, weight: Tensor) -> Tensor:
        """[H, C, R, Q]: 2 W1 times the concatenation of sum_j w_ijk W_k x_j."""
        blocks, images, regions, captions = x.shape
        kernels = weight.size(1)
        by_kernel = self.convolution.weight.view(kernels, -1, blocks).transpose(0, 1)
        mapped = by_kernel.reshape(-1, blocks) @ x.reshape(blocks, -1)  # [H/K K, C R Q]
        mapped = mapped.view(-1, kernels * images, regions, captions)
        mixed = weight.transpose(0, 1).flatten(0, 1) @ mapped  # [H/K, K C, R, Q]
        after = self.out_1.weight.unflatten(1, (kernels, -1)).transpose(1, 2).flatten(1)
        doubled: Tensor = 2 * after @ mixed.view(after.size(1), -1)  # [H, C R Q]
        return doubled.view(-1, images, regions, captions)


def node_share(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """The weight of each node in the mean over an item's nodes.

    Args:
        mask: [N, n] bool, which nodes are real.
        dtype: of the weights.

    Returns:
        [N, n], 1 / number of nodes; 0 for padding, and for an item without nodes.

    Example:
        >>> node_share(torch.tensor([[True, True, False]]), torch.float32)
        tensor([[0.5000, 0.5000, 0.0000]])
    """
    share = mask.to(dtype)
    return share / share.sum(dim=1, keepdim=True).clamp(min=1)
