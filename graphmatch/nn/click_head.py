"""`ClickHead`: from user, candidate and context to one logit. Source: MARN (WWW 2020) section 3."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

from torch import Tensor, nn

from graphmatch.errors import check_choice
from graphmatch.nn.dice import Dice

Activation = Literal["prelu", "relu", "dice"]


class ClickHead(nn.Module):
    """Layers of linear map, batch normalisation if wanted, activation and dropout; then one logit.

    Args:
        size: numbers of the input.
        units: numbers after each layer.
        activation: `"prelu"` has one slope a unit, `"dice"` is DIN's.
        dropout: probability that a unit is left out in training.
        batch_norm: normalise each unit over the batch.

    Raises:
        ConfigError: an unknown activation.

    Example:
        >>> import torch
        >>> ClickHead(6, units=(5, 4))(torch.randn(3, 6)).shape
        torch.Size([3])
    """

    def __init__(
        self,
        size: int,
        *,
        units: Sequence[int],
        activation: Activation = "prelu",
        dropout: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        check_choice("activation", activation, get_args(Activation))
        sizes = (size, *units)
        self.linear = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(sizes))
        self.norm = nn.ModuleList(nn.BatchNorm1d(width) for width in units if batch_norm)
        self.activation = nn.ModuleList(_activation(activation, width) for width in units)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(sizes[-1], 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits.

        Args:
            x: [B, size].

        Returns:
            [B].
        """
        for place, linear in enumerate(self.linear):
            x = linear(x)
            if self.norm:
                x = self.norm[place](x)
            x = self.dropout(self.activation[place](x))
        return self.out(x).squeeze(-1)  # type: ignore[no-any-return]


def _activation(name: Activation, width: int) -> nn.Module:
    if name == "relu":
        return nn.ReLU()
    return nn.PReLU(width) if name == "prelu" else Dice(width)
