"""`AttentionFusion`: modalities become one vector, each weighed number by number.

Source: MARN (WWW 2020) section 3, multimodal attention fusion (MAF): for features x^m of the
modality m,

    atten^m = tanh(W_m x^m + b_m),    x = sum over present m of atten^m * x^m

There is no softmax over modalities.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class AttentionFusion(nn.ModuleList):
    """The fusion of M modalities of d numbers; one linear layer each.

    Args:
        modalities: M.
        size: d.

    Example:
        >>> fusion = AttentionFusion(2, 4)
        >>> present = torch.tensor([[True, True], [False, False]])
        >>> fusion(torch.randn(2, 2, 4), present)[1]
        tensor([0., 0., 0., 0.], grad_fn=<SelectBackward0>)
    """

    def __init__(self, modalities: int, size: int) -> None:
        super().__init__(nn.Linear(size, size) for _ in range(modalities))

    def attention(self, x: Tensor, present: Tensor) -> Tensor:
        """Attention of features.

        Args:
            x: [U, M, d] features.
            present: [U, M] bool.

        Returns:
            [U, M, d] in (-1, 1), 0 where a modality is absent.
        """
        logits = [layer(x[:, place]) for place, layer in enumerate(self)]
        attention = torch.tanh(torch.stack(logits, dim=1))  # [U, M, d]
        return attention.masked_fill(~present.unsqueeze(-1), 0)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Fuse features.

        Args:
            x: [U, M, d] features, finite where absent too.
            present: [U, M] bool.

        Returns:
            [U, d]; a zero vector where no modality is present.
        """
        return (self.attention(x, present) * x).sum(dim=1)
