"""`reverse_gradient`: nothing forward; a gradient that points the other way backward.

Source: Domain-Adversarial Training of Neural Networks, Y. Ganin et al., JMLR 2016.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def reverse_gradient(x: Tensor, eta: float = 1.0) -> Tensor:
    """The same values; their gradient is multiplied by -eta.

    What comes after learns to make a loss small, what comes before to make it large.

    Args:
        x: any shape.
        eta: strength, from 0.

    Returns:
        x.

    Example:
        >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> reverse_gradient(x, 0.5).sum().backward()
        >>> x.grad
        tensor([-0.5000, -0.5000])
    """
    return _Reverse.apply(x, eta)  # type: ignore[no-any-return, no-untyped-call]


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, eta: float) -> Tensor:
        ctx.eta = eta
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return -ctx.eta * gradients[0], None
