"""Edge weights of GSMN's textual graph.

Source: GSMN (CVPR 2020) section 3.2.2; official code, `model.py`. u_i are unit word vectors.
"""

from __future__ import annotations

import torch
from torch import Tensor

from graphmatch.errors import GraphError


def word_similarity(words: Tensor, scale: float) -> Tensor:
    """Similarity of every two words of a caption: s_ij = softmax_j(scale * u_i . u_j).

    These are the edge weights of the dense textual graph.

    Args:
        words: word vectors [..., n, d], of any length; they are normalised here.
        scale: inverse temperature, lambda of the paper (20 for Flickr30K, 10 for COCO).

    Returns:
        [..., n, n], rows sum to 1. Allocates n x n a caption.

    Example:
        >>> word_similarity(torch.eye(2), 0.0)
        tensor([[0.5000, 0.5000],
                [0.5000, 0.5000]])
    """
    if words.dim() < 2:
        raise GraphError(f"expected word vectors [..., n, d] (got shape {tuple(words.shape)})")
    unit = words / (torch.linalg.vector_norm(words, dim=-1, keepdim=True) + 1e-8)
    return torch.softmax(scale * unit @ unit.transpose(-1, -2), dim=-1)  # [..., n, n]


def sparse_edge_weight(similarity: Tensor, adjacency: Tensor) -> Tensor:
    """Edge weights of the sparse textual graph: rows of A o s divided by their length.

    e_ij = (A o s)_ij / (sqrt(sum_j (A o s)_ij^2) + 1e-8).

    Args:
        similarity: s [..., n, n].
        adjacency: A [..., n, n], self loops included.

    Returns:
        [..., n, n].

    Example:
        >>> sparse_edge_weight(torch.full((1, 2), 0.5), torch.tensor([[1.0, 0.0]]))
        tensor([[1., 0.]])
    """
    weight = adjacency * similarity  # [..., n, n]
    length = torch.linalg.vector_norm(weight, dim=-1, keepdim=True)
    normalised: Tensor = weight / (length + 1e-8)
    return normalised


def kernel_edge_weight(weight: Tensor, kernels: Tensor) -> Tensor:
    """Weights of K kernels: w_ijk = p_k e_ij / sum_j p_k e_ij.

    p_k cancels, so every kernel holds e_ij / sum_j e_ij up to rounding; the released code computes
    the quotient all the same. A kernel of exactly 0 gives NaN there and here.

    Args:
        weight: edge weights e [..., n, n].
        kernels: p [K] or [K, 1].

    Returns:
        [..., n, n, K]. Allocates n x n x K.

    Example:
        >>> kernel_edge_weight(torch.tensor([[1.0, 3.0]]), torch.tensor([2.0]))[..., 0]
        tensor([[0.2500, 0.7500]])
    """
    scaled = weight.unsqueeze(-1) * kernels.flatten()  # [..., n, n, K]
    return scaled / scaled.sum(dim=-2, keepdim=True)
