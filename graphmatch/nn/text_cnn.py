"""`TextCNN`: words become one vector by convolutions and the largest value of each channel.

Source: Convolutional Neural Networks for Sentence Classification, Y. Kim, EMNLP 2014.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class TextCNN(nn.Module):
    """Concatenation over kernels k, ascending, of max over positions of relu(conv_k(words)).

    Word 0 is a zero vector. Texts shorter than the largest kernel are padded on the right with
    zero vectors. The largest value is taken over all positions, padding included, so one text
    always has the same vector only if all are padded to one length.

    Args:
        vocabulary: number of words.
        width: numbers of an embedded word.
        kernels: sizes of the convolutions.
        channels: of each.

    Example:
        >>> TextCNN(9, width=4, kernels=(2, 3), channels=5)(torch.tensor([[1, 2, 0], [3, 0, 0]])).shape
        torch.Size([2, 10])
    """  # noqa: E501

    def __init__(
        self, vocabulary: int, *, width: int, kernels: Sequence[int], channels: int
    ) -> None:
        super().__init__()
        self.kernels = tuple(sorted(kernels))
        self.size = channels * len(self.kernels)
        self.word = nn.Embedding(vocabulary, width, padding_idx=0)
        for kernel in self.kernels:
            self.add_module(f"conv{kernel}", nn.Conv1d(width, channels, kernel))

    def forward(self, words: Tensor) -> Tensor:
        """Embed texts.

        Args:
            words: [n, L] int64, 0 is padding.

        Returns:
            [n, channels x kernels].
        """
        missing = max(0, self.kernels[-1] - words.size(1))
        x = self.word(functional.pad(words, (0, missing))).transpose(1, 2)  # [n, width, L]
        found = [self.get_submodule(f"conv{kernel}")(x).amax(dim=2) for kernel in self.kernels]
        # the largest of relu(x) is relu of the largest
        return torch.relu(torch.cat(found, dim=1))
