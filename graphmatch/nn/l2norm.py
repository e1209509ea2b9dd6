"""`l2_normalise`: vectors of length 1, as the SCAN family makes them."""

from __future__ import annotations

import torch
from torch import Tensor


def l2_normalise(x: Tensor, eps: float = 1e-8) -> Tensor:
    """Vectors divided by their length: x / (|x| + eps).

    As in the official code of SCAN, GSMN and IMRAM, eps is added to the length, not under the root.

    Args:
        x: [..., d] vectors.
        eps: added to the length; a zero vector stays zero, and its gradient is finite.

    Returns:
        [..., d].

    Example:
        >>> l2_normalise(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[0.6000, 0.8000],
                [0.0000, 0.0000]])
    """
    return x / (torch.linalg.vector_norm(x, dim=-1, keepdim=True) + eps)  # type: ignore[no-any-return]
