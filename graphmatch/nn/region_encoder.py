"""`RegionEncoder`: region features to the space where words and regions are compared."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn.utils import parametrizations

from graphmatch.errors import ConfigError, GraphError


class RegionEncoder(nn.Module):
    """A linear map of region features: v = W f + b.

    Source: SCAN (ECCV 2018), official code. W starts uniform in +-sqrt(6 / (F + d)), b at 0.

    With `weight_norm`, W = g V / |V| with one number g and the Frobenius norm of V, as in the
    official code (usual weight normalisation has one g a row). The official initial values are
    torch's of a linear layer.

    Args:
        feature_size: F, numbers of a region feature.
        embed_size: d, numbers of an encoded region.
        weight_norm: whether the length of W is a parameter of its own. Parameters are then
            `linear.parametrizations.weight.original0` (g, no dimension) and `.original1` (V).

    Raises:
        ConfigError: a size below 1.

    Example:
        >>> import torch
        >>> RegionEncoder(2048, 1024)(torch.zeros(36, 2048)).shape
        torch.Size([36, 1024])
    """

    def __init__(self, feature_size: int, embed_size: int, *, weight_norm: bool = False) -> None:
        super().__init__()
        if min(feature_size, embed_size) < 1:
            raise ConfigError(f"expected sizes from 1 (got {feature_size} and {embed_size})")
        self.linear = nn.Linear(feature_size, embed_size)
        if weight_norm:
            parametrizations.weight_norm(self.linear, dim=None)  # type: ignore[arg-type]
        else:
            bound = math.sqrt(6 / (feature_size + embed_size))
            nn.init.uniform_(self.linear.weight, -bound, bound)
            nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Encode regions.

        Args:
            x: [..., F] region features.

        Returns:
            [..., d], in the dtype of the parameters.

        Raises:
            GraphError: features of another length.
        """
        if x.size(-1) != self.linear.in_features:
            raise GraphError(
                f"expected region features of {self.linear.in_features} numbers (got {x.size(-1)})"
            )
        encoded: Tensor = self.linear(x.to(self.linear.bias.dtype))
        return encoded
