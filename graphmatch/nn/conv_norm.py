"""`ConvNorm`: convolution over time, batch normalisation and ReLU; padding can be left out."""

from __future__ import annotations

from torch import Tensor, nn


class ConvNorm(nn.Module):
    """Conv1d, BatchNorm1d, ReLU.

    With a mask, only real places count: training normalises with their statistics alone, and what
    comes out is zero at the others, as the zeros that a convolution sees past the end.

    Args:
        size: channels that come in.
        out: channels that come out.
        kernel: odd width; the ends are padded with zeros by half of it.
        stride: of the convolution.
        bias: whether the convolution has one. The normalisation removes it again, so that its
            gradient is rounding; official checkpoints have some.

    Example:
        >>> import torch
        >>> ConvNorm(4, 6, kernel=3, stride=2)(torch.randn(2, 4, 5)).shape
        torch.Size([2, 6, 3])
    """

    def __init__(
        self, size: int, out: int, *, kernel: int, stride: int = 1, bias: bool = False
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(size, out, kernel, stride=stride, padding=kernel // 2, bias=bias)
        self.norm = nn.BatchNorm1d(out)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute the layer.

        Args:
            x: [B, C, T], zero at padding.
            mask: [B, T'] bool, which places of the result are real; None if all are.

        Returns:
            [B, C', T']. In training, a mask synchronises a device.
        """
        x = self.conv(x)  # [B, C', T']
        if mask is None:
            return self.norm(x).relu()  # type: ignore[no-any-return]
        if not self.training:
            return self.norm(x).relu() * mask.unsqueeze(1)  # type: ignore[no-any-return]
        rows = self.norm(x.transpose(1, 2)[mask]).relu()  # [N, C'] of the real places
        x = x.new_zeros(x.size(0), x.size(2), x.size(1)).index_put((mask,), rows)
        return x.transpose(1, 2)
