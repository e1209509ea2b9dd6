"""`Dice`: an activation that adapts to the data. Source: DIN, G. Zhou et al., KDD 2018."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Dice(nn.Module):
    """p * x + (1 - p) * slope * x with p = sigmoid of x normalised over the batch.

    Args:
        size: units, each with a slope of its own, 0 at first.

    Example:
        >>> Dice(2).eval()(torch.tensor([[0.0, 2.0]]))
        tensor([[0.0000, 1.7616]], grad_fn=<MulBackward0>)
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(size, affine=False)
        self.slope = nn.Parameter(torch.zeros(size))

    def forward(self, x: Tensor) -> Tensor:
        """Activate.

        Args:
            x: [B, size].

        Returns:
            [B, size].
        """
        share = torch.sigmoid(self.norm(x))
        return x * (share + (1 - share) * self.slope)
