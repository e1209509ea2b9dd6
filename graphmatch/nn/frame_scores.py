"""Scores of nodes against the frames that they attend to.

Source: HGR (CVPR 2020) section 3.3; official code, `models/mlmatch.py`. For a node c and the
frames v_f of a video, with phi_f from `frame_weights`,

    "embed": cos(u, c) with u = sum_f phi_f v_f
    "sim":   sum_f phi_f cos(v_f, c)

The official code makes u for every node and video. With unit vectors v'_f = v_f / |v_f| and
w_f = phi_f |v_f|, the same cosine is

    sum_f w_f (v'_f . c') / sqrt(sum_fg w_f w_g (v'_f . v'_g))

so the cosines that gave phi and one Gram matrix a video are enough, and positive factors of w do
not matter.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from graphmatch.errors import check_choice
from graphmatch.nn.attended_cosine import attended_cosine, gram_matrices, node_products
from graphmatch.nn.frame_attention import frame_weights

Fusion = Literal["embed", "sim"]
_PART = 1 << 18  # numbers of one product: of larger ones, a CPU makes up to a third fewer a second


class Frames(NamedTuple):
    """What scores need of the frames of V videos.

    Args:
        unit: [V, F, D] frames of length 1, 0 where there is none.
        log_prior: [V, F] log of what each weight is multiplied by: the length of the frame with
            "embed", in units of the video's longest, 1 with "sim"; minus infinity for padding.
        gram: [V, F, F] products of unit frames; None with "sim".
    """

    unit: Tensor
    log_prior: Tensor
    gram: Tensor | None


def unit_vectors(x: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors divided by their length, which is sqrt(sum x^2 + 1e-18) as in HGR's code.

    Args:
        x: [..., D].

    Returns:
        [..., D] in the dtype of `x`, and the lengths [...], at least float32.

    Example:
        >>> unit_vectors(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))[0]
        tensor([[0.6000, 0.8000],
                [0.0000, 0.0000]])
    """
    exact = x if x.dtype == torch.float64 else x.float()
    length = ((exact * exact).sum(dim=-1) + 1e-18).sqrt()
    return (exact / length.unsqueeze(-1)).to(x.dtype), length


def prepare_frames(frames: Tensor, mask: Tensor, *, fusion: Fusion = "embed") -> Frames:
    """What depends on the frames alone.

    Args:
        frames: [V, F, D] frames.
        mask: [V, F] bool, which are real.
        fusion: "embed" or "sim".

    Returns:
        The frames, in the dtype that they have, the rest at least in float32.

    Raises:
        ConfigError: an unknown fusion.
    """
    check_choice("fusion", fusion, get_args(Fusion))
    unit, length = unit_vectors(frames * mask.unsqueeze(-1))
    if fusion == "sim":
        return Frames(unit, torch.zeros_like(length).masked_fill(~mask, -torch.inf), None)
    log_prior = (length / length.detach().amax(dim=1, keepdim=True)).log()  # [V, F]
    return Frames(unit, log_prior.masked_fill(~mask, -torch.inf), gram_matrices(unit))


def frame_scores(frames: Frames, nodes: Tensor, scale: float) -> Tensor:
    """Score of every node against every video.

    Args:
        frames: of V videos, from `prepare_frames`.
        nodes: [N, D] nodes of length 1, of the dtype of the frames.
        scale: lambda of `frame_weights`.

    Returns:
        [V, N] in [-1, 1], 0 for a video without frames; float32 (float64 for float64). Allocates a
        few V x F x N.

    Example:
        >>> video = torch.tensor([[[2.0, 0.0], [0.0, 1.0]]])
        >>> node = torch.tensor([[1.0, 0.0]])
        >>> real = torch.ones(1, 2, dtype=torch.bool)
        >>> frame_scores(prepare_frames(video, real), node, 1.0)  # phi is about (0.73, 0.27)
        tensor([[0.9835]])
        >>> frame_scores(prepare_frames(video, real, fusion="sim"), node, 1.0)
        tensor([[0.7311]])
    """
    products = _products(frames.unit, nodes)  # [V, F, N, 1]
    weights = frame_weights(products.squeeze(-1), frames.log_prior, scale).unsqueeze(-1)
    if frames.gram is not None:
        length = products.new_ones(len(nodes), 1)
        return attended_cosine(products, weights, frames.gram, length, eps=0.0).squeeze(-1)
    dot, total = (products * weights).sum(dim=1), weights.sum(dim=1)  # [V, N, 1]
    return (dot / total.clamp(min=torch.finfo(total.dtype).tiny)).squeeze(-1)


def _products(frames: Tensor, nodes: Tensor) -> Tensor:
    """[V, F, N, 1] products of frames [V, F, D] and nodes [N, D]."""
    if torch.is_grad_enabled() or frames.device.type != "cpu":
        return node_products(frames, nodes.unsqueeze(1))
    videos, count, size = frames.shape
    rows = frames.reshape(-1, size)  # [V F, D]
    products = rows.new_empty(len(rows), len(nodes))
    step = count * max(1, _PART // max(1, count * len(nodes)))
    for part, out in zip(torch.split(rows, step), torch.split(products, step), strict=True):
        torch.mm(part, nodes.T, out=out)
    products = products.view(videos, count, len(nodes), 1)
    return products if products.dtype == torch.float64 else products.float()
