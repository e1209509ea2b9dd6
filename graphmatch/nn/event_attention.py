"""`EventAttention`: one vector of a caption or a video, an average with learned weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graphmatch.errors import GraphError


def masked_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the real entries of the last axis.

    Args:
        logits: [..., L].
        mask: [..., L] bool, which entries are real.

    Returns:
        [..., L]; 0 where there is no entry, so rows without any are 0 and no NaN.

    Raises:
        GraphError: a mask of another shape.

    Example:
        >>> mask = torch.tensor([[True, True], [True, False], [False, False]])
        >>> masked_softmax(torch.zeros(3, 2), mask)
        tensor([[0.5000, 0.5000],
                [1.0000, 0.0000],
                [0.0000, 0.0000]])
    """
    if mask.shape != logits.shape:
        raise GraphError(f"mask: expected {list(logits.shape)} (got {list(mask.shape)})")
    # a finite value: a row of minus infinity would be NaN, and its gradient with it
    filled = logits.masked_fill(~mask, torch.finfo(logits.dtype).min)
    return filled.softmax(dim=-1).masked_fill(~mask, 0)


class EventAttention(nn.Module):
    """Average of words or frames, weighted by what they say themselves.

    Source: HGR (CVPR 2020) section 3.1, official code `encoders/mlsent.py`, `encoders/mlvideo.py`:
    a = softmax over words (or frames) i of (w . x_i + b), pooled = sum_i a_i x_i. The bias b
    cancels and never gets a gradient but rounding; it is there because official checkpoints have
    it.

    Args:
        size: D, numbers of a vector.

    Example:
        >>> pool = EventAttention(4)
        >>> pool(torch.ones(2, 3, 4), torch.ones(2, 3, dtype=torch.bool))
        tensor([[1., 1., 1., 1.],
                [1., 1., 1., 1.]], grad_fn=<SqueezeBackward1>)
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(size, 1)

    def weights(self, x: Tensor, mask: Tensor) -> Tensor:
        """Attention of each item over its rows.

        Args:
            x: [n, L, D] words or frames.
            mask: [n, L] bool, which are real.

        Returns:
            [n, L], sums to 1 over real rows and is 0 on others.
        """
        return masked_softmax(self.linear(x).squeeze(-1), mask)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """[n, D] averages of the rows of x [n, L, D] that are real in mask [n, L]."""
        return (self.weights(x, mask).unsqueeze(1) @ x).squeeze(1)
