"""`TransformerLayer`: self-attention and two linear maps, as in BERT."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from graphmatch.errors import ConfigError


class TransformerLayer(nn.Module):
    """One layer of a transformer encoder, normalised after each of its two halves.

        y = LN(x + W_o attention(W_q x, W_k x, W_v x) + b_o)
        z = LN(y + W_2 gelu(W_1 y + b_1) + b_2)

    with attention = softmax(q k^T / sqrt(d / heads)) v in each head, and gelu(x) = x Phi(x), the
    exact one.

    Source: Attention Is All You Need (NeurIPS 2017), sections 3.1 to 3.3, with the gelu of BERT
    (NAACL 2019), section A.2, whose code normalises with 1e-12 added to the variance.

    Args:
        size: d, numbers of a position.
        heads: of the attention; divides `size`.
        inner: numbers between the two linear maps.
        epsilon: what the normalisation adds to the variance.

    Raises:
        ConfigError: a size below 1, or heads that do not divide `size`.

    Example:
        >>> import torch
        >>> layer = TransformerLayer(8, heads=2, inner=16)
        >>> layer(torch.zeros(3, 5, 8), torch.ones(3, 5) > 0).shape
        torch.Size([3, 5, 8])
    """

    def __init__(self, size: int, *, heads: int, inner: int, epsilon: float = 1e-12) -> None:
        super().__init__()
        if min(size, heads, inner) < 1 or size % heads:
            raise ConfigError(
                f"expected sizes from 1 and heads that divide {size} (got {heads} heads, "
                f"{inner} inner numbers)"
            )
        self.heads = heads
        self.query = nn.Linear(size, size)
        self.key = nn.Linear(size, size)
        self.value = nn.Linear(size, size)
        self.output = nn.Linear(size, size)
        self.output_norm = nn.LayerNorm(size, eps=epsilon)
        self.inner = nn.Linear(size, inner)
        self.outer = nn.Linear(inner, size)
        self.outer_norm = nn.LayerNorm(size, eps=epsilon)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Apply the layer.

        Args:
            x: [n, M, d] positions.
            mask: [n, M] bool, which of them are real; at least one of each item. No position
                attends to the others.

        Returns:
            [n, M, d]; positions that are not real hold numbers without a meaning.
        """
        q, k, v = (self._split(linear(x)) for linear in (self.query, self.key, self.value))
        attended = functional.scaled_dot_product_attention(
            q, k, v, attn_mask=mask[:, None, None, :]
        )  # [n, heads, M, d / heads]
        merged = attended.transpose(1, 2).flatten(2)  # [n, M, d]
        y = self.output_norm(x + self.output(merged))
        return cast("Tensor", self.outer_norm(y + self.outer(functional.gelu(self.inner(y)))))

    def _split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)  # [n, heads, M, d / heads]
