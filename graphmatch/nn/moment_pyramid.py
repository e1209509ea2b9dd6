"""`MomentPyramid`: clips of a video and a query become features at three scales of time.

Source: Dense Regression Network for Video Grounding (DRN), R. Zeng et al., CVPR 2020, arXiv
2004.03545; official code, `model/backbone.py`, `model/fpn.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from graphmatch.nn.conv_norm import ConvNorm
from graphmatch.nn.moment_targets import LEVELS


class MomentPyramid(nn.Module):
    """Video-query interaction on the way down, sums with coarser levels on the way up.

    With clips v, their places p and a vector k_l of the query for each level, * channel by channel:

        C_0 = CBR([v * k_0 ; p]),  C_l = CBR(C_(l-1) * k_l), stride 2,   kernel 3
        I_2 = CBR(C_2),  I_l = CBR(C_l) + up(I_(l+1)),                   kernel 1
        P_l = CBR(I_l),                                                  kernel 3

    CBR is `ConvNorm`; up repeats each column, cut to the finer level if that has an odd number.

    Args:
        size: F, channels of v.
        position_size: channels of p.
        channels: of C_0, C_1, C_2.
        out: channels of I and P.

    Example:
        >>> pyramid = MomentPyramid(5, position_size=2, channels=(4, 6, 8), out=7)
        >>> query = [torch.randn(3, 5), torch.randn(3, 4), torch.randn(3, 6)]
        >>> levels = pyramid(torch.randn(3, 8, 5), torch.randn(3, 8, 2), query)
        >>> [tuple(level.shape) for level in levels]
        [(3, 7, 8), (3, 7, 4), (3, 7, 2)]
    """

    def __init__(
        self, size: int, *, position_size: int, channels: tuple[int, int, int], out: int
    ) -> None:
        super().__init__()
        sizes = (size + position_size, *channels)
        self.down = nn.ModuleList(
            ConvNorm(sizes[level], sizes[level + 1], kernel=3, stride=1 if level == 0 else 2)
            for level in range(LEVELS)
        )
        self.lateral = nn.ModuleList(ConvNorm(size, out, kernel=1) for size in channels)
        self.smooth = nn.ModuleList(ConvNorm(out, out, kernel=3) for _ in range(LEVELS))
        for layer in (*self.down, *self.lateral, *self.smooth):
            nn.init.kaiming_uniform_(layer.conv.weight, a=1)

    def forward(
        self,
        video: Tensor,
        position: Tensor,
        query: Sequence[Tensor],
        masks: Sequence[Tensor] | None = None,
    ) -> list[Tensor]:
        """Compute the levels.

        Args:
            video: [B, T, F] clips.
            position: [B, T, position_size] their places.
            query: [B, F], [B, C_0], [B, C_1]: what multiplies the channels on each level.
            masks: `level_masks` of the clips; None if all are real.

        Returns:
            Three of [B, out, T_l].
        """
        levels = self.interact(video, position, query, masks)
        inner: list[Tensor] = []
        for level in reversed(range(LEVELS)):
            x = self.lateral[level](levels[level], _at(masks, level))  # [B, out, T_l]
            if inner:
                x = x + inner[-1].repeat_interleave(2, dim=2)[:, :, : x.size(2)]
                if masks is not None:  # the column after an odd number of real ones
                    x = x * masks[level].unsqueeze(1)
            inner.append(x)
        return [self.smooth[level](x, _at(masks, level)) for level, x in enumerate(reversed(inner))]

    def interact(
        self,
        video: Tensor,
        position: Tensor,
        query: Sequence[Tensor],
        masks: Sequence[Tensor] | None = None,
    ) -> list[Tensor]:
        """C_0, C_1, C_2: three of [B, C_l, T_l]; arguments as `forward`."""
        x = torch.cat((video * query[0].unsqueeze(1), position), dim=-1)  # [B, T, F + p]
        x = x.transpose(1, 2)
        if masks is not None:
            x = x * masks[0].unsqueeze(1)
        levels = [self.down[0](x, _at(masks, 0))]
        for level in range(1, LEVELS):
            x = levels[-1] * query[level].unsqueeze(-1)  # [B, C, T_(l-1)]
            levels.append(self.down[level](x, _at(masks, level)))
        return levels


def level_masks(mask: Tensor) -> list[Tensor]:
    """Which points of each level stand for real clips, at least one of those below them.

    Args:
        mask: [B, T] bool, which clips are real; those come first.

    Returns:
        Three of [B, T_l] bool.

    Example:
        >>> mask = torch.tensor([[True, True, True, False, False]])
        >>> [level.tolist() for level in level_masks(mask)]
        [[[True, True, True, False, False]], [[True, True, False]], [[True, False]]]
    """
    return [mask[:, :: 2**level] for level in range(LEVELS)]


def _at(masks: Sequence[Tensor] | None, level: int) -> Tensor | None:
    return None if masks is None else masks[level]
