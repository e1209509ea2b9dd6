"""`BehaviourAttention`: how much each behaviour matters for a candidate.

Sources: DIEN, G. Zhou et al., AAAI 2019 (both scores); DIN, G. Zhou et al., KDD 2018.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from graphmatch.errors import check_choice

Attention = Literal["bilinear", "mlp"]
AttentionNorm = Literal["softmax", "sigmoid"]
_HIDDEN = (80, 40)


class BehaviourAttention(nn.Module):
    """Attention of T behaviours x_i of d numbers for a candidate q.

    | `attention` | score |
    |---|---|
    | `"bilinear"` | x_i^T W q |
    | `"mlp"` | MLP(80, 40, 1) with sigmoid of [q, x_i, q - x_i, q * x_i] |

    Args:
        size: d.
        attention: which score.
        norm: softmax over the behaviours, or sigmoid of each score.

    Raises:
        ConfigError: an unknown choice.

    Example:
        >>> attend = BehaviourAttention(4)
        >>> mask = torch.tensor([[True, True], [False, False]])
        >>> attend(torch.randn(2, 2, 4), torch.randn(2, 4), mask)[1]
        tensor([0., 0.], grad_fn=<SelectBackward0>)
    """

    def __init__(
        self, size: int, *, attention: Attention = "bilinear", norm: AttentionNorm = "softmax"
    ) -> None:
        super().__init__()
        check_choice("attention", attention, get_args(Attention))
        check_choice("attention_norm", norm, get_args(AttentionNorm))
        self.norm = norm
        self.weight: nn.Parameter | None = None
        self.mlp: nn.Sequential | None = None
        if attention == "bilinear":
            self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(size, size)))
            return
        layers: list[nn.Module] = []
        sizes = (4 * size, *_HIDDEN)
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.Sigmoid()]
        self.mlp = nn.Sequential(*layers, nn.Linear(sizes[-1], 1))

    def forward(self, x: Tensor, query: Tensor, mask: Tensor) -> Tensor:
        """Attention weights.

        Args:
            x: [B, T, d] behaviours.
            query: [B, d], or [B, K, d] for K candidates of one history.
            mask: [B, T] bool: which behaviours are real.

        Returns:
            [B, T] or [B, K, T], 0 at padding; softmax sums to 1 unless the history is empty.
        """
        single = query.dim() == 2
        if single:
            query = query.unsqueeze(1)  # [B, K, d]
        if self.weight is not None:
            score = (query @ self.weight.T) @ x.transpose(1, 2)  # [B, K, T]
        else:
            assert self.mlp is not None
            size = (*query.shape[:2], *x.shape[1:])
            q, k = query.unsqueeze(2).expand(size), x.unsqueeze(1).expand(size)  # [B, K, T, d]
            score = self.mlp(torch.cat((q, k, q - k, q * k), dim=-1)).squeeze(-1)
        weight = attention_weights(score, mask.unsqueeze(1), self.norm)
        return weight.squeeze(1) if single else weight


def attention_weights(score: Tensor, mask: Tensor, norm: AttentionNorm = "softmax") -> Tensor:
    """Scores as weights over real places.

    Args:
        score: [..., T].
        mask: [..., T] bool; broadcast.
        norm: `"softmax"` over T or `"sigmoid"`.

    Returns:
        [..., T], 0 where the mask is not set; a row without any real place is zero.

    Example:
        >>> attention_weights(torch.tensor([0.0, 0.0, 9.0]), torch.tensor([True, True, False]))
        tensor([0.5000, 0.5000, 0.0000])
    """
    if norm == "sigmoid":
        return score.sigmoid().masked_fill(~mask, 0)
    # finite, so that the gradient of an empty row is 0 and not NaN
    lowest = torch.finfo(score.dtype).min
    return score.masked_fill(~mask, lowest).softmax(dim=-1).masked_fill(~mask, 0)
